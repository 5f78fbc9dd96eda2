//! The lines of a journal: what happens while a plan is carried out, as data.

use super::document::chain;
use crate::code::{Code, Coded};
use crate::execute::Outcome;
use crate::model::Address;
use crate::plan::{Action, Plan};
use crate::resource::{Family, Verb};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// Of the lines below. A reader that knows this number can read every line with it: members may be added, and
/// none changes its meaning.
pub const SCHEMA: u32 = 1;

/// One line of a journal: `--journal` of `apply`, `adopt` and `destroy`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JournalLine {
    /// Of the lines: members may be added under the same number, and none changes its meaning.
    pub schema: u32,
    /// A UUID, the same for all lines of one run.
    pub run: String,
    /// RFC 3339, UTC, with milliseconds.
    pub time: String,
    #[serde(flatten)]
    pub event: JournalEvent,
}

/// What happens.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// A run's first line: nothing has been changed yet.
    Begin {
        /// `apply`, `adopt` or `destroy`.
        command: String,
        /// The deployment's name.
        deployment: String,
        /// Twelve digits.
        account: String,
        /// Such as `eu-north-1`.
        region: String,
        /// Of pgrotate.
        version: &'static str,
        /// How many actions the plan has.
        actions: usize,
    },
    Started {
        #[serde(flatten)]
        action: Told,
        /// What had to be done first, as the plan calls it; what these wait for themselves is left out. Lines of
        /// earlier releases do not tell it.
        #[serde(skip_serializing_if = "Option::is_none")]
        waited_for: Option<Vec<String>>,
    },
    /// It says something new of itself.
    Waiting {
        #[serde(flatten)]
        action: Told,
        /// What it waits for.
        saying: String,
        /// For how long it has waited, in milliseconds.
        since_ms: u64,
    },
    Done {
        #[serde(flatten)]
        action: Told,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
    /// Somebody had already done it.
    AlreadyDone {
        #[serde(flatten)]
        action: Told,
    },
    Failed {
        #[serde(flatten)]
        action: Told,
        /// Under which it is documented.
        code: Code,
        /// The cause and its causes, outermost first.
        cause: String,
        /// What to do about it.
        hint: String,
    },
    /// Its target had moved since the plan was made.
    Stale {
        #[serde(flatten)]
        action: Told,
        /// Under which it is documented.
        code: Code,
        /// What was found.
        cause: String,
    },
    /// It was not done, since another is not.
    Skipped {
        #[serde(flatten)]
        action: Told,
        /// The other one.
        after: Address,
    },
    Cancelled {
        #[serde(flatten)]
        action: Told,
    },
    /// Somebody has asked to stop: nothing more is begun.
    Stopping,
    /// A run's last line.
    End {
        /// The exit code.
        exit: u8,
        /// How long the run took, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// Where it was ended at once: the actions that were not waited for.
        #[serde(skip_serializing_if = "Option::is_none")]
        under_way: Option<Vec<String>>,
    },
}

/// Which action it is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Told {
    pub address: Address,
    /// Which of the address's changes.
    pub change: &'static str,
    pub verb: Verb,
}

impl JournalLine {
    /// `time` as it is to be written.
    pub fn new(run: &str, time: String, event: JournalEvent) -> Self {
        Self { schema: SCHEMA, run: run.to_owned(), time, event }
    }
}

impl Told {
    pub fn of<F: Family>(action: &Action<F>) -> Self {
        Self { address: action.address.clone(), change: action.key, verb: action.verb }
    }
}

impl JournalEvent {
    /// That the action of that number was begun.
    pub fn started<F: Family>(plan: &Plan<F>, number: usize) -> Self {
        let firsts = plan.order.nearest_prerequisites(number).into_iter();
        let waited_for = firsts.map(|first| plan.actions[first].label()).collect();
        Self::Started { action: Told::of(&plan.actions[number]), waited_for: Some(waited_for) }
    }

    /// What has become of an action.
    pub fn ended<F: Family>(action: &Action<F>, outcome: &Outcome) -> Self {
        let action = Told::of(action);
        match outcome {
            Outcome::Done(took) => Self::Done { action, duration_ms: milliseconds(*took) },
            Outcome::AlreadyDone => Self::AlreadyDone { action },
            Outcome::Failed(error) => {
                Self::Failed { action, code: error.code(), cause: chain(error).join(": "), hint: error.hint() }
            }
            Outcome::Stale(found) => Self::Stale { action, code: Code::Stale, cause: found.clone() },
            Outcome::Skipped { after } => Self::Skipped { action, after: after.clone() },
            Outcome::Cancelled => Self::Cancelled { action },
        }
    }
}

/// Whole milliseconds.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
