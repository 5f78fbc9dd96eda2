//! What `pgrotate recover` sees of one login, and the three things that it does: two of the provisioning
//! function's operations, and a label taken away.

use super::LiveError;
use super::function_log::{error_about, errors};
use super::functions::{FunctionError, invoke};
use super::login::{Desired, secret_of, stranger};
use crate::aws::{Aws, Look, SecretLook, call};
use function_contract::{
    InspectLogin, InspectionReport, InspectionRequest, LoginAttempt, LoginFacts, Provisioned, ProvisioningRequest,
    RecoverLogin, Recovery, error_type,
};
use std::time::Duration;
use tokio::time::Instant;

/// One login: its secret's labels, and what inspection found from inside the VPC.
#[derive(Debug, Clone)]
pub struct Sight {
    pub secret: SecretLook,
    pub facts: LoginFacts,
    /// Whether the admin login gets in by any labelled version; None where the login rotates by itself.
    pub admin_logs_in: Option<bool>,
    /// What the rotation function said last, while a rotation is pending.
    pub said: Option<String>,
}

/// Looks at `want`; the text tells why it cannot be looked at. `admin` is the login that rotates it.
pub async fn look_at(aws: &Aws, want: &Desired, admin: Option<&Desired>) -> Result<Result<Sight, String>, LiveError> {
    let look = Look::new(aws);
    let secret = match secret_of(&look, want).await? {
        Ok(secret) => secret,
        Err(why) => return Ok(Err(why)),
    };
    // Only what we made is told of our secrets, and believed.
    if let Some(why) = stranger(&look, want).await? {
        return Ok(Err(why));
    }
    let asked = |want: &Desired, secret: &SecretLook| InspectLogin {
        login: want.login.clone(),
        secret_arn: secret.arn.clone(),
    };
    let mut logins = vec![asked(want, &secret)];
    if let Some(admin) = admin {
        match secret_of(&look, admin).await? {
            Ok(secret) => logins.push(asked(admin, &secret)),
            Err(why) => return Ok(Err(format!("the admin login `{}`: {why}", admin.login))),
        }
    }
    let report: InspectionReport = match invoke(aws, &want.functions.inspection, &InspectionRequest { logins }).await? {
        Some(report) => report,
        None => return Ok(Err("the inspection function does not exist".to_owned())),
    };
    let mut found = report.logins.into_iter();
    let Some(facts) = found.next() else {
        return Ok(Err("the inspection function did not report on it".to_owned()));
    };
    let gets_in = |facts: LoginFacts| facts.versions.iter().any(|version| version.login == LoginAttempt::Succeeded);
    let admin_logs_in = admin.is_some().then(|| found.next().is_some_and(gets_in));
    let said = match secret.pending() {
        // The log only explains.
        Some(token) => errors(aws, &want.functions.rotation)
            .await
            .ok()
            .and_then(|said| error_about(&said, token).map(str::to_owned)),
        None => None,
    };
    Ok(Ok(Sight { secret, facts, admin_logs_in, said }))
}

/// What came of one step.
#[derive(Debug)]
pub enum Done {
    /// With what a person should know.
    Yes(Vec<String>),
    /// Somebody was quicker, or it was no longer as it had been seen: to be looked at again.
    Moved(String),
}

/// How long to wait for another run that holds the login's lock: a rotation's step takes a second at most, or is
/// stuck on something that this would be stuck on too.
const BUSY_PATIENCE: Duration = Duration::from_secs(60);

/// Asks the provisioning function; `current` is the version that carried AWSCURRENT when the login was looked at.
pub async fn recover(aws: &Aws, want: &Desired, sight: &Sight, recovery: Recovery) -> Result<Done, LiveError> {
    let Some(current) = sight.secret.labelled("AWSCURRENT") else {
        return Ok(Done::Moved("no version carries AWSCURRENT".to_owned()));
    };
    let request = ProvisioningRequest::RecoverLogin(RecoverLogin {
        login: want.login.clone(),
        address: want.mark.address.to_string(),
        duty: want.duty,
        strategy: want.strategy,
        secret_arn: sight.secret.arn.clone(),
        attributes: want.attributes.clone(),
        current: current.to_owned(),
        recovery,
    });
    let function = &want.functions.provisioning;
    let began = Instant::now();
    loop {
        let answer: Result<Option<Provisioned>, LiveError> = invoke(aws, function, &request).await;
        match answer {
            Ok(Some(done)) => return Ok(Done::Yes(done.notes)),
            Ok(None) => return Ok(Done::Moved("the provisioning function does not exist any more".to_owned())),
            Err(LiveError::Function(FunctionError { error_type, .. }))
                if error_type == error_type::BUSY && began.elapsed() < BUSY_PATIENCE =>
            {
                // The function itself has waited for the lock before it said so.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(LiveError::Function(FunctionError { error_type, message, .. })) if error_type == error_type::MOVED => {
                return Ok(Done::Moved(message));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes AWSPENDING from `version`. AWS compares: where the label is elsewhere by now, nothing happens.
pub async fn end_pending(aws: &Aws, secret: &str, version: &str) -> Result<Done, LiveError> {
    let update = call("secretsmanager", "UpdateSecretVersionStage");
    let request = aws.secrets.update_secret_version_stage().secret_id(secret);
    let request = request.version_stage("AWSPENDING").remove_from_version_id(version);
    match request.send().await.map_err(|error| update.failed(error)) {
        Ok(_) => Ok(Done::Yes(Vec::new())),
        // What AWS answers where the label is not on that version: it was moved, or an answer was lost.
        Err(error) if error.is(&["InvalidParameterException", "ResourceNotFoundException"]) => {
            let live = Look::new(aws).secret(secret).await?;
            match live.as_ref().and_then(SecretLook::pending) {
                Some(pending) if pending == version => Err(error.into()),
                _ => Ok(Done::Moved(format!("AWSPENDING is no longer on version {version}"))),
            }
        }
        Err(error) => Err(error.into()),
    }
}
