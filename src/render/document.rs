//! The document: all that a plan or a report says, as data. Serialised it is the JSON format.

use crate::execute::{Outcome, Report};
use crate::model::{Address, Place};
use crate::plan::{Goal, Plan};
use crate::resource::{Attribute, Deferral, Family, Note, Risk, Verb};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;

/// Raised with every change that a reader of the JSON could notice.
pub const FORMAT: u32 = 1;

#[derive(Debug, Clone, Serialize)]
pub struct PlanDocument {
    pub format: u32,
    pub deployment: String,
    #[serde(flatten)]
    pub place: Place,
    pub goal: &'static str,
    /// In an order in which they could run one by one.
    pub actions: Vec<ActionDocument>,
    pub deferred: Vec<Deferral>,
    pub notes: Vec<Note>,
    pub unchanged: Vec<Address>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ActionDocument {
    pub address: Address,
    /// Which of the address's changes it is.
    pub change: &'static str,
    pub verb: Verb,
    pub risk: Risk,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    pub attributes: Vec<Attribute>,
    /// What must be done first; what these wait for themselves is left out.
    pub after: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
}

impl PlanDocument {
    pub fn of<F: Family>(plan: &Plan<F>, deployment: &str, place: &Place) -> Self {
        let action = |&number: &usize| {
            let action = &plan.actions[number];
            ActionDocument {
                address: action.address.clone(),
                change: action.key,
                verb: action.verb,
                risk: action.risk,
                because: action.because.clone(),
                attributes: action.attributes.clone(),
                after: plan
                    .order
                    .nearest_prerequisites(number)
                    .into_iter()
                    .map(|first| plan.actions[first].label())
                    .collect(),
                leaves: action.leaves.clone(),
            }
        };
        Self {
            format: FORMAT,
            deployment: deployment.to_owned(),
            place: place.clone(),
            goal: match plan.goal {
                Goal::Converge => "converge",
                Goal::Destroy => "destroy",
            },
            actions: plan.order.sorted().iter().map(action).collect(),
            deferred: plan.deferred.clone(),
            notes: plan.notes.clone(),
            unchanged: plan.unchanged.clone(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// How many actions of each verb, in the verbs' order.
    pub fn counts(&self) -> BTreeMap<Verb, usize> {
        let mut counts = BTreeMap::new();
        for action in &self.actions {
            *counts.entry(action.verb).or_default() += 1;
        }
        counts
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct ReportDocument {
    pub format: u32,
    pub deployment: String,
    /// Seconds.
    pub took: f64,
    /// Every planned address, in the plan's order.
    pub outcomes: Vec<OutcomeDocument>,
    /// What deletions have left behind.
    pub remains: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct OutcomeDocument {
    pub address: Address,
    pub change: &'static str,
    pub outcome: &'static str,
    /// Seconds, where it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took: Option<f64>,
    /// The cause and its causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

impl ReportDocument {
    pub fn of<F: Family>(plan: &Plan<F>, report: &Report, deployment: &str) -> Self {
        let outcomes = plan.order.sorted().iter().map(|&number| {
            let (action, outcome) = (&plan.actions[number], &report.outcomes[number]);
            OutcomeDocument {
                address: action.address.clone(),
                change: action.key,
                outcome: name(outcome),
                took: match outcome {
                    Outcome::Done(took) => Some(took.as_secs_f64()),
                    _ => None,
                },
                because: because(outcome),
            }
        });
        let remains = plan
            .actions
            .iter()
            .zip(&report.outcomes)
            .filter(|(_, outcome)| outcome.is_done())
            .filter_map(|(action, _)| action.leaves.clone())
            .collect();
        Self {
            format: FORMAT,
            deployment: deployment.to_owned(),
            took: report.took.as_secs_f64(),
            outcomes: outcomes.collect(),
            remains,
        }
    }
}

/// An outcome's one word.
pub fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::AlreadyDone => "already done",
        Outcome::Failed(_) => "failed",
        Outcome::Stale(_) => "stale",
        Outcome::Skipped { .. } => "skipped",
        Outcome::Cancelled => "cancelled",
    }
}

fn because(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Done(_) | Outcome::AlreadyDone | Outcome::Cancelled => Vec::new(),
        Outcome::Failed(error) => chain(error),
        Outcome::Stale(found) => vec![format!("it has moved since the plan was made: {found}")],
        Outcome::Skipped { after } => vec![format!("it waits for {after}, which is not done")],
    }
}

/// An error and its causes, outermost first; causes that only repeat the one above are left out.
pub fn chain(error: &dyn Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if lines.last().is_none_or(|last| !last.contains(&text)) {
            lines.push(text);
        }
        next = cause.source();
    }
    lines
}
