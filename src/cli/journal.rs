//! `--journal`: what happened while a plan was carried out, as lines of JSON, for whoever asks later or from
//! elsewhere. Each line is written whole, at once and at the end of the file, so that runs may follow each other in
//! one file and a run that was killed has told all until then. It holds what standard error shows, and no more: no
//! secret.

use super::CliError;
use crate::execute::{Event, Outcome, Report};
use crate::plan::Plan;
use crate::render::journal::{JournalEvent, JournalLine, Told, milliseconds};
use crate::resources::Kinds;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that was opened and may not take everything.
pub(super) struct Journal {
    path: PathBuf,
    /// None once it could not be written.
    file: Option<File>,
    run: String,
    /// What each action that waits has said last.
    said: BTreeMap<usize, String>,
}

/// Why the rest of a run is in no journal.
#[derive(Debug)]
pub(super) struct Lost(pub String);

impl Journal {
    /// Opens the file at its end, or makes it. To be called before anything is changed.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let unwritable = |source| CliError::JournalUnwritable { path: path.to_owned(), source };
        let mut file = File::options().append(true).create(true).open(path).map_err(unwritable)?;
        // A run that was killed, or whose disk was full, may have left half a line: it is no part of ours.
        if is_torn(path).map_err(unwritable)? {
            file.write_all(b"\n").map_err(unwritable)?;
        }
        let run = uuid::Uuid::new_v4().to_string();
        Ok(Self { path: path.to_owned(), file: Some(file), run, said: BTreeMap::new() })
    }

    /// Says what is about to be done. Fails where the file takes nothing: nothing has been changed then.
    pub fn begin(
        &mut self,
        command: &str,
        deployment: &str,
        (account, region): (&str, &str),
        plan: &Plan<Kinds>,
    ) -> Result<(), CliError> {
        let line = JournalEvent::Begin {
            command: command.to_owned(),
            deployment: deployment.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            actions: plan.actions.len(),
        };
        let path = self.path.clone();
        self.write(line).map_err(|source| CliError::JournalUnwritable { path, source })
    }

    /// What an event comes to. Actions that come to nothing are told by [`Self::end`].
    pub fn tell(&mut self, plan: &Plan<Kinds>, event: &Event, outcomes: &BTreeMap<usize, Outcome>) -> Result<(), Lost> {
        match event {
            Event::Started { action } => self.line(JournalEvent::started(plan, *action)),
            Event::Waiting { action, saying, since } => {
                if self.said.get(action) == Some(saying) {
                    return Ok(());
                }
                self.said.insert(*action, saying.clone());
                self.line(JournalEvent::Waiting {
                    action: Told::of(&plan.actions[*action]),
                    saying: saying.clone(),
                    since_ms: milliseconds(*since),
                })
            }
            Event::Finished { action } => match outcomes.get(action) {
                Some(outcome) if came_to_something(outcome) => {
                    self.line(JournalEvent::ended(&plan.actions[*action], outcome))
                }
                _ => Ok(()),
            },
            Event::Stopping => self.line(JournalEvent::Stopping),
        }
    }

    /// What came to nothing, and how it all ended.
    pub fn end(&mut self, plan: &Plan<Kinds>, report: &Report, exit: u8) -> Result<(), Lost> {
        for (action, outcome) in
            plan.actions.iter().zip(&report.outcomes).filter(|(_, outcome)| !came_to_something(outcome))
        {
            self.line(JournalEvent::ended(action, outcome))?;
        }
        self.line(JournalEvent::End { exit, duration_ms: Some(milliseconds(report.took)), under_way: None })
    }

    /// It was ended at once, with these under way.
    pub fn torn(&mut self, under_way: &[String], exit: u8) -> Result<(), Lost> {
        self.line(JournalEvent::End { exit, duration_ms: None, under_way: Some(under_way.to_vec()) })
    }

    /// What cannot be written is lost, and said once: no reason to stop half way.
    fn line(&mut self, line: JournalEvent) -> Result<(), Lost> {
        let path = self.path.display().to_string();
        let result = self.write(line);
        result.map_err(|error| {
            self.file = None;
            Lost(format!("{path} cannot be written any more ({error}), and does not hold the rest of this run"))
        })
    }

    fn write(&mut self, line: JournalEvent) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let line = JournalLine::new(&self.run, now, line);
        let text = serde_json::to_string(&line).map_err(std::io::Error::other)? + "\n";
        file.write_all(text.as_bytes())
    }
}

/// Whether a file ends within a line. What is no file (a pipe, a device) does not.
fn is_torn(path: &Path) -> std::io::Result<bool> {
    if !path.metadata().is_ok_and(|what| what.is_file() && what.len() > 0) {
        return Ok(false);
    }
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Whether such an action has come to something. One that was cancelled may have been started all the same: AWS would not
/// take it yet when the run was stopped.
fn came_to_something(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done(_) | Outcome::AlreadyDone | Outcome::Failed(_) | Outcome::Stale(_) => true,
        Outcome::Skipped { .. } | Outcome::Cancelled => false,
    }
}
