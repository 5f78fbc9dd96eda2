//! What goes wrong, told with its causes and the next thing to do, and the exit code of each kind.

use crate::aws::AwsError;
use crate::config::Errors;
use crate::function_zip::ZipError;
use crate::model::Address;
use crate::plan::PlanError;
use crate::render::document::chain;
use crate::resource::Refusal;
use crate::resources::LiveError;
use std::error::Error;
use std::io::Write;

/// Exit codes, as documented for scripts.
pub mod exit {
    pub const CLEAN: u8 = 0;
    pub const ERROR: u8 = 1;
    /// Changes are pending, where the caller asked to be told so.
    pub const PENDING: u8 = 2;
    /// A target moved after the plan was made.
    pub const STALE: u8 = 3;
    /// pgrotate will not do it.
    pub const REFUSED: u8 = 4;
    /// Some of the plan is done, some is not.
    pub const PARTLY: u8 = 5;
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] Errors),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error("the credentials are of account {actual}, the config allows only {declared}")]
    WrongAccount { declared: String, actual: String },
    #[error("{0}")]
    NotConfirmed(String),
    #[error("the deployment has no login `{login}`; it has {}", known.join(", "))]
    NoSuchLogin { login: String, known: Vec<String> },
    #[error("the rotation of `{login}` has not finished: {why}")]
    RotationFailed { login: String, why: String },
    #[error("cannot {doing}")]
    Io { doing: &'static str, source: std::io::Error },
}

impl From<AwsError> for CliError {
    fn from(error: AwsError) -> Self {
        Self::Live(error.into())
    }
}

impl CliError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(PlanError::Refused(_)) | Self::WrongAccount { .. } | Self::NotConfirmed(_) => exit::REFUSED,
            _ => exit::ERROR,
        }
    }

    /// Writes the error, its causes and hints to standard error.
    pub fn print(&self) {
        let mut err = std::io::stderr().lock();
        // Nobody is left to tell when standard error is closed.
        let _ = write!(err, "{}", self.told());
    }

    fn told(&self) -> String {
        match self {
            // Its own display has excerpts and hints.
            Self::Config(errors) => errors.to_string(),
            Self::Plan(PlanError::Refused(refusals)) => refused(refusals),
            error => {
                let mut lines = chain(error).into_iter();
                let mut out = format!("error: {}\n", lines.next().unwrap_or_default());
                for cause in lines {
                    out.push_str(&format!("  because: {cause}\n"));
                }
                if let Some(hint) = self.hint() {
                    out.push_str(&format!("hint: {hint}\n"));
                }
                out
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Live(error) => live_hint(error),
            Self::Zip(ZipError::NotBuilt) => Some("make function, or name a zip by --function-zip".to_owned()),
            Self::Zip(ZipError::Unreadable { .. }) => Some("check the path, and that you may read it".to_owned()),
            Self::Zip(ZipError::NoCertificate { .. }) => {
                Some("name a PEM file of certificate authorities by --ca-bundle, or leave it out".to_owned())
            }
            Self::NoSuchLogin { .. } => Some("declare it as a [[user]] in the config, and apply".to_owned()),
            Self::WrongAccount { .. } => {
                Some("use credentials of that account, or correct `account` in [aws]".to_owned())
            }
            Self::RotationFailed { .. } => {
                Some("Secrets Manager repeats it by itself; see the function's log for the cause".to_owned())
            }
            _ => None,
        }
    }
}

/// Told for every refusal: what stands in the way, and what can be done.
fn refused(refusals: &[(Address, Refusal)]) -> String {
    let mut out = String::new();
    for (address, refusal) in refusals {
        out.push_str(&format!("refused: {address}: {}\nhint: {}\n", refusal.cause, refusal.hint));
    }
    out.push_str("nothing was changed\n");
    out
}

/// What to do about an error of AWS, by its code.
pub(super) fn live_hint(error: &LiveError) -> Option<String> {
    let error = match error {
        LiveError::Aws(error) => error,
        LiveError::Function(error) => {
            return Some(format!("aws logs tail /aws/lambda/{} --since 15m", error.function));
        }
        LiveError::NotProduced(_) => return None,
    };
    match error {
        AwsError::NoCredentials { .. } => Some(match std::env::var("AWS_PROFILE") {
            Ok(profile) => format!("AWS_PROFILE is {profile}: see whether it is there by: aws configure list-profiles"),
            Err(_) => {
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; try: aws sts get-caller-identity"
                    .to_owned()
            }
        }),
        AwsError::Unreachable { .. } => Some(match std::env::var("AWS_ENDPOINT_URL") {
            Ok(url) => format!("AWS_ENDPOINT_URL is {url}: is anything listening there?"),
            Err(_) => "check the region and the network".to_owned(),
        }),
        AwsError::Refused { code, operation, service, .. } => match code.as_str() {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                Some("the session has ended; log in again, such as by: aws sso login".to_owned())
            }
            "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch" | "AuthFailure" => {
                Some("AWS does not know these credentials; try: aws sts get-caller-identity".to_owned())
            }
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
                Some(format!("allow {service}:{operation} to these credentials"))
            }
            "ResourceNotFoundException" if *operation == "RotateSecret" => {
                Some("it is declared and not made yet: pgrotate apply makes it".to_owned())
            }
            _ => None,
        },
        AwsError::Unexpected { .. } => None,
    }
}

/// An action's error, with its hint, as lines of a report.
pub(super) fn action_hint(error: &crate::execute::ActionError) -> Option<String> {
    use crate::execute::ActionError;
    match error {
        ActionError::World(error) => {
            let error: &(dyn Error + 'static) = error.as_ref();
            error.downcast_ref::<LiveError>().and_then(live_hint)
        }
        ActionError::Refused(refusal) => Some(refusal.hint.clone()),
        ActionError::Never(_) | ActionError::TimedOut { .. } | ActionError::NotProduced(_) => None,
    }
}
