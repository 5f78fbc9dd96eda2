//! The process Lambda starts: reads its environment once, then answers invocations.

// An invocation's future holds all that it may come to wait for, one within the other.
#![recursion_limit = "256"]

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use rotation_function::config::{Config, ConfigError};
use rotation_function::database::Postgres;
use rotation_function::error::FunctionError;
use rotation_function::store::AwsStore;
use rotation_function::{handler, logging, store, tls};
use serde_json::Value;
use std::path::PathBuf;
use std::time::SystemTime;

/// Where Lambda unpacks the zip; a bundle of the user's own authorities lies there.
const TASK_ROOT: &str = "LAMBDA_TASK_ROOT";

struct Ready {
    config: Config,
    store: AwsStore,
    database: Postgres,
}

/// A failed invocation, as Lambda reports it: `errorType` and `errorMessage`.
#[derive(Debug)]
struct Failure(Diagnostic);

impl From<&FunctionError> for Failure {
    fn from(error: &FunctionError) -> Self {
        Self(Diagnostic { error_type: error.error_type().to_owned(), error_message: error.to_string() })
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

async fn ready() -> Result<Ready, ConfigError> {
    let config = Config::from_env()?;
    let folder = std::env::var_os(TASK_ROOT).map(PathBuf::from);
    let database = Postgres::new(tls::client(folder.as_deref())?, config.hosts.clone());
    Ok(Ready { config, store: store::from_env().await, database })
}

// One thread: an invocation waits for the network nearly all the time, and a pool costs start-up time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    // What is wrong with the environment each invocation answers: a process that ended instead would be
    // started again and again, and its reason would be found in no answer.
    let ready = ready().await.map_err(FunctionError::from);
    let ready = &ready;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| -> Result<Value, Failure> {
        let ready = ready.as_ref().inspect_err(|error| logging::not_ready(error)).map_err(Failure::from)?;
        let remaining = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let result = handler::handle(&ready.config, &ready.store, &ready.database, event.payload, remaining).await;
        result.map_err(|error| Failure::from(&error))
    }))
    .await
}
