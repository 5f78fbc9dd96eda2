//! From an invocation's payload to its answer.

use crate::config::{Config, Function};
use crate::context::Context;
use crate::database::{Database, Session};
use crate::error::FunctionError;
use crate::event::RotationEvent;
use crate::logging::Line;
use crate::rotation::{REPAIRED, Report};
use crate::store::SecretStore;
use crate::watch::{Watch, WatchedDatabase, WatchedStore};
use function_contract::{InspectionRequest, ProvisioningRequest};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Kept back from the invocation's time for closing connections and answering.
const MARGIN: Duration = Duration::from_secs(3);

/// How long sessions get to say goodbye when the time has run out, before Lambda freezes the process.
const GOODBYE: Duration = Duration::from_millis(200);

/// Answers one invocation, whose time ends `remaining` from now, and logs one line about it.
pub async fn handle<S: SecretStore, D: Database<Session: Session>>(
    config: &Config,
    store: &S,
    database: &D,
    payload: Value,
    remaining: Duration,
) -> Result<Value, FunctionError> {
    let began = Instant::now();
    let watch = Watch::default();
    let (store, database) = (WatchedStore(store, &watch), WatchedDatabase(database, &watch));
    let context = Context::new(config, &store, &database, began + remaining.saturating_sub(MARGIN));
    match config.function {
        Function::Rotation => {
            let event = logged(config, began, RotationEvent::parse(payload))?;
            let mut report = Report::default();
            let result = in_time(&context, &watch, event.step.as_str(), context.rotate(&event, &mut report)).await;
            let mut line = Line::new(config, event.step.as_str());
            line.rotation = Some(&event.token);
            line.secret = Some(&event.secret);
            line.login = report.login.as_deref();
            line.notes = &report.notes;
            line.end_counted(&result, report.outcome, report.outcome == REPAIRED, began.elapsed());
            result.map(|()| Value::Null)
        }
        Function::Provisioning => {
            let request: ProvisioningRequest = logged(config, began, read(payload))?;
            let (step, outcome, login) = match &request {
                ProvisioningRequest::EnsureLogin(ensure) => ("ensureLogin", "ensured", &ensure.login),
                ProvisioningRequest::DisableLogin { login, .. } => ("disableLogin", "disabled", login),
                ProvisioningRequest::DropLogin { login, .. } => ("dropLogin", "dropped", login),
                ProvisioningRequest::RecoverLogin(recover) => ("recoverLogin", "recovered", &recover.login),
            };
            let result = in_time(&context, &watch, step, context.provision(&request)).await;
            let mut line = Line::new(config, step);
            line.login = Some(login);
            line.notes = result.as_ref().map_or(&[], |done| done.notes.as_slice());
            line.end(&result, outcome, began.elapsed());
            answer(result?)
        }
        Function::Inspection => {
            let request: InspectionRequest = logged(config, began, read(payload))?;
            let result = in_time(&context, &watch, "inspect", context.inspect(&request)).await;
            Line::new(config, "inspect").end(&result, "inspected", began.elapsed());
            answer(result?)
        }
    }
}

/// Lets `work` run as long as there is time. To be stopped anywhere is safe for it, and an answer that says
/// so, and what was waited for, is better than Lambda's "Task timed out".
async fn in_time<S, D, T>(
    context: &Context<'_, S, D>,
    watch: &Watch,
    step: &'static str,
    work: impl Future<Output = Result<T, FunctionError>>,
) -> Result<T, FunctionError> {
    match tokio::time::timeout_at(context.until, work).await {
        Ok(result) => result,
        Err(_) => {
            let waiting_for = watch.waiting_for();
            tokio::time::sleep(GOODBYE).await;
            Err(FunctionError::OutOfTime { step, waiting_for })
        }
    }
}

/// Logs an event that could not be read.
fn logged<T>(config: &Config, began: Instant, result: Result<T, FunctionError>) -> Result<T, FunctionError> {
    if result.is_err() {
        let line = Line::new(config, "unreadable");
        match config.function {
            // Secrets Manager takes it for a rotation that failed.
            Function::Rotation => line.end_counted(&result, "", false, began.elapsed()),
            Function::Provisioning | Function::Inspection => line.end(&result, "", began.elapsed()),
        }
    }
    result
}

fn read<T: serde::de::DeserializeOwned>(payload: Value) -> Result<T, FunctionError> {
    // Requests of the CLI hold no secret, so the parser's own words may be passed on.
    serde_json::from_value(payload).map_err(FunctionError::NotUnderstood)
}

fn answer<T: serde::Serialize>(answer: T) -> Result<Value, FunctionError> {
    serde_json::to_value(answer)
        .map_err(|error| FunctionError::BadEvent(format!("the answer cannot be written: {error}")))
}
