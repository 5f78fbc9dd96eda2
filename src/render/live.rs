//! What a terminal shows while a plan is carried out: how far it is, what runs and what it says of itself,
//! what waits for what, each since when. Pure: events in, lines out; nothing is written here.

use super::human;
use crate::execute::{Event, Outcome};
use crate::plan::Plan;
use crate::resource::Family;
use console::truncate_str;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many of what waits are named: those that are next. The rest is only counted.
const NEXT: usize = 5;

/// What a plan's actions are at, as far as events have told.
#[derive(Debug)]
pub struct Board {
    rows: Vec<Row>,
    stopping: bool,
}

#[derive(Debug)]
struct Row {
    verb: &'static str,
    label: String,
    /// What it waits for, by number; it needs no other.
    after: Vec<usize>,
    /// Since when it waits for no more than it does now.
    since: Duration,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Blocked,
    /// What it says of itself, and since when it says so.
    Running {
        saying: Option<(String, Duration)>,
    },
    Done,
    /// Failed, stale, skipped or cancelled.
    NotDone,
}

impl Board {
    /// Of a plan of which nothing has run yet.
    pub fn new<F: Family>(plan: &Plan<F>) -> Self {
        let rows = plan.actions.iter().enumerate().map(|(number, action)| Row {
            verb: human::verb(action.verb),
            label: action.label(),
            after: plan.order.nearest_prerequisites(number),
            since: Duration::ZERO,
            stage: Stage::Blocked,
        });
        Self { rows: rows.collect(), stopping: false }
    }

    /// Takes in what happened, `at` after the beginning. `outcomes` are all that there are by now.
    pub fn take(&mut self, event: &Event, outcomes: &BTreeMap<usize, Outcome>, at: Duration) {
        match event {
            Event::Started { action } => {
                self.rows[*action].since = at;
                self.rows[*action].stage = Stage::Running { saying: None };
            }
            Event::Waiting { action, saying, .. } => {
                if let Stage::Running { saying: before } = &mut self.rows[*action].stage
                    && before.as_ref().is_none_or(|(said, _)| said != saying)
                {
                    *before = Some((saying.clone(), at));
                }
            }
            Event::Finished { action } => {
                for (&number, outcome) in outcomes {
                    self.rows[number].stage = if outcome.is_done() { Stage::Done } else { Stage::NotDone };
                }
                for row in &mut self.rows {
                    if matches!(row.stage, Stage::Blocked) && row.after.contains(action) {
                        row.since = at;
                    }
                }
            }
            Event::Stopping => self.stopping = true,
        }
    }

    /// The board `at` after the beginning: at most `rows` lines, none wider than `columns`.
    pub fn lines(&self, at: Duration, columns: usize, rows: usize) -> Vec<String> {
        if columns == 0 {
            return Vec::new();
        }
        let mut lines = vec![format!("{:>8}  {}", time(at), self.head())];
        let running: Vec<_> = self.running().map(|row| self.runs(row, at)).collect();
        lines.extend(listed(&running, rows.saturating_sub(lines.len()), "under way"));
        let next: Vec<_> = if self.stopping { Vec::new() } else { self.next(at) };
        lines.extend(next.into_iter().take(rows.saturating_sub(lines.len())));
        lines.truncate(rows);
        lines.iter().map(|line| cut(line, columns)).collect()
    }

    fn running(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.stage, Stage::Running { .. }))
    }

    fn head(&self) -> String {
        let count = |of: fn(&Stage) -> bool| self.rows.iter().filter(|row| of(&row.stage)).count();
        let done = count(|stage| matches!(stage, Stage::Done));
        let not_done = count(|stage| matches!(stage, Stage::NotDone));
        let running = self.running().count();
        let to_come = count(|stage| matches!(stage, Stage::Blocked));
        let mut text = format!("{done} of {} done", self.rows.len());
        for (count, what) in [(not_done, "not done"), (running, "under way"), (to_come, "to come")] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if self.stopping {
            text.push_str("; stopping");
        }
        text
    }

    fn runs(&self, row: &Row, at: Duration) -> String {
        let saying = match &row.stage {
            Stage::Running { saying: Some((saying, since)) } => {
                format!(": {saying} (for {})", time(at.saturating_sub(*since)))
            }
            _ => String::new(),
        };
        format!("{:>8}  {:<6}  {}{saying}", time(at.saturating_sub(row.since)), row.verb, row.label)
    }

    /// What comes after something that is under way, and what else it waits for.
    fn next(&self, at: Duration) -> Vec<String> {
        let open = |number: &&usize| !matches!(self.rows[**number].stage, Stage::Done | Stage::NotDone);
        let runs = |number: &usize| matches!(self.rows[*number].stage, Stage::Running { .. });
        let blocked = self.rows.iter().filter(|row| matches!(row.stage, Stage::Blocked));
        blocked
            .filter(|row| row.after.iter().any(runs))
            .take(NEXT)
            .map(|row| {
                let waits: Vec<_> = row.after.iter().filter(open).map(|&on| self.rows[on].label.as_str()).collect();
                let since = time(at.saturating_sub(row.since));
                format!("{since:>8}  {:<6}  {} waits for {}", "", row.label, waits.join(", "))
            })
            .collect()
    }
}

/// Those that fit into `room`, the last of them telling how many more there are.
fn listed(all: &[String], room: usize, what: &str) -> Vec<String> {
    if all.len() <= room {
        return all.to_vec();
    }
    let Some(shown) = room.checked_sub(1) else { return Vec::new() };
    let mut lines = all[..shown].to_vec();
    lines.push(format!("{:>8}  and {} more {what}", "", all.len() - shown));
    lines
}

/// One line of a terminal: what AWS says may hold line breaks, or worse.
fn cut(line: &str, columns: usize) -> String {
    let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    truncate_str(&plain, columns, "…").into_owned()
}

/// In whole seconds, since it is drawn anew before tenths could be read, and short.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 120 { format!("{seconds} s") } else { format!("{}m {:02}s", seconds / 60, seconds % 60) }
}
