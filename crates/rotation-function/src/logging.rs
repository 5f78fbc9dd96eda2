//! One JSON line per invocation, on standard output, which Lambda keeps in CloudWatch Logs.
//!
//! A line of the rotation function carries its metrics with it, in CloudWatch's embedded metric format: CloudWatch
//! takes them from the log, so that no call is made, no permission is needed and nothing is lost where there is no
//! CloudWatch. See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use crate::config::Config;
use crate::error::FunctionError;
use function_contract::{env, metric};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Characters of a message kept at the most: Lambda breaks a line of more than 256 KiB in two, and two halves are
/// no JSON. An event can be as long as its sender likes, and an error may quote it.
const MESSAGE_CHARACTERS: usize = 4_000;

/// What a line tells. Every field is named here: there is no way to log "the event" or "the secret".
#[derive(Debug, Default, Serialize)]
pub struct Line<'a> {
    pub function: &'a str,
    pub deployment: &'a str,
    /// The rotation's token, which is also the version it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<&'a str>,
    /// ARN of the secret that is rotated: it is there also where no login could be told from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<&'a str>,
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
    pub milliseconds: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub notes: &'a [String],
    /// Last, so that a person who reads the line has read what concerns people.
    #[serde(flatten)]
    metrics: Option<Metrics>,
}

impl<'a> Line<'a> {
    /// A line of this function, about `step`.
    pub fn new(config: &'a Config, step: &'a str) -> Self {
        Self { function: config.function.as_str(), deployment: &config.deployment, step, ..Self::default() }
    }

    /// Adds how it ended and writes it.
    pub fn end<T>(self, result: &'a Result<T, FunctionError>, outcome: &'a str, took: Duration) {
        self.ended(result.as_ref().err(), outcome, took).write();
    }

    /// The same of a rotation's step, which is counted. `repaired`: AWSCURRENT did not log in, and now it will.
    pub fn end_counted<T>(
        self,
        result: &'a Result<T, FunctionError>,
        outcome: &'a str,
        repaired: bool,
        took: Duration,
    ) {
        self.ended(result.as_ref().err(), outcome, took).counted(result.is_err(), repaired, SystemTime::now()).write();
    }

    fn write(&self) {
        // A line that cannot be written is no reason to fail a rotation that has succeeded.
        if let Ok(text) = serde_json::to_string(self) {
            println!("{text}");
        }
    }

    fn ended(mut self, error: Option<&'a FunctionError>, outcome: &'a str, took: Duration) -> Self {
        self.milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.outcome = outcome;
        if let Some(error) = error {
            self.outcome = "failed";
            self.error = Some(error.error_type());
            self.message = Some(shortened(error.to_string()));
            self.sqlstate = error.sqlstate();
        }
        self
    }

    fn counted(mut self, failed: bool, repaired: bool, at: SystemTime) -> Self {
        self.metrics = Some(Metrics {
            rotation_failed: failed.into(),
            login_repaired: repaired.into(),
            step_milliseconds: self.milliseconds,
            aws: Metadata {
                timestamp: at
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
                directives: DIRECTIVES,
            },
        });
        self
    }
}

fn shortened(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARACTERS) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// Writes the line of a function whose environment cannot be used. What of it can be read is told.
pub fn not_ready(error: &FunctionError) {
    let [function, deployment] = [env::FUNCTION, env::DEPLOYMENT].map(|name| std::env::var(name).unwrap_or_default());
    let line = Line { function: &function, deployment: &deployment, step: "start", ..Line::default() };
    line.ended(Some(error), "", Duration::ZERO).write();
}

/// The values, and how CloudWatch is to take them: the names are those that the directives refer to.
#[derive(Debug, Clone, Serialize)]
struct Metrics {
    #[serde(rename = "RotationFailed")]
    rotation_failed: u8,
    #[serde(rename = "LoginRepaired")]
    login_repaired: u8,
    #[serde(rename = "StepMilliseconds")]
    step_milliseconds: u64,
    #[serde(rename = "_aws")]
    aws: Metadata,
}

#[derive(Debug, Clone, Serialize)]
struct Metadata {
    /// Unix milliseconds.
    #[serde(rename = "Timestamp")]
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: &'static [Directive],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: &'static [Definition],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

/// Six or seven metrics of a deployment, however many logins it has.
const DIRECTIVES: &[Directive] = &[
    Directive {
        namespace: metric::NAMESPACE,
        dimensions: &[&[metric::DEPLOYMENT]],
        metrics: &[
            Definition { name: metric::ROTATION_FAILED, unit: "Count" },
            Definition { name: metric::LOGIN_REPAIRED, unit: "Count" },
        ],
    },
    Directive {
        namespace: metric::NAMESPACE,
        dimensions: &[&[metric::DEPLOYMENT, metric::STEP]],
        metrics: &[Definition { name: metric::STEP_MILLISECONDS, unit: "Milliseconds" }],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Function, Hosts};
    use crate::database::DatabaseError;
    use serde_json::{Value, json};

    fn config() -> Config {
        Config {
            function: Function::Rotation,
            deployment: "article".into(),
            hosts: Hosts::default(),
            admin_secret_arn: String::new(),
            master_secret_arn: None,
            lock_database: String::new(),
        }
    }

    fn refused(message: &str) -> FunctionError {
        let error = DatabaseError::Refused {
            server: "db:5432".into(),
            what: "the login",
            sqlstate: "28P01".into(),
            message: message.into(),
        };
        error.into()
    }

    fn text(line: &Line<'_>) -> String {
        serde_json::to_string(line).unwrap()
    }

    #[test]
    fn a_line_says_what_whose_and_how_it_ended() {
        let config = config();
        let line = || Line {
            rotation: Some("token"),
            secret: Some("arn:app"),
            login: Some("app"),
            ..Line::new(&config, "setSecret")
        };
        let took = Duration::from_millis(12);
        assert_eq!(
            text(&line().ended(None, "password set", took)),
            r#"{"function":"rotation","deployment":"article","rotation":"token","secret":"arn:app","login":"app","step":"setSecret","outcome":"password set","milliseconds":12}"#
        );
        let failed = refused("no");
        let failed: Value = serde_json::from_str(&text(&line().ended(Some(&failed), "", took))).unwrap();
        for (key, value) in [
            ("rotation", json!("token")),
            ("secret", json!("arn:app")),
            ("login", json!("app")),
            ("step", json!("setSecret")),
            ("outcome", json!("failed")),
            ("error", json!("DatabaseRefused")),
            ("sqlstate", json!("28P01")),
            ("milliseconds", json!(12)),
        ] {
            assert_eq!(failed[key], value, "{key}");
        }
    }

    #[test]
    fn whatever_an_error_says_it_stays_one_line_of_bounded_length() {
        let config = config();
        let failed = refused(&"two\nlines\r\u{2028} \"and\" é".repeat(50_000));
        let line = text(
            &Line::new(&config, "setSecret").ended(Some(&failed), "", Duration::ZERO).counted(true, false, UNIX_EPOCH),
        );
        assert!(!line.contains(['\n', '\r']) && line.len() < 32_768, "{}", line.len());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert!(read["message"].as_str().unwrap().ends_with('…'));
        assert_eq!(read["RotationFailed"], 1);
    }

    #[test]
    fn metrics_are_in_the_same_line_after_all_else() {
        let config = config();
        let at = UNIX_EPOCH + Duration::from_millis(1_772_323_927_123);
        let line = Line { rotation: Some("token"), login: Some("app"), ..Line::new(&config, "setSecret") };
        let line = line.ended(None, "password set", Duration::from_millis(12)).counted(false, true, at);
        assert_eq!(
            text(&line),
            concat!(
                r#"{"function":"rotation","deployment":"article","rotation":"token","login":"app","step":"setSecret","#,
                r#""outcome":"password set","milliseconds":12,"RotationFailed":0,"LoginRepaired":1,"StepMilliseconds":12,"#,
                r#""_aws":{"Timestamp":1772323927123,"CloudWatchMetrics":[{"Namespace":"pgrotate","Dimensions":[["deployment"]],"#,
                r#""Metrics":[{"Name":"RotationFailed","Unit":"Count"},{"Name":"LoginRepaired","Unit":"Count"}]},"#,
                r#"{"Namespace":"pgrotate","Dimensions":[["deployment","step"]],"#,
                r#""Metrics":[{"Name":"StepMilliseconds","Unit":"Milliseconds"}]}]}}"#,
            )
        );
    }

    /// What the specification asks of a document: every name that a directive refers to is a member of the root,
    /// dimensions as text, values as numbers.
    #[test]
    fn metrics_are_valid() {
        let config = config();
        let failed = refused("no");
        let line = Line::new(&config, "unreadable").ended(Some(&failed), "", Duration::from_secs(u64::MAX));
        let read: Value = serde_json::from_str(&text(&line.counted(true, false, SystemTime::now()))).unwrap();
        assert!(read["_aws"]["Timestamp"].as_u64().is_some_and(|at| at > 1_700_000_000_000));
        let directives = read["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 2);
        for directive in directives {
            assert!((1..=256).contains(&directive["Namespace"].as_str().unwrap().len()));
            for name in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
                let value = read[name.as_str().unwrap()].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()) && value.is_ascii(), "{value}");
            }
            for definition in directive["Metrics"].as_array().unwrap() {
                assert!(read[definition["Name"].as_str().unwrap()].is_number(), "{definition}");
                assert!(["Count", "Milliseconds"].contains(&definition["Unit"].as_str().unwrap()));
            }
        }
        let names = [metric::ROTATION_FAILED, metric::LOGIN_REPAIRED, metric::STEP_MILLISECONDS];
        assert!(names.iter().all(|name| read[*name].is_number()), "the contract's names: {read}");
    }
}
