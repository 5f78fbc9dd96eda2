//! What the functions log: one JSON line a step, in CloudWatch Logs.

use super::LiveError;
use super::functions::FunctionNames;
use crate::aws::{Aws, absent, call};
use function_contract::metric;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;

/// For how long back errors are looked for: a rotation that has not ended by then is stuck, whatever it said.
const ERRORS_OF_MILLISECONDS: i64 = 60 * 60 * 1000;

/// The function's lines of the last hour that tell of an error, the latest last.
pub(super) async fn errors(aws: &Aws, function: &str) -> Result<Vec<String>, LiveError> {
    let filter = call("logs", "FilterLogEvents");
    let since = jiff::Timestamp::now().as_millisecond() - ERRORS_OF_MILLISECONDS;
    let request = aws
        .logs
        .filter_log_events()
        .log_group_name(FunctionNames::log_group(function))
        .filter_pattern("\"error\"")
        .start_time(since);
    let pages = request.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = absent(pages.map_err(|error| filter.failed(error)), &["ResourceNotFoundException"])?;
    let mut events: Vec<_> = pages
        .iter()
        .flatten()
        .flat_map(|page| page.events())
        .filter_map(|event| Some((event.timestamp(), for_people(event.message()?.trim()))))
        .collect();
    events.sort_by_key(|(at, _)| *at);
    Ok(events.into_iter().map(|(_, message)| message).collect())
}

/// Of a function's errors the last that may be about the rotation `token`: its own line, or one of nobody's,
/// such as Lambda's own when time ran out.
pub(super) fn error_about<'a>(errors: &'a [String], token: &str) -> Option<&'a str> {
    let concerns = |line: &&String| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(line) => line["rotation"].as_str().is_none_or(|rotation| rotation == token),
        Err(_) => true,
    };
    errors.iter().rev().find(concerns).map(String::as_str)
}

/// One line of a function's log about one rotation.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Unix milliseconds.
    pub at: i64,
    pub step: String,
    /// `failed`, or what the step did.
    pub outcome: String,
    pub message: Option<String>,
    pub milliseconds: u64,
}

/// What the rotation function has logged of the rotation `token` since `since` (Unix milliseconds), in
/// order. Logs arrive some seconds late.
pub async fn log_of(aws: &Aws, function: &str, token: &str, since: i64) -> Result<Vec<LogLine>, LiveError> {
    let mut lines = Vec::new();
    for_each_line(aws, function, token, since, |at, _, line| {
        if line["rotation"].as_str() == Some(token) {
            lines.push(LogLine {
                at,
                step: line["step"].as_str().unwrap_or("?").to_owned(),
                outcome: line["outcome"].as_str().unwrap_or("?").to_owned(),
                message: line["message"].as_str().map(str::to_owned),
                milliseconds: line["milliseconds"].as_u64().unwrap_or(0),
            });
        }
    })
    .await?;
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

/// The last lines, at most `most`, that a function has logged about `login` since `since` (Unix
/// milliseconds), as they are but for what is in them for CloudWatch.
pub async fn log_about(
    aws: &Aws,
    function: &str,
    login: &str,
    since: i64,
    most: usize,
) -> Result<Vec<(i64, String)>, LiveError> {
    let mut found = Vec::new();
    for_each_line(aws, function, login, since, |at, text, line| {
        if line["login"].as_str() == Some(login) {
            found.push((at, for_people(text)));
        }
    })
    .await?;
    found.sort();
    Ok(found.split_off(found.len().saturating_sub(most)))
}

/// A log line without its metrics, which tell a person nothing that the rest does not.
fn for_people(text: &str) -> String {
    let metrics = ["_aws", metric::ROTATION_FAILED, metric::LOGIN_REPAIRED, metric::STEP_MILLISECONDS];
    match serde_json::from_str::<Members>(text) {
        Ok(Members(members)) => {
            let kept = members.iter().filter(|(key, _)| !metrics.contains(&key.as_str()));
            let kept: Vec<_> =
                kept.map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key.as_str()))).collect();
            format!("{{{}}}", kept.join(","))
        }
        Err(_) => text.trim().to_owned(),
    }
}

/// An object's members in the order in which they stand: a map of serde_json's sorts them.
struct Members(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Every JSON line of a function's log that holds `term`: (Unix milliseconds, text, the line read).
async fn for_each_line(
    aws: &Aws,
    function: &str,
    term: &str,
    since: i64,
    mut each: impl FnMut(i64, &str, &serde_json::Value),
) -> Result<(), LiveError> {
    let filter = call("logs", "FilterLogEvents");
    let request = aws
        .logs
        .filter_log_events()
        .log_group_name(FunctionNames::log_group(function))
        // A quoted term is looked for as it stands; a quote inside is escaped.
        .filter_pattern(format!("\"{}\"", term.replace('\\', "\\\\").replace('"', "\\\"")))
        .start_time(since);
    let mut pages = request.into_paginator().send();
    while let Some(page) = pages.next().await {
        let Some(page) = absent(page.map_err(|error| filter.failed(error)), &["ResourceNotFoundException"])? else {
            break;
        };
        for event in page.events() {
            // Lambda's own lines (START, REPORT) are not JSON and not ours.
            if let Some(text) = event.message()
                && let Ok(line) = serde_json::from_str(text)
            {
                each(event.timestamp().unwrap_or(since), text, &line);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_shown_a_line_without_its_metrics() {
        let line = concat!(
            r#" {"step":"setSecret","login":"Ünusual \"user\"","outcome":"password set","milliseconds":12,"notes":["a, b"],"#,
            r#""RotationFailed":0,"LoginRepaired":0,"StepMilliseconds":12,"_aws":{"CloudWatchMetrics":[{"Namespace":"pgrotate"}]}}"#,
            "\n"
        );
        assert_eq!(
            for_people(line),
            r#"{"step":"setSecret","login":"Ünusual \"user\"","outcome":"password set","milliseconds":12,"notes":["a, b"]}"#
        );
        assert_eq!(for_people("START RequestId: 1\n"), "START RequestId: 1");
        assert_eq!(for_people("[1]"), "[1]");
    }

    #[test]
    fn another_rotation_s_error_explains_nothing() {
        let line = |rotation: &str| format!(r#"{{"level":"error","rotation":"{rotation}","outcome":"failed"}}"#);
        let timeout = "2026-01-01T00:00:00Z Task timed out after 60.00 seconds, error".to_owned();
        let errors = [line("mine"), timeout.clone(), line("theirs")];
        assert_eq!(error_about(&errors, "mine"), Some(timeout.as_str()));
        assert_eq!(error_about(&errors[..1], "mine"), Some(errors[0].as_str()));
        assert_eq!(error_about(&errors[2..], "mine"), None);
    }
}
