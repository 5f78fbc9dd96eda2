//! Drift: a plan's document read the other way round. A plan says what will be done and why; who asks for drift
//! wants to know what has become of what was declared.

use super::document::{ActionDocument, Head, PlanDocument, Title};
use crate::drift::{Drift, DriftCode, Severity};
use crate::model::{Address, Shown};
use crate::resource::{Note, Refusal, Remedy, Step, Verb};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// What has moved away from the config: `drift --format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DriftDocument {
    #[serde(flatten)]
    pub head: Head,
    /// Most severe first, then by address.
    pub findings: Vec<Finding>,
    /// How many resources are as declared.
    pub unchanged: usize,
}

/// One thing that is not as declared.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finding {
    pub address: Address,
    /// Under which it is documented.
    pub code: DriftCode,
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub what: String,
    /// Since when, where AWS tells: RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Whether nothing of it is there: `moved` then tells all that was declared of it.
    pub missing: bool,
    /// What is otherwise than declared, where it can be said by attributes.
    pub moved: Vec<Moved>,
    /// The command, or the act, that mends it.
    pub fix: String,
}

/// One attribute's way from what was declared to what there is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Moved {
    /// As the plan calls it.
    pub name: &'static str,
    /// In the config, by its own key or by default.
    pub declared: Shown,
    /// In AWS, or in the database.
    pub is: Shown,
}

impl DriftDocument {
    /// `apply` is the command that carries the plan out.
    pub fn of(plan: &PlanDocument, apply: &str) -> Self {
        // Looked up for each action: a search through the plan would take as long as the plan is, each time.
        let done: BTreeSet<_> = plan.actions.iter().map(|action| (&action.address, action.verb)).collect();
        let troubled: BTreeSet<_> =
            plan.notes.iter().filter(|note| note.remedy.is_some()).map(|note| &note.address).collect();
        let of_action = |action: &ActionDocument| {
            let of_drift = |drift: &Drift| Finding {
                address: action.address.clone(),
                code: drift.code,
                severity: drift.code.severity(),
                what: drift.what().to_owned(),
                since: drift.since_text(),
                missing: action.verb == Verb::Create,
                moved: moved(action, drift),
                fix: apply.to_owned(),
            };
            let troubles = troubled.contains(&action.address);
            let untold = action.drift.iter().filter(|drift| !is_explained(drift, troubles));
            untold.map(of_drift).collect::<Vec<_>>()
        };
        let of_note = |note: &Note| {
            let Remedy { code, fix, since } = note.remedy.clone()?;
            Some(Finding {
                address: note.address.clone(),
                code,
                severity: code.severity(),
                what: note.text.clone(),
                since,
                missing: false,
                moved: Vec::new(),
                fix,
            })
        };
        let untold = plan.actions.iter().filter(|action| !is_told(&done, action));
        let mut findings: Vec<_> = untold.flat_map(of_action).collect();
        findings.extend(plan.notes.iter().filter_map(of_note));
        findings.sort_by(|a, b| (a.severity, &a.address).cmp(&(b.severity, &b.address)));
        Self { head: Head { document: Title::Drift, ..plan.head.clone() }, findings, unchanged: plan.unchanged.len() }
    }
}

/// How many there are of each severity, most severe first, as a person reads it.
pub fn counts(findings: &[Finding]) -> String {
    // Sorted by it, so that equal ones stand together.
    let counts = findings.chunk_by(|a, b| a.severity == b.severity);
    counts.map(|each| format!("{} {}", each.len(), each[0].severity)).collect::<Vec<_>>().join(", ")
}

/// Whether another action of the address says all: what is missing is not otherwise than declared as well, and what
/// must be deleted to be made anew is not missing.
fn is_told(done: &BTreeSet<(&Address, Verb)>, action: &ActionDocument) -> bool {
    let has = |verb| done.contains(&(&action.address, verb));
    match action.verb {
        Verb::Create => has(Verb::Delete),
        Verb::Update => has(Verb::Create),
        Verb::Adopt | Verb::Ensure | Verb::Rotate | Verb::Delete => false,
    }
}

/// Whether it only says that something is under way, of which something worse is told: a first rotation that is stuck is no
/// matter of waiting.
fn is_explained(drift: &Drift, troubles: bool) -> bool {
    drift.code == DriftCode::UnderWay && troubles
}

/// A finding in one sentence with its code, for who asks how one thing stands and not what the whole plan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trouble {
    /// None: it is no drift, but cannot be planned for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<DriftCode>,
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub what: String,
    /// Since when, where AWS tells: RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What mends it, where `apply` does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Trouble {
    /// Of one resource's diff: what `drift` would tell of it.
    pub fn of<C>(steps: &[Step<C>], notes: &[Note]) -> Vec<Self> {
        let of = |drift: &Drift, fix| Self {
            code: Some(drift.code),
            severity: drift.code.severity(),
            what: drift.what().to_owned(),
            since: drift.since_text(),
            fix,
        };
        let of_note = |note: &Note| {
            let Remedy { code, fix, since } = note.remedy.clone()?;
            Some(Self { since, ..of(&code.found(&note.text), Some(fix)) })
        };
        let troubles = notes.iter().any(|note| note.remedy.is_some());
        let of_steps = steps.iter().flat_map(|step| &step.drift).filter(|drift| !is_explained(drift, troubles));
        let mut all: Vec<_> = of_steps.map(|drift| of(drift, None)).collect();
        all.extend(notes.iter().filter_map(of_note));
        all
    }
}

impl From<Refusal> for Trouble {
    /// No drift, and nothing that `apply` would touch.
    fn from(refusal: Refusal) -> Self {
        Self { code: None, severity: Severity::Critical, what: refusal.cause, since: None, fix: Some(refusal.hint) }
    }
}

fn moved(action: &ActionDocument, drift: &Drift) -> Vec<Moved> {
    match action.verb {
        Verb::Create => {}
        // In its own words it says all.
        Verb::Update if drift.found.is_none() => {}
        Verb::Adopt | Verb::Update | Verb::Ensure | Verb::Rotate | Verb::Delete => return Vec::new(),
    }
    // What is known only once something else is made tells nothing of what was there.
    let told = |shown: &Shown| !matches!(shown, Shown::AfterApply(_) | Shown::Withheld);
    let moved = action.attributes.iter().filter(|attribute| action.verb == Verb::Update || told(&attribute.after));
    moved
        .map(|attribute| Moved {
            name: attribute.name,
            declared: attribute.after.clone(),
            is: attribute.before.clone(),
        })
        .collect()
}
