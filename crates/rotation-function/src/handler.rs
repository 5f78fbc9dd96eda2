//! From an invocation's payload to its answer.

use crate::config::{Config, Function};
use crate::context::Context;
use crate::database::Database;
use crate::error::FunctionError;
use crate::event::RotationEvent;
use crate::logging::Line;
use crate::rotation::Report;
use crate::store::SecretStore;
use function_contract::{InspectionRequest, ProvisioningRequest};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Kept back from the invocation's time for closing connections and answering.
const MARGIN: Duration = Duration::from_secs(3);

/// Answers one invocation, whose time ends `remaining` from now, and logs one line about it.
pub async fn handle<S: SecretStore, D: Database>(
    config: &Config,
    store: &S,
    database: &D,
    payload: Value,
    remaining: Duration,
) -> Result<Value, FunctionError> {
    let began = Instant::now();
    let context = Context { config, store, database, until: began + remaining.saturating_sub(MARGIN) };
    match config.function {
        Function::Rotation => {
            let event = match RotationEvent::parse(payload) {
                Ok(event) => event,
                Err(error) => {
                    let result: Result<Value, _> = Err(error);
                    Line::new(config, "unreadable").end(&result, "", began.elapsed());
                    return result;
                }
            };
            let mut report = Report::default();
            let result = context.rotate(&event, &mut report).await;
            let mut line = Line::new(config, event.step.as_str());
            line.rotation = Some(&event.token);
            line.login = report.login.as_deref();
            line.notes = &report.notes;
            line.end(&result, report.outcome, began.elapsed());
            result.map(|()| Value::Null)
        }
        Function::Provisioning => {
            let request: ProvisioningRequest = read(payload)?;
            let (step, login) = match &request {
                ProvisioningRequest::EnsureLogin(ensure) => ("ensureLogin", ensure.login.clone()),
                ProvisioningRequest::DisableLogin { login, .. } => ("disableLogin", login.clone()),
            };
            let result = context.provision(&request).await;
            let mut line = Line::new(config, step);
            line.login = Some(&login);
            line.notes = result.as_ref().map_or(&[], |done| done.notes.as_slice());
            line.end(&result, "ensured", began.elapsed());
            answer(result?)
        }
        Function::Inspection => {
            let request: InspectionRequest = read(payload)?;
            let result = context.inspect(&request).await;
            Line::new(config, "inspect").end(&result, "inspected", began.elapsed());
            answer(result?)
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(payload: Value) -> Result<T, FunctionError> {
    // Requests of the CLI hold no secret, so the parser's own words may be passed on.
    serde_json::from_value(payload)
        .map_err(|error| FunctionError::BadEvent(format!("the request is not understood: {error}")))
}

fn answer<T: serde::Serialize>(answer: T) -> Result<Value, FunctionError> {
    serde_json::to_value(answer)
        .map_err(|error| FunctionError::BadEvent(format!("the answer cannot be written: {error}")))
}
