//! What happens while a plan is carried out, as plain lines on standard error: what starts, what it waits
//! for and since when, how it ended. A line that would only repeat the one before is not written.

use crate::code::{Code, Coded};
use crate::execute::{Event, Outcome};
use crate::plan::Plan;
use crate::render::document::{chain, name};
use crate::render::human;
use crate::resources::Kinds;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use tokio::time::Instant;

/// A wait that says nothing new is told again only so often.
const REMIND: Duration = Duration::from_secs(60);

pub struct Progress<'a> {
    plan: &'a Plan<Kinds>,
    began: Instant,
    told: BTreeMap<usize, (String, Duration)>,
}

impl<'a> Progress<'a> {
    pub fn new(plan: &'a Plan<Kinds>) -> Self {
        Self { plan, began: Instant::now(), told: BTreeMap::new() }
    }

    pub fn tell(&mut self, event: Event, outcomes: &BTreeMap<usize, Outcome>) {
        match event {
            Event::Started { action } => {
                let what = human::verb(self.plan.actions[action].verb);
                self.line(what, &self.plan.actions[action].label(), "");
            }
            Event::Waiting { action, saying, since } => {
                let said = self.told.get(&action);
                if said.is_some_and(|(before, at)| *before == saying && since < *at + REMIND) {
                    return;
                }
                let text = format!(": {saying} ({} so far)", human::seconds(since.as_secs_f64()));
                self.line("wait", &self.plan.actions[action].label(), &text);
                self.told.insert(action, (saying, since));
            }
            Event::Finished { action } => {
                let Some(outcome) = outcomes.get(&action) else { return };
                let more = match outcome {
                    Outcome::Done(took) => format!(" ({})", human::seconds(took.as_secs_f64())),
                    Outcome::Failed(error) => format!(": {}: {}", error.code().heading(), chain(error).join(": ")),
                    Outcome::Stale(found) => format!(": {}: {found}", Code::Stale.heading()),
                    Outcome::AlreadyDone | Outcome::Skipped { .. } | Outcome::Cancelled => String::new(),
                };
                self.line(name(outcome), &self.plan.actions[action].label(), &more);
            }
            Event::Stopping => self.line("stop", "", "no new actions; those under way are let finish"),
        }
    }

    fn line(&self, what: &str, label: &str, more: &str) {
        let at = human::seconds(self.began.elapsed().as_secs_f64());
        // Progress nobody reads is no reason to stop.
        let _ = writeln!(std::io::stderr().lock(), "{at:>8}  {what:<12}  {label}{more}");
    }
}
