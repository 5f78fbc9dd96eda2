//! The document: all that a plan or a report says, as data. Serialised it is the JSON format.

use super::drift::Trouble;
use crate::code::{Code, Coded};
use crate::drift::Drift;
use crate::execute::{Outcome, Report};
use crate::graph::Order;
use crate::lint::Finding;
use crate::model::{Address, Place};
use crate::plan::limits::Removals;
use crate::plan::{Goal, Plan};
use crate::resource::{Attribute, Deferral, Family, Note, Risk, Verb};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;

/// Raised with every change that a reader of the JSON could notice.
pub const FORMAT: u32 = 5;

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
    /// What the config has that is often regretted, and does not allow.
    pub lints: Vec<Finding>,
    /// Where it takes away more than it may unsaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceeds: Option<Exceeds>,
    /// What it deletes, or puts another in the place of, only where somebody names it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to_be_named: Vec<ToBeNamed>,
}

/// What a plan does not touch unless its address is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToBeNamed {
    pub address: Address,
    /// What becomes of it, as a sentence about it ends.
    pub why: String,
}

/// What a plan takes away beyond its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exceeds {
    /// A login with its secret and its rotation is one.
    pub deletes: usize,
    pub allowed: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct ActionDocument {
    pub address: Address,
    /// Which of the address's changes it is.
    pub change: &'static str,
    pub verb: Verb,
    /// What `drift` tells of it. A plan says what will be done, not what has been.
    #[serde(skip)]
    pub drift: Vec<Drift>,
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
                drift: action.drift.clone(),
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
            lints: Vec::new(),
            exceeds: None,
            to_be_named: Vec::new(),
        }
    }

    /// With what it takes away beyond its limit, if it does, and what of that has to be named.
    pub fn limited(mut self, removals: &Removals, named: &BTreeMap<Address, String>) -> Self {
        let named = named.iter();
        self.to_be_named =
            named.map(|(address, why)| ToBeNamed { address: address.clone(), why: why.clone() }).collect();
        self.exceeds =
            removals.is_too_much().then_some(Exceeds { deletes: removals.things.len(), allowed: removals.allowed });
        self
    }

    /// With what was found in its config.
    pub fn linted(mut self, lints: Vec<Finding>) -> Self {
        self.lints = lints;
        self
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
    /// Where something went wrong: under which code it is documented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The cause and its causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ReportDocument {
    pub fn of<F: Family>(plan: &Plan<F>, report: &Report, deployment: &str) -> Self {
        let outcomes = plan.order.sorted().iter().map(|&number| {
            let (action, outcome) = (&plan.actions[number], &report.outcomes[number]);
            let (code, hint) = match outcome {
                Outcome::Failed(error) => (Some(error.code()), Some(error.hint())),
                Outcome::Stale(_) => (Some(Code::Stale), Some("look at what moved, and plan again".to_owned())),
                Outcome::Done(_) | Outcome::AlreadyDone | Outcome::Skipped { .. } | Outcome::Cancelled => (None, None),
            };
            OutcomeDocument {
                address: action.address.clone(),
                change: action.key,
                outcome: name(outcome),
                took: match outcome {
                    Outcome::Done(took) => Some(took.as_secs_f64()),
                    _ => None,
                },
                code,
                because: because(outcome),
                hint,
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

/// How every login stands.
#[derive(Debug, Clone, Serialize)]
pub struct StatusDocument {
    pub format: u32,
    pub deployment: String,
    #[serde(flatten)]
    pub place: Place,
    /// Identifier, version, state and address of the instance.
    pub database: Option<String>,
    pub logins: Vec<LoginStatus>,
}

impl StatusDocument {
    pub fn new(deployment: &str, place: &Place, database: Option<String>, logins: Vec<LoginStatus>) -> Self {
        Self { format: FORMAT, deployment: deployment.to_owned(), place: place.clone(), database, logins }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct LoginStatus {
    pub login: String,
    pub strategy: &'static str,
    pub schedule: String,
    /// The user name that AWSCURRENT holds.
    pub current_user: Option<String>,
    /// Whether AWSCURRENT logs in; None where nobody could try.
    pub logs_in: Option<bool>,
    /// RFC 3339, UTC.
    pub last_rotated: Option<String>,
    /// RFC 3339, UTC.
    pub next_rotation: Option<String>,
    pub healthy: bool,
    /// Most severe first.
    pub troubles: Vec<Trouble>,
}

impl LoginStatus {
    pub fn new(login: &str, strategy: &'static str) -> Self {
        Self {
            login: login.to_owned(),
            strategy,
            schedule: String::new(),
            current_user: None,
            logs_in: None,
            last_rotated: None,
            next_rotation: None,
            healthy: true,
            troubles: Vec::new(),
        }
    }

    pub fn trouble(&mut self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.extend(troubles);
        self.troubles.sort_by_key(|trouble| trouble.severity);
        self.healthy = self.troubles.is_empty();
    }
}

/// The deployment's resources and what each waits for.
#[derive(Debug, Clone)]
pub struct GraphDocument {
    /// Address, and what the plan does to it.
    pub resources: Vec<(String, Option<Verb>)>,
    /// (first, then); what another edge implies is left out.
    pub edges: Vec<(String, String)>,
}

impl GraphDocument {
    /// `resources` are addresses with what they refer to, each after those.
    pub fn of(plan: &PlanDocument, resources: impl Iterator<Item = (Address, Vec<Address>)>) -> Self {
        let resources: Vec<_> = resources.collect();
        let number: BTreeMap<_, _> =
            resources.iter().enumerate().map(|(number, (address, _))| (address, number)).collect();
        let edges = resources.iter().enumerate().flat_map(|(then, (_, needs))| {
            needs.iter().filter_map(|need| number.get(need)).map(move |&first| (first, then)).collect::<Vec<_>>()
        });
        let label = |number: usize| resources[number].0.to_string();
        let edges = match Order::build(resources.len(), edges, label) {
            Ok(order) => (0..resources.len())
                .flat_map(|then| order.nearest_prerequisites(then).into_iter().map(move |first| (first, then)))
                .map(|(first, then)| (label(first), label(then)))
                .collect(),
            // The planner has refused a cycle before anybody could draw one.
            Err(_) => Vec::new(),
        };
        let verb = |address: &Address| plan.actions.iter().find(|a| a.address == *address).map(|a| a.verb);
        Self { resources: resources.iter().map(|(at, _)| (at.to_string(), verb(at))).collect(), edges }
    }
}
