//! What AWS answers when it does not do as asked, by code. Messages are shown, never matched.

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
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::NoCredentials { .. } | Self::Unreachable { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// Whether AWS's code is one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
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
