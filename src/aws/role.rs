//! A role that is assumed, so that one set of credentials reaches the accounts of many deployments.

use super::error::{AwsError, call};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// By which its sessions are known in CloudTrail.
const SESSION: &str = "pgrotate";

/// Whether `caller`, an ARN, is a session of `role` already: in CI the runner may have assumed it. A session's ARN has the
/// role's name without its path, and in an account there are no two roles of a name
/// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html).
pub(super) fn is_session_of(caller: &str, role: &str) -> bool {
    let (caller, role): (Vec<_>, Vec<_>) = (caller.split(':').collect(), role.split(':').collect());
    let (&["arn", partition, "sts", _, account, session], &["arn", of, "iam", _, owner, named]) =
        (caller.as_slice(), role.as_slice())
    else {
        return false;
    };
    let session = session.strip_prefix("assumed-role/").and_then(|session| session.split_once('/'));
    let name = named.rsplit('/').next();
    partition == of && account == owner && session.is_some() && session.map(|(role, _)| role) == name
}

/// Assumes `role` by `sts`, a client with the credentials of `config`, whose owner is `caller`; answers with a config that
/// has the role's, made anew before they end.
///
/// Not by the SDK's own provider: that hides what STS has answered, and tells of no call.
pub(super) async fn assume(
    config: &SdkConfig,
    sts: &aws_sdk_sts::Client,
    role: &str,
    caller: &str,
) -> Result<SdkConfig, AwsError> {
    let first = session(sts, role).await.map_err(|error| match error {
        AwsError::Refused { code, message, .. } if code == "AccessDenied" => {
            AwsError::NotAssumed { role: role.to_owned(), caller: caller.to_owned(), message }
        }
        error => error,
    })?;
    let assumed = Assumed { first: Mutex::new(Some(first)), sts: sts.clone(), role: role.to_owned() };
    Ok(config.to_builder().credentials_provider(SharedCredentialsProvider::new(assumed)).build())
}

async fn session(sts: &aws_sdk_sts::Client, role: &str) -> Result<Credentials, AwsError> {
    let assume = call("sts", "AssumeRole");
    let answer = sts.assume_role().role_arn(role).role_session_name(SESSION).send().await;
    let answer = answer.map_err(|error| assume.failed(error))?;
    let made = assume.expect(answer.credentials(), "Credentials")?;
    let until = SystemTime::try_from(*made.expiration()).map_err(|_| assume.unexpected("no usable Expiration"))?;
    let token = Some(made.session_token().to_owned());
    Ok(Credentials::new(made.access_key_id(), made.secret_access_key(), token, Some(until), SESSION))
}

/// The first session's credentials, which have been asked for to know whether the role can be assumed, and then new ones.
#[derive(Debug)]
struct Assumed {
    first: Mutex<Option<Credentials>>,
    sts: aws_sdk_sts::Client,
    role: String,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(first) => future::ProvideCredentials::ready(Ok(first)),
            None => future::ProvideCredentials::new(async {
                session(&self.sts, &self.role).await.map_err(CredentialsError::provider_error)
            }),
        }
    }
}

/// What the role's trust policy names to let `caller` in: of a session its role.
pub(super) fn principal(caller: &str) -> String {
    let parts: Vec<_> = caller.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sts", _, account, session] => match session.strip_prefix("assumed-role/") {
            Some(session) => {
                let name = session.split('/').next().unwrap_or_default();
                format!("arn:{partition}:iam::{account}:role/{name} (with its path, if it has one)")
            }
            None => caller.to_owned(),
        },
        _ => caller.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/ci/pgrotate";

    #[test]
    fn sessions_of_the_role() {
        for (caller, is) in [
            ("arn:aws:sts::123456789012:assumed-role/pgrotate/GitHubActions", true),
            ("arn:aws:sts::123456789012:assumed-role/pgrotate2/GitHubActions", false),
            ("arn:aws:sts::210987654321:assumed-role/pgrotate/GitHubActions", false),
            ("arn:aws-cn:sts::123456789012:assumed-role/pgrotate/GitHubActions", false),
            ("arn:aws:sts::123456789012:federated-user/pgrotate", false),
            ("arn:aws:iam::123456789012:user/pgrotate", false),
            (ROLE, false),
            ("", false),
        ] {
            assert_eq!(is_session_of(caller, ROLE), is, "{caller}");
        }
    }

    #[test]
    fn who_is_to_be_trusted() {
        for (caller, named) in [
            (
                "arn:aws:sts::123456789012:assumed-role/runner/GitHubActions",
                "arn:aws:iam::123456789012:role/runner (with its path, if it has one)",
            ),
            ("arn:aws:iam::123456789012:user/me", "arn:aws:iam::123456789012:user/me"),
            ("arn:aws:sts::123456789012:federated-user/me", "arn:aws:sts::123456789012:federated-user/me"),
        ] {
            assert_eq!(principal(caller), named);
        }
    }
}
