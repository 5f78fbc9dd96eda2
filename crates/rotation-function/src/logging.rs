//! One JSON line per invocation, on standard output, which Lambda keeps in CloudWatch Logs.

use crate::config::Config;
use crate::error::FunctionError;
use serde::Serialize;
use std::time::Duration;

/// What a line tells. Every field is named here: there is no way to log "the event" or "the secret".
#[derive(Debug, Default, Serialize)]
pub struct Line<'a> {
    pub function: &'a str,
    pub deployment: &'a str,
    /// The rotation's token, which is also the version it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<&'a str>,
    pub step: &'a str,
    pub outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<&'a str>,
    pub milliseconds: u128,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub notes: &'a [String],
}

impl<'a> Line<'a> {
    /// A line of this function, about `step`.
    pub fn new(config: &'a Config, step: &'a str) -> Self {
        Self { function: config.function.as_str(), deployment: &config.deployment, step, ..Self::default() }
    }

    /// Adds how it ended and writes it.
    pub fn end<T>(self, result: &'a Result<T, FunctionError>, outcome: &'a str, took: Duration) {
        // A line that cannot be written is no reason to fail a rotation that has succeeded.
        if let Ok(text) = serde_json::to_string(&self.ended(result, outcome, took)) {
            println!("{text}");
        }
    }

    fn ended<T>(mut self, result: &'a Result<T, FunctionError>, outcome: &'a str, took: Duration) -> Self {
        self.milliseconds = took.as_millis();
        self.outcome = outcome;
        if let Err(error) = result {
            self.outcome = "failed";
            self.error = Some(error.error_type());
            self.message = Some(error.to_string());
            self.sqlstate = error.sqlstate();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Function, Hosts};
    use crate::database::DatabaseError;

    #[test]
    fn a_line_says_what_whose_and_how_it_ended() {
        let config = Config {
            function: Function::Rotation,
            deployment: "article".into(),
            hosts: Hosts::default(),
            admin_secret_arn: String::new(),
            master_secret_arn: None,
            lock_database: String::new(),
        };
        let line = || Line { rotation: Some("token"), login: Some("app"), ..Line::new(&config, "setSecret") };
        let took = Duration::from_millis(12);
        let done = serde_json::to_string(&line().ended(&Ok(()), "password set", took)).unwrap();
        assert_eq!(
            done,
            r#"{"function":"rotation","deployment":"article","rotation":"token","login":"app","step":"setSecret","outcome":"password set","milliseconds":12}"#
        );
        let refused = DatabaseError::Refused {
            server: "db:5432".into(),
            what: "the login",
            sqlstate: "28P01".into(),
            message: "no".into(),
        };
        let failed: Result<(), FunctionError> = Err(refused.into());
        let failed = serde_json::to_value(line().ended(&failed, "", took)).unwrap();
        assert_eq!(failed["outcome"], "failed");
        assert_eq!(failed["error"], "DatabaseRefused");
        assert_eq!(failed["sqlstate"], "28P01");
    }
}
