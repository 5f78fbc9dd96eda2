//! The document: all that a plan or a report says, as data. Serialised it is the JSON format.

use super::drift::Trouble;
use crate::code::{Code, Coded};
use crate::drift::{Drift, DriftCode};
use crate::execute::{Outcome, Report};
use crate::graph::Order;
use crate::model::{Address, Place};
use crate::plan::Plan;
use crate::plan::limits::Removals;
use crate::resource::{Attribute, Deferral, Family, Note, Risk, Verb};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

pub use crate::lint::Finding as Lint;
pub use crate::plan::Goal;

/// Raised with every change that a reader of the JSON could notice.
pub const FORMAT: u32 = 7;

/// What every document begins with: enough to know whether one can read it, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Head {
    /// Of all documents: it is raised with every change that a reader could notice.
    pub format: u32,
    /// What it tells.
    pub document: Title,
    /// The deployment's name.
    pub deployment: String,
    #[serde(flatten)]
    pub place: Place,
}

/// What a document tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Title {
    Plan,
    Drift,
    Status,
    Report,
    Explanation,
    Validation,
    Deployments,
    Targets,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Drift => "drift",
            Self::Status => "status",
            Self::Report => "report",
            Self::Explanation => "explanation",
            Self::Validation => "validation",
            Self::Deployments => "deployments",
            Self::Targets => "targets",
        })
    }
}

impl Head {
    pub fn new(document: Title, deployment: &str, place: &Place) -> Self {
        Self { format: FORMAT, document, deployment: deployment.to_owned(), place: place.clone() }
    }
}

/// What is to be done, in which order, and what is not and why: `plan --format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlanDocument {
    #[serde(flatten)]
    pub head: Head,
    pub goal: Goal,
    /// In an order in which they could run one by one.
    pub actions: Vec<ActionDocument>,
    /// Wanted, and not in this plan.
    pub deferred: Vec<Deferral>,
    /// To be known, though no action follows from it.
    pub notes: Vec<Note>,
    /// With nothing to do.
    pub unchanged: Vec<Address>,
    /// What the config has that is often regretted, and does not allow.
    pub lints: Vec<Lint>,
    /// Where it takes away more than it may unsaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceeds: Option<Exceeds>,
    /// What it deletes, or puts another in the place of, only where somebody names it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to_be_named: Vec<ToBeNamed>,
}

/// What a plan does not touch unless its address is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ToBeNamed {
    pub address: Address,
    /// What becomes of it, as a sentence about it ends.
    pub why: String,
}

/// What a plan takes away beyond its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Exceeds {
    /// How many things. A login with its secret and its rotation is one.
    pub deletes: usize,
    /// How many may go unsaid.
    pub allowed: usize,
}

/// One thing to do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ActionDocument {
    pub address: Address,
    /// Which of the address's changes it is.
    pub change: &'static str,
    pub verb: Verb,
    /// What `drift` tells of it. A plan says what will be done, not what has been.
    #[serde(skip)]
    pub drift: Vec<Drift>,
    pub risk: Risk,
    /// Why, where the attributes do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What of it changes.
    pub attributes: Vec<Attribute>,
    /// What must be done first; what these wait for themselves is left out.
    pub after: Vec<String>,
    /// What stays behind once it is deleted.
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
            head: Head::new(Title::Plan, deployment, place),
            goal: plan.goal,
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
    pub fn linted(mut self, lints: Vec<Lint>) -> Self {
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

/// What has become of a plan that was carried out: `apply`, `adopt` and `destroy` with `--format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReportDocument {
    #[serde(flatten)]
    pub head: Head,
    /// Of the plan.
    pub goal: Goal,
    /// Seconds.
    pub took: f64,
    /// Every planned address, in the plan's order.
    pub outcomes: Vec<OutcomeDocument>,
    /// What deletions have left behind.
    pub remains: Vec<String>,
    /// The chain of actions that took longest, each of which waited for the one before it: to be faster, be faster here.
    pub critical_path: Vec<CriticalDocument>,
}

/// An action of the critical path.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CriticalDocument {
    pub address: Address,
    /// Which of the address's changes it was.
    pub change: &'static str,
    /// Seconds.
    pub took: f64,
}

/// What has become of one action.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutcomeDocument {
    pub address: Address,
    /// Which of the address's changes it was.
    pub change: &'static str,
    pub outcome: Ending,
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
    pub fn of<F: Family>(plan: &Plan<F>, report: &Report, deployment: &str, place: &Place) -> Self {
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
                outcome: Ending::of(outcome),
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
        let ran = |outcome: &Outcome| match outcome {
            Outcome::Done(took) => Some(*took),
            _ => None,
        };
        let durations: Vec<_> = report.outcomes.iter().map(|outcome| ran(outcome).unwrap_or_default()).collect();
        let (path, _) = plan.order.critical_path(&durations);
        let critical_path = path.into_iter().filter_map(|number| {
            let (action, took) = (&plan.actions[number], ran(&report.outcomes[number])?);
            Some(CriticalDocument { address: action.address.clone(), change: action.key, took: took.as_secs_f64() })
        });
        Self {
            head: Head::new(Title::Report, deployment, place),
            goal: plan.goal,
            took: report.took.as_secs_f64(),
            outcomes: outcomes.collect(),
            remains,
            critical_path: critical_path.collect(),
        }
    }
}

/// An outcome's one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Done,
    /// Somebody had already done it.
    AlreadyDone,
    Failed,
    /// Its target had moved since the plan was made.
    Stale,
    /// It waited for an action that is not done.
    Skipped,
    Cancelled,
}

impl Ending {
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(_) => Self::Done,
            Outcome::AlreadyDone => Self::AlreadyDone,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Stale(_) => Self::Stale,
            Outcome::Skipped { .. } => Self::Skipped,
            Outcome::Cancelled => Self::Cancelled,
        }
    }

    /// Whether it is as the plan wanted it.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyDone => "already done",
            Self::Failed => "failed",
            Self::Stale => "stale",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
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

/// How every login stands: `status --format json`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusDocument {
    #[serde(flatten)]
    pub head: Head,
    /// Identifier, version, state and address of the instance.
    pub database: Option<String>,
    /// The admin login first.
    pub logins: Vec<LoginStatus>,
}

impl StatusDocument {
    pub fn new(deployment: &str, place: &Place, database: Option<String>, logins: Vec<LoginStatus>) -> Self {
        Self { head: Head::new(Title::Status, deployment, place), database, logins }
    }
}

/// How one login stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoginStatus {
    /// Its name in PostgreSQL.
    pub login: String,
    /// `alternating-users` or `single-user`.
    pub strategy: &'static str,
    /// As it is declared.
    pub schedule: String,
    /// The user name that AWSCURRENT holds.
    pub current_user: Option<String>,
    /// Whether AWSCURRENT logs in; None where nobody could try.
    pub logs_in: Option<bool>,
    /// RFC 3339, UTC.
    pub last_rotated: Option<String>,
    /// RFC 3339, UTC.
    pub next_rotation: Option<String>,
    /// Whether it has no troubles.
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

    /// Whether a rotation should have happened, and has not even begun.
    pub fn is_overdue(&self) -> bool {
        self.troubles.iter().any(|trouble| trouble.code == Some(DriftCode::RotationOverdue))
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
