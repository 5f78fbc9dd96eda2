//! Lint: what AWS takes, works, and is regretted later. Pure: from the config, and for what no config tells from what was
//! seen in AWS. What is meant is allowed in the config's `[lint]`, with its reason.

mod declared;
mod proxies;
mod schedules;
#[cfg(test)]
mod tests;

use crate::aws::ProxyLook;
use crate::config::{Config, LintCode, Source};
use crate::model::Place;
use function_contract::Strategy;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// Names told of a finding at most: of a thousand logins with one schedule, some are enough to know which.
const NAMED: usize = 5;

/// One thing that is allowed and often regretted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Lint")]
pub struct Finding {
    pub code: LintCode,
    /// Whose: logins, a CIDR, a proxy; what `of` takes in the config. Nobody's, where there is only one of its kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// The file that the config extends and the line is in; None: it is in the config itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// In the config; None: no line of it is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip)]
    pub span: Option<Range<usize>>,
    /// What is found, in a sentence.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it, where it is not meant.
    pub hint: String,
}

impl Finding {
    /// Where it is, as it stands behind the code; nothing where no line is to blame.
    pub fn place(&self) -> String {
        match (self.line, &self.file) {
            (Some(line), Some(file)) => format!(" ({file}:{line})"),
            (Some(line), None) => format!(" (line {line})"),
            (None, _) => String::new(),
        }
    }
}

/// What was seen of AWS.
#[derive(Debug, Clone, Copy)]
pub struct Live<'a> {
    /// Where the secrets are.
    pub place: &'a Place,
    /// Or why they could not be seen.
    pub proxies: Result<&'a [ProxyLook], &'a str>,
}

/// A finding of one login, CIDR or proxy.
struct Found {
    code: LintCode,
    of: Option<String>,
    span: Option<Range<usize>>,
    what: String,
    hint: String,
}

impl Found {
    fn new(code: LintCode, span: &Range<usize>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, of: None, span: Some(span.clone()), what: what.into(), hint: hint.into() }
    }

    fn of(mut self, whose: &str) -> Self {
        self.of = Some(whose.to_owned());
        self
    }
}

/// Whether anything can be wrong with a proxy: no other login has a second user.
pub fn concerns_proxies(config: &Config) -> bool {
    config.users.iter().any(|user| user.strategy == Strategy::AlternatingUsers)
}

/// What is found and not allowed, in the file's order. Without `live`, nothing is said of what only AWS can tell.
pub fn lint(config: &Config, source: &Source, live: Option<Live<'_>>) -> Vec<Finding> {
    let mut found = declared::lint(config);
    found.extend(schedules::lint(config));
    found.extend(live.map(|live| proxies::lint(config, live)).into_iter().flatten());

    let mut used = vec![false; config.lint.allow.len()];
    found.retain(|found| {
        let mut allowed = false;
        for (entry, used) in config.lint.allow.iter().zip(&mut used) {
            if entry.code.value == found.code && (entry.of.is_none() || entry.of == found.of) {
                *used = true;
                allowed = true;
            }
        }
        !allowed
    });
    let proxies_seen = live.is_some_and(|live| live.proxies.is_ok());
    for (entry, used) in config.lint.allow.iter().zip(used) {
        let code = entry.code.value;
        let can_tell = !code.is_live() || (live.is_some() && (proxies_seen || code == LintCode::ProxiesUnseen));
        if !used && can_tell {
            let of = entry.of.as_ref().map(|of| format!(" of `{of}`")).unwrap_or_default();
            let what = format!("there is no `{code}`{of} to allow");
            found.push(Found::new(LintCode::UnusedAllow, &entry.code.span, what, "take the entry out of [lint]"));
        }
    }
    together(found, source)
}

/// One finding of those that say the same of the same line: of a default, not one for each login.
fn together(found: Vec<Found>, source: &Source) -> Vec<Finding> {
    type Key = (usize, usize, LintCode, String, String);
    let mut all: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    for Found { code, of, span, what, hint } in found {
        // What has no line comes last.
        let (start, end) = span.map_or((usize::MAX, usize::MAX), |span| (span.start, span.end));
        all.entry((start, end, code, what, hint)).or_default().extend(of);
    }
    let finding = |((start, end, code, what, hint), of): (Key, Vec<String>)| {
        let span = (start != usize::MAX).then_some(start..end);
        Finding {
            code,
            file: span.as_ref().and_then(|span| source.line(span.start).base).map(str::to_owned),
            line: span.as_ref().map(|span| source.position(span.start).0),
            span,
            what: if of.is_empty() { what } else { format!("{what} ({})", named(&of)) },
            of,
            why: code.why(),
            hint,
        }
    };
    all.into_iter().map(finding).collect()
}

fn named(all: &[String]) -> String {
    let told = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}
