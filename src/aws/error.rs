//! What AWS answers when it does not do as asked, by code. Messages are shown, never matched.

use crate::code::{Code, Coded, REPORT_IT};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// AWS answered with an error.
    #[error("{service} {operation}: {code}: {message}")]
    Refused {
        service: &'static str,
        operation: &'static str,
        code: String,
        message: String,
        /// Amazon's id of the request, for a support case.
        request_id: Option<String>,
    },
    #[error("{service} {operation}: no usable AWS credentials")]
    NoCredentials {
        service: &'static str,
        operation: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// STS does not let `caller` be the config's role.
    #[error("sts AssumeRole: {role} cannot be assumed by {caller}: {message}")]
    NotAssumed { role: String, caller: String, message: String },
    /// No answer came.
    #[error("{service} {operation}: no answer")]
    Unreachable {
        service: &'static str,
        operation: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An answer came that is not what the API promises.
    #[error("{service} {operation}: unexpected answer: {what}")]
    Unexpected { service: &'static str, operation: &'static str, what: String },
}

impl AwsError {
    /// AWS's error code, where AWS answered.
    pub fn aws_code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::NoCredentials { .. }
            | Self::NotAssumed { .. }
            | Self::Unreachable { .. }
            | Self::Unexpected { .. } => None,
        }
    }

    /// Whether AWS's code is one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.aws_code().is_some_and(|code| codes.contains(&code))
    }
}

/// AWS's codes for a session that has ended. Here and below: those of all services we call, and of the
/// protocols' older and newer spellings.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired"];
const UNKNOWN: &[&str] = &[
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
];
/// An answer to a HEAD request has no body and so no code: S3 says 403, and no more.
const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "HTTP 403"];
/// What is left of them when the SDK has retried in vain.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "EC2ThrottledException",
];

impl Coded for AwsError {
    fn code(&self) -> Code {
        match self {
            Self::NoCredentials { .. } => Code::NoCredentials,
            Self::NotAssumed { .. } => Code::RoleNotAssumed,
            Self::Unreachable { .. } => Code::AwsUnreachable,
            Self::Unexpected { .. } => Code::AwsUnexpected,
            Self::Refused { .. } if self.is(EXPIRED) => Code::CredentialsExpired,
            Self::Refused { .. } if self.is(UNKNOWN) => Code::CredentialsUnknown,
            Self::Refused { .. } if self.is(DENIED) => Code::AccessDenied,
            Self::Refused { .. } if self.is(THROTTLED) => Code::Throttled,
            Self::Refused { .. } => Code::AwsRefused,
        }
    }

    fn hint(&self) -> String {
        let (service, operation) = match self {
            Self::NotAssumed { role, caller, .. } => return to_assume(role, caller),
            Self::Refused { service, operation, .. }
            | Self::NoCredentials { service, operation, .. }
            | Self::Unreachable { service, operation, .. }
            | Self::Unexpected { service, operation, .. } => (service, operation),
        };
        let endpoint = std::env::var("AWS_ENDPOINT_URL").ok();
        match (self.code(), *operation) {
            (Code::NoCredentials, _) => match std::env::var("AWS_PROFILE") {
                Ok(profile) => {
                    format!("AWS_PROFILE is {profile}: see whether it is there by: aws configure list-profiles")
                }
                Err(_) => "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                           try: aws sts get-caller-identity"
                    .to_owned(),
            },
            (Code::AwsUnreachable, _) => match endpoint {
                Some(url) => format!("AWS_ENDPOINT_URL is {url}: is anything listening there?"),
                None => "check the region and the network".to_owned(),
            },
            (Code::AwsUnexpected, _) => match endpoint {
                Some(url) => format!("AWS_ENDPOINT_URL is {url}: does AWS answer there?"),
                None => REPORT_IT.to_owned(),
            },
            (Code::CredentialsExpired, _) => {
                "the session has ended; log in again, such as by: aws sso login".to_owned()
            }
            (Code::CredentialsUnknown, _) => {
                "AWS does not know these credentials; try: aws sts get-caller-identity".to_owned()
            }
            // Secrets Manager asks on the caller's behalf whether the caller may invoke the function.
            (Code::AccessDenied, "RotateSecret") => "allow secretsmanager:RotateSecret on the secret, and \
                lambda:InvokeFunction on the rotation function, to these credentials"
                .to_owned(),
            (Code::AccessDenied, _) => {
                format!("allow {service}:{} to these credentials", permission(service, operation))
            }
            (Code::Throttled, _) => {
                "wait a minute and run the same command again: AWS limits the calls of an account".to_owned()
            }
            (_, "RotateSecret") if self.is(&["ResourceNotFoundException"]) => {
                "it is declared and not made yet: pgrotate apply makes it".to_owned()
            }
            _ => "mend what AWS says, and run the same command again".to_owned(),
        }
    }
}

/// Both sides have to agree: the role's trust policy and, from another account, the caller's own
/// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html).
fn to_assume(role: &str, caller: &str) -> String {
    let account = |arn: &str| arn.split(':').nth(4).unwrap_or_default().to_owned();
    let own = match account(role) == account(caller) {
        true => String::new(),
        false => format!(", and on {role} in a policy of the caller's own"),
    };
    let principal = super::role::principal(caller);
    format!(
        "allow sts:AssumeRole to {principal} in the role's trust policy{own}, and run the same command again; or correct \
         `assume_role` in [aws]"
    )
}

/// What IAM calls the leave to call an operation, where it is not called as the operation.
fn permission<'a>(service: &str, operation: &'a str) -> &'a str {
    match (service, operation) {
        ("lambda", "Invoke") => "InvokeFunction",
        ("s3", "HeadObject") => "GetObject",
        ("s3", "ListObjectsV2" | "HeadBucket") => "ListBucket",
        ("s3", "GetPublicAccessBlock") => "GetBucketPublicAccessBlock",
        ("s3", "PutPublicAccessBlock") => "PutBucketPublicAccessBlock",
        _ => operation,
    }
}

/// One operation, so that its errors can be told by name.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub service: &'static str,
    pub operation: &'static str,
}

/// Names a call for its errors.
pub const fn call(service: &'static str, operation: &'static str) -> Call {
    Call { service, operation }
}

impl Call {
    /// To be given to `map_err`.
    pub fn failed<E>(self, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let Self { service, operation } = self;
        if let Some(answer) = error.as_service_error() {
            return AwsError::Refused {
                service,
                operation,
                // An error without a code is what proxies and bare HTTP answers look like.
                code: answer.code().map_or_else(|| http_status(&error), str::to_owned),
                message: answer.message().unwrap_or("no message").to_owned(),
                request_id: answer.meta().extra("aws_request_id").map(str::to_owned),
            };
        }
        let source = root(&error).to_string().into();
        if is_about_credentials(&error) {
            AwsError::NoCredentials { service, operation, source }
        } else {
            AwsError::Unreachable { service, operation, source }
        }
    }

    /// An error inside an answer that says that all went well.
    pub fn refused(self, code: Option<&str>, message: Option<&str>) -> AwsError {
        let Self { service, operation } = self;
        AwsError::Refused {
            service,
            operation,
            code: code.unwrap_or("Unknown").to_owned(),
            message: message.unwrap_or("no message").to_owned(),
            request_id: None,
        }
    }

    pub fn unexpected(self, what: impl Into<String>) -> AwsError {
        AwsError::Unexpected { service: self.service, operation: self.operation, what: what.into() }
    }

    /// A field that the API promises.
    pub fn expect<T>(self, field: Option<T>, name: &str) -> Result<T, AwsError> {
        field.ok_or_else(|| self.unexpected(format!("no {name}")))
    }
}

fn http_status<E>(error: &SdkError<E, HttpResponse>) -> String {
    error.raw_response().map_or_else(|| "Unknown".to_owned(), |raw| format!("HTTP {}", raw.status().as_u16()))
}

/// What happened; the causes above it ("dispatch failure", "other", "io error") name layers of the SDK.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root
}

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Turns "there is none" into None, by code.
pub fn absent<T>(result: Result<T, AwsError>, codes: &[&str]) -> Result<Option<T>, AwsError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is(codes) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some operations answer 200 and list inside what they did not do.
    #[test]
    fn an_error_inside_an_answer_keeps_its_code() {
        let refused = |code| call("ec2", "DeleteVpcEndpoints").refused(code, Some("why")).code();
        assert_eq!(refused(Some("RequestLimitExceeded")), Code::Throttled);
        assert_eq!(refused(Some("UnauthorizedOperation")), Code::AccessDenied);
        assert_eq!(refused(None), Code::AwsRefused);
    }
}
