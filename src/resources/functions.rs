//! Invoking the deployed functions.

use super::LiveError;
use super::artifact::CodePlace;
use crate::aws::{Aws, AwsError, absent, call};
use crate::execute::Applied;
use crate::model::Place;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::Environment;
use function_contract::error_type;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Names of the three functions, derived from the configured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionNames {
    pub rotation: String,
    pub provisioning: String,
    pub inspection: String,
}

impl FunctionNames {
    /// All three.
    pub fn all(&self) -> [&str; 3] {
        [&self.rotation, &self.provisioning, &self.inspection]
    }

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

/// A deployed function, as far as it can be changed behind its stack.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionLook {
    pub environment: BTreeMap<String, String>,
    /// SHA-256 of the zip, in Base64, as Lambda tells it.
    pub code: String,
    /// Seconds.
    pub timeout: i64,
    /// MiB.
    pub memory: i64,
}

impl FunctionLook {
    /// Of all that was looked at.
    pub fn digest(&self) -> String {
        let Self { environment, code, timeout, memory } = self;
        crate::model::digest(format!("{environment:?} {code} {timeout} {memory}").as_bytes())
    }

    /// Equal but for the code.
    pub fn same_settings(&self, other: &Self) -> bool {
        let Self { environment, code: _, timeout, memory } = self;
        (environment, timeout, memory) == (&other.environment, &other.timeout, &other.memory)
    }
}

/// Looks at a function; None where there is no such function.
pub(super) async fn look(aws: &Aws, function: &str) -> Result<Option<FunctionLook>, LiveError> {
    let get = call("lambda", "GetFunctionConfiguration");
    let answer = aws.lambda.get_function_configuration().function_name(function).send().await;
    let answer = absent(answer.map_err(|error| get.failed(error)), &["ResourceNotFoundException"])?;
    Ok(answer.map(|answer| FunctionLook {
        environment: answer
            .environment()
            .and_then(|environment| environment.variables())
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        code: answer.code_sha256().unwrap_or_default().to_owned(),
        timeout: answer.timeout().map_or(0, i64::from),
        memory: answer.memory_size().map_or(0, i64::from),
    }))
}

/// Puts a function's environment, timeout and memory back; NotYet while Lambda still changes it.
pub(super) async fn configure(aws: &Aws, function: &str, want: &FunctionLook) -> Result<Applied, LiveError> {
    let update = call("lambda", "UpdateFunctionConfiguration");
    let number = |value: i64| i32::try_from(value).ok();
    let request = aws
        .lambda
        .update_function_configuration()
        .function_name(function)
        .environment(Environment::builder().set_variables(Some(want.environment.clone().into_iter().collect())).build())
        .set_timeout(number(want.timeout))
        .set_memory_size(number(want.memory));
    busy(request.send().await.map_err(|error| update.failed(error)))
}

/// Puts a function's code back.
pub(super) async fn put_code(aws: &Aws, function: &str, place: &CodePlace) -> Result<Applied, LiveError> {
    let update = call("lambda", "UpdateFunctionCode");
    let request = aws.lambda.update_function_code().function_name(function);
    let request = request.s3_bucket(&place.bucket).s3_key(&place.key);
    busy(request.send().await.map_err(|error| update.failed(error)))
}

/// Lambda takes one change at a time.
fn busy<T>(answer: Result<T, AwsError>) -> Result<Applied, LiveError> {
    match answer {
        Ok(_) => Ok(Applied::Accepted),
        Err(error) if error.is(&["ResourceConflictException"]) => {
            Ok(Applied::NotYet { saying: "Lambda is still changing the function".to_owned() })
        }
        Err(error) => Err(error.into()),
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
    // The deployed function may be of another version; its answers hold no secret.
    let answer = serde_json::from_slice(body).map_err(|error| FunctionError {
        function: function.to_owned(),
        error_type: error_type::NOT_UNDERSTOOD.to_owned(),
        message: format!("it answered what this version does not read: {error}"),
    })?;
    Ok(Some(answer))
}
