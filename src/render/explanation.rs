//! Why one resource is planned for as it is: `explain`.

use super::document::Head;
use crate::drift::{DriftCode, Severity};
use crate::model::{Address, Facts};
use crate::resource::{Attribute, Deferral, Note, Risk, Verb};
use schemars::JsonSchema;
use serde::Serialize;

/// What one resource comes from, how it stands, and what is planned for it and why: `explain --format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExplanationDocument {
    #[serde(flatten)]
    pub head: Head,
    pub address: Address,
    /// The config file, as it was named.
    pub config: String,
    /// Whether the config wants it; otherwise it is there from before, and goes.
    pub declared: bool,
    /// What of the config it comes from, in the file's order. What is left to a default stands nowhere.
    pub lines: Vec<ConfigLine>,
    pub seen: Seen,
    /// What a plan goes by of what was seen. What may hold a secret is there as its digest.
    pub facts: Facts,
    /// What is planned for it, in this order; nothing where it is as declared.
    pub steps: Vec<ExplainedStep>,
    /// To be known, though no step follows from it.
    pub notes: Vec<Note>,
    /// Wanted, and not in this plan.
    pub deferred: Vec<Deferral>,
    /// What it refers to.
    pub refers_to: Vec<Reason>,
    /// What refers to it.
    pub referred_to_by: Vec<Reason>,
}

/// A line of the config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigLine {
    /// The file that the config extends and the line is in; left out where it is in the config itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    pub line: usize,
    /// As it stands there.
    pub text: String,
}

/// What was found where the resource should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    Present,
    Absent,
    /// Nobody could look.
    Unobservable,
}

/// One step, and why it is there, at that place.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExplainedStep {
    /// Which of the address's changes it is.
    pub change: &'static str,
    pub verb: Verb,
    /// What it makes good.
    pub drift: Vec<ExplainedDrift>,
    pub risk: Risk,
    /// Why, where the attributes do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What of it changes.
    pub attributes: Vec<Attribute>,
    /// What stays behind once it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
    /// What must be done first; what these wait for themselves is left out.
    pub waits_for: Vec<Reason>,
    /// What is done only after it.
    pub waited_for_by: Vec<Reason>,
}

/// One thing that is not as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExplainedDrift {
    pub code: DriftCode,
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub what: String,
}

/// Another resource or action, and what binds the two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Reason {
    /// The other's address, and which of its steps where there is more than one.
    pub of: String,
    /// Why the one that comes later needs the one that comes first.
    pub why: &'static str,
}
