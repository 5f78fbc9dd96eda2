//! What is told of each call of AWS's APIs where somebody asks for it (`--verbose`): which one, how long it took and what
//! came of it. Never what was asked or answered: neither body nor header nor parameter is looked at, but for the id of
//! the request and the code of an error.

use aws_sdk_sts::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde_json::Value;
use std::time::Instant;
use tracing::{Level, debug, enabled, info};

/// Of all that is logged: nothing else of what goes on in this process is, least of all in the SDK.
const TARGET: &str = crate::code::LOG;

/// Longest code that is one: nothing else of an answer gets out in its place.
const CODE: usize = 80;

/// Tells of each attempt.
#[derive(Debug)]
pub(super) struct Calls;

/// When an attempt began.
#[derive(Debug)]
struct Began(Instant);

impl Storable for Began {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "calls"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if enabled!(target: TARGET, Level::INFO) {
            let (service, operation, attempt) = named(config);
            debug!(target: TARGET, service, operation, attempt, "aws call begins");
            config.interceptor_state().store_put(Began(Instant::now()));
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Began(began)) = config.load::<Began>() else { return Ok(()) };
        let elapsed_ms = milliseconds(*began);
        let (service, operation, attempt) = named(config);
        let outcome = outcome(context);
        let request_id = context.response().and_then(request_id).unwrap_or_default();
        info!(target: TARGET, service, operation, attempt, elapsed_ms, outcome, request_id, "aws call");
        Ok(())
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn named(config: &ConfigBag) -> (String, String, u32) {
    let metadata = config.load::<Metadata>();
    let attempt = config.load::<RequestAttempts>().map_or(0, RequestAttempts::attempts);
    let of = |what: fn(&Metadata) -> &str| metadata.map(what).unwrap_or("unknown").to_owned();
    (of(Metadata::service), of(Metadata::name), attempt)
}

fn outcome(context: &FinalizerInterceptorContextRef<'_>) -> String {
    let error = match context.output_or_error() {
        Some(Ok(_)) => return "ok".to_owned(),
        Some(Err(error)) => error,
        None => return "none".to_owned(),
    };
    if error.is_timeout_error() {
        return "no answer in time".to_owned();
    }
    match context.response() {
        Some(response) => error_code(response).unwrap_or_else(|| format!("HTTP {}", response.status().as_u16())),
        None if error.is_connector_error() => "no answer".to_owned(),
        None => "not sent".to_owned(),
    }
}

/// As each service has it: some in two of its headers, most in both.
fn request_id(response: &HttpResponse) -> Option<&str> {
    ["x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"].iter().find_map(|name| response.headers().get(*name))
}

/// The code of an error, by any of the protocols that we use: in a header, in JSON, or in XML.
fn error_code(response: &HttpResponse) -> Option<String> {
    let header = response.headers().get("x-amzn-errortype").map(str::to_owned);
    code(header, response.body().bytes().unwrap_or_default())
}

fn code(header: Option<String>, body: &[u8]) -> Option<String> {
    let said = header.or_else(|| match serde_json::from_slice::<Value>(body) {
        Ok(json) => json.get("__type").or_else(|| json.get("code"))?.as_str().map(str::to_owned),
        Err(_) => {
            let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
            rest.split_once("</Code>").map(|(code, _)| code.to_owned())
        }
    })?;
    // `com.amazonaws.sts#AccessDenied` in JSON, `ResourceNotFoundException:http://…` in a header.
    let code = said.rsplit('#').next()?.split(':').next()?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'_' || b == b'-';
    (!code.is_empty() && code.len() <= CODE && code.bytes().all(fits)).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_protocols_and_nothing_else() {
        for (header, body, expected) in [
            (
                None,
                r#"{"__type":"com.amazonaws.secretsmanager#ResourceNotFoundException","message":"no"}"#,
                "ResourceNotFoundException",
            ),
            (None, r#"{"__type":"ThrottlingException"}"#, "ThrottlingException"),
            (Some("ResourceConflictException:http://internal/"), "{}", "ResourceConflictException"),
            (None, "<ErrorResponse><Error><Code>DBInstanceNotFound</Code><Message>x</Message>", "DBInstanceNotFound"),
            (None, "<Response><Errors><Error><Code>InvalidGroup.NotFound</Code>", "InvalidGroup.NotFound"),
            (None, "", ""),
            (None, "<html>secret</html>", ""),
            (None, r#"{"__type":"a secret, and no code"}"#, ""),
            (None, r#"{"__type":7}"#, ""),
            (None, "[]", ""),
        ] {
            let found = code(header.map(str::to_owned), body.as_bytes()).unwrap_or_default();
            assert_eq!(found, expected, "{body}");
        }
    }
}
