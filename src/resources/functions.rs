//! Invoking the deployed functions.

use super::LiveError;
use crate::aws::{Aws, absent, call};
use crate::model::Place;
use aws_sdk_lambda::primitives::Blob;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Names of the three functions, derived from the configured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionNames {
    pub rotation: String,
    pub provisioning: String,
    pub inspection: String,
}

impl FunctionNames {
    pub fn derive(rotation: &str) -> Self {
        Self {
            rotation: rotation.to_owned(),
            provisioning: format!("{rotation}-provisioning"),
            inspection: format!("{rotation}-inspection"),
        }
    }

    pub fn rotation_arn(&self, place: &Place) -> String {
        place.arn("lambda", &format!("function:{}", self.rotation))
    }

    /// Where Lambda writes a function's log.
    pub fn log_group(function: &str) -> String {
        format!("/aws/lambda/{function}")
    }
}

/// A function ran and failed, by its own account.
#[derive(Debug, thiserror::Error)]
#[error("the function {function} failed: {error_type}: {message}")]
pub struct FunctionError {
    pub function: String,
    /// One of `function_contract::error_type`, or what Lambda itself says (`Sandbox.Timedout`, …).
    pub error_type: String,
    pub message: String,
}

/// Invokes `function` and waits for its answer; None where there is no such function.
pub(super) async fn invoke<Q: Serialize, A: DeserializeOwned>(
    aws: &Aws,
    function: &str,
    request: &Q,
) -> Result<Option<A>, LiveError> {
    let invoke = call("lambda", "Invoke");
    let payload = serde_json::to_vec(request).map_err(|error| invoke.unexpected(error.to_string()))?;
    let answer = aws.lambda.invoke().function_name(function).payload(Blob::new(payload)).send().await;
    let Some(answer) = absent(answer.map_err(|error| invoke.failed(error)), &["ResourceNotFoundException"])? else {
        return Ok(None);
    };
    let body = answer.payload().map(|blob| blob.as_ref()).unwrap_or_default();
    if answer.function_error().is_some() {
        let error: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| error.get(name).and_then(|value| value.as_str()).unwrap_or("unknown").to_owned();
        return Err(FunctionError {
            function: function.to_owned(),
            error_type: field("errorType"),
            message: field("errorMessage"),
        }
        .into());
    }
    let answer = serde_json::from_slice(body)
        .map_err(|error| invoke.unexpected(format!("{function} answered what this version does not read: {error}")))?;
    Ok(Some(answer))
}
