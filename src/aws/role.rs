//! A role that is assumed, so that one set of credentials reaches the accounts of many deployments.

use super::error::{AwsError, call};
use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

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

/// Assumes `role` with the credentials of `config`, whose owner is `caller`; answers with a config that has the role's, made
/// anew before they end.
pub(super) async fn assume(config: &SdkConfig, role: &str, caller: &str) -> Result<SdkConfig, AwsError> {
    let provider = AssumeRoleProvider::builder(role).configure(config).session_name(SESSION).build().await;
    let first = provider.provide_credentials().await.map_err(|error| refused(&error, role, caller))?;
    let assumed = Assumed { first: Mutex::new(Some(first)), provider };
    Ok(config.to_builder().credentials_provider(SharedCredentialsProvider::new(assumed)).build())
}

/// The first session's credentials, which have been asked for to know whether the role can be assumed, and then new ones.
#[derive(Debug)]
struct Assumed {
    first: Mutex<Option<Credentials>>,
    provider: AssumeRoleProvider,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(first) => future::ProvideCredentials::ready(Ok(first)),
            None => self.provider.provide_credentials(),
        }
    }
}

/// What STS has answered, out of what the provider makes of it.
fn refused(error: &CredentialsError, role: &str, caller: &str) -> AwsError {
    let call = call("sts", "AssumeRole");
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(answer) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            return match call.told(answer) {
                AwsError::Refused { code, message, .. } if code == "AccessDenied" => {
                    AwsError::NotAssumed { role: role.to_owned(), caller: caller.to_owned(), message }
                }
                other => other,
            };
        }
        next = cause.source();
    }
    call.unexpected(error.to_string())
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
