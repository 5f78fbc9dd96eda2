//! A run as its journal tells it: what was done when, and what the whole of it waited for.

use super::document::Ending;
use crate::model::Place;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, HashMap};

/// One run of `apply`, `adopt` or `destroy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub command: String,
    /// Of the pgrotate that ran.
    pub version: String,
    pub began: Timestamp,
    /// None: it was killed, or is still under way.
    pub exit: Option<u8>,
    /// From its first line to its last, in milliseconds.
    pub took: u64,
    /// How many actions its plan had.
    pub planned: usize,
    /// Whether somebody asked it to stop.
    pub stopped: bool,
    /// By when they were started; those that never were come last.
    pub actions: Vec<Ran>,
    /// The actions, by their place above, that the run's end waited for, first to last: each is the last that ended of
    /// those that the next one waited for. None where the journal does not tell what waited for what.
    pub critical: Option<Vec<usize>>,
}

/// One action of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    pub address: String,
    pub change: String,
    pub verb: String,
    /// When it was started and when it ended, in milliseconds from the run's first line.
    pub started: Option<u64>,
    pub ended: Option<u64>,
    /// None: nobody has told how it ended.
    pub ending: Option<Ending>,
    /// What it said last of what it was waiting for.
    pub said: Option<String>,
    /// Where something went wrong.
    pub code: Option<String>,
    pub cause: Option<String>,
    pub hint: Option<String>,
    waited_for: Option<Vec<String>>,
}

/// Why no run can be told from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("it has no line of a journal")]
    NoJournal,
    #[error("its lines are of schema {0}, and this pgrotate knows {known}", known = super::journal::SCHEMA)]
    OtherSchema(u64),
    #[error("it tells of no run for deployment {deployment} in account {account}, {region}")]
    NoRun { deployment: String, account: String, region: String },
}

/// The lines of a journal that can be read; what else stands in the file, such as half a line that a killed run has left,
/// is passed over.
#[derive(Debug)]
pub struct Lines(Vec<Line>);

/// Whatever a line of this schema may have. Members that this release does not know are passed over.
#[derive(Debug, Deserialize)]
struct Line {
    schema: u64,
    run: String,
    #[serde(deserialize_with = "moment")]
    time: Timestamp,
    event: String,
    command: Option<String>,
    deployment: Option<String>,
    account: Option<String>,
    region: Option<String>,
    version: Option<String>,
    actions: Option<usize>,
    address: Option<String>,
    change: Option<String>,
    verb: Option<String>,
    saying: Option<String>,
    code: Option<String>,
    cause: Option<String>,
    hint: Option<String>,
    after: Option<String>,
    waited_for: Option<Vec<String>>,
    exit: Option<u8>,
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

impl Lines {
    pub fn read(file: &[u8]) -> Result<Self, RunError> {
        let lines: Vec<Line> =
            file.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let other = lines.iter().find(|line| line.schema != u64::from(super::journal::SCHEMA));
        match (lines.is_empty(), other) {
            (true, _) => Err(RunError::NoJournal),
            (_, Some(other)) => Err(RunError::OtherSchema(other.schema)),
            (_, None) => Ok(Self(lines)),
        }
    }

    /// The run of that deployment that was begun last.
    pub fn last_run(&self, deployment: &str, place: &Place) -> Result<Run, RunError> {
        let is_ours = |line: &&Line| {
            line.event == "begin"
                && line.deployment.as_deref() == Some(deployment)
                && line.account.as_ref() == Some(&place.account)
                && line.region.as_ref() == Some(&place.region)
        };
        let Some(begin) = self.0.iter().rev().find(is_ours) else {
            let (account, region) = (place.account.clone(), place.region.clone());
            return Err(RunError::NoRun { deployment: deployment.to_owned(), account, region });
        };
        let mut run = Run {
            command: begin.command.clone().unwrap_or_default(),
            version: begin.version.clone().unwrap_or_default(),
            began: begin.time,
            exit: None,
            took: 0,
            planned: begin.actions.unwrap_or_default(),
            stopped: false,
            actions: Vec::new(),
            critical: None,
        };
        let mut number = BTreeMap::new();
        // Two runs may have written at the same time.
        for line in self.0.iter().filter(|line| line.run == begin.run) {
            run.take(line, &mut number);
        }
        // The order of starting, the lines' own among equals.
        run.actions.sort_by_key(|action| action.started.unwrap_or(u64::MAX));
        run.critical = run.waited_for();
        Ok(run)
    }
}

impl Run {
    fn take<'a>(&mut self, line: &'a Line, number: &mut BTreeMap<(&'a str, &'a str), usize>) {
        let at = u64::try_from(line.time.as_millisecond() - self.began.as_millisecond()).unwrap_or(0);
        self.took = self.took.max(at);
        match line.event.as_str() {
            "stopping" => self.stopped = true,
            "end" => self.exit = line.exit,
            _ => {}
        }
        let (Some(address), Some(change)) = (&line.address, &line.change) else { return };
        let place = *number.entry((address, change)).or_insert_with(|| {
            self.actions.push(Ran {
                address: address.clone(),
                change: change.clone(),
                verb: line.verb.clone().unwrap_or_default(),
                started: None,
                ended: None,
                ending: None,
                said: None,
                code: None,
                cause: None,
                hint: None,
                waited_for: None,
            });
            self.actions.len() - 1
        });
        let action = &mut self.actions[place];
        action.ending = match line.event.as_str() {
            "started" => {
                action.started.get_or_insert(at);
                action.waited_for.clone_from(&line.waited_for);
                return;
            }
            "waiting" => {
                action.said.clone_from(&line.saying);
                return;
            }
            "done" => Some(Ending::Done),
            "already_done" => Some(Ending::AlreadyDone),
            "failed" => Some(Ending::Failed),
            "stale" => Some(Ending::Stale),
            "skipped" => Some(Ending::Skipped),
            "cancelled" => Some(Ending::Cancelled),
            _ => return,
        };
        if action.started.is_some() {
            action.ended = Some(at);
        }
        action.code.clone_from(&line.code);
        action.cause.clone_from(&line.cause);
        action.hint.clone_from(&line.hint);
        if let Some(after) = &line.after {
            action.cause = Some(format!("it waits for {after}, which is not done"));
        }
    }

    /// The chain that the end of the run waited for.
    fn waited_for(&self) -> Option<Vec<usize>> {
        if !self.actions.iter().any(|action| action.waited_for.is_some()) {
            return None;
        }
        let mut number = HashMap::new();
        for (place, action) in self.actions.iter().enumerate() {
            number.entry(action.address.clone()).or_insert(place);
            number.insert(format!("{} ({})", action.address, action.change), place);
        }
        let ended = |place: &usize| self.actions[*place].ended;
        let mut next = (0..self.actions.len()).filter(|place| ended(place).is_some()).max_by_key(ended);
        let mut chain: Vec<usize> = Vec::new();
        // No action waits for itself, but a file may say anything.
        while let Some(place) = next.filter(|place| !chain.contains(place)) {
            chain.push(place);
            let firsts = self.actions[place].waited_for.iter().flatten().filter_map(|first| number.get(first));
            next = firsts.copied().filter(|first| ended(first).is_some()).max_by_key(ended);
        }
        chain.reverse();
        Some(chain)
    }
}

impl Ran {
    /// How long it took, in milliseconds; where it has not ended, up to the run's last line.
    pub fn took(&self, run: &Run) -> Option<u64> {
        Some(self.ended.unwrap_or(run.took).saturating_sub(self.started?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { partition: "aws".to_owned(), region: "eu-north-1".to_owned(), account: "111122223333".to_owned() }
    }

    fn line(run: &str, second: u32, rest: &str) -> String {
        format!("{{\"schema\":1,\"run\":\"{run}\",\"time\":\"2026-03-01T00:00:{second:02}.000Z\",{rest}}}\n")
    }

    fn begin(run: &str, deployment: &str) -> String {
        let place = "\"account\":\"111122223333\",\"region\":\"eu-north-1\",\"version\":\"0.1.0\"";
        line(
            run,
            0,
            &format!("\"event\":\"begin\",\"command\":\"apply\",\"deployment\":\"{deployment}\",{place},\"actions\":3"),
        )
    }

    fn of(run: &str, second: u32, event: &str, name: &str, more: &str) -> String {
        line(
            run,
            second,
            &format!("\"event\":\"{event}\",\"address\":\"{name}\",\"change\":\"create\",\"verb\":\"create\"{more}"),
        )
    }

    /// Of two runs in one file, half a line between them, the last; what it waited for goes by what ended when.
    #[test]
    fn the_last_run_and_its_critical_path() {
        let text = [
            begin("a", "shop"),
            of("a", 1, "started", "secret.x", ",\"waited_for\":[]"),
            "{\"schema\":1,\"ru\n".to_owned(),
            begin("b", "shop"),
            begin("c", "another"),
            of("b", 1, "started", "secret.a", ",\"waited_for\":[]"),
            of("b", 1, "started", "db_instance.b", ",\"waited_for\":[],\"later\":{\"member\":1}"),
            of("b", 2, "waiting", "db_instance.b", ",\"saying\":\"creating\",\"since_ms\":1000"),
            of("b", 3, "done", "secret.a", ",\"duration_ms\":2000"),
            of("b", 9, "done", "db_instance.b", ",\"duration_ms\":8000"),
            of("b", 10, "started", "login.c", ",\"waited_for\":[\"secret.a\",\"db_instance.b\"]"),
            of("b", 12, "failed", "login.c", ",\"code\":\"access-denied\",\"cause\":\"no\",\"hint\":\"ask\""),
            of("b", 12, "skipped", "rotation.c", ",\"after\":\"login.c\""),
            line("b", 13, "\"event\":\"end\",\"exit\":5,\"duration_ms\":13000"),
        ]
        .concat();
        let run = Lines::read(text.as_bytes()).unwrap().last_run("shop", &place()).unwrap();
        assert_eq!((run.exit, run.took, run.planned), (Some(5), 13_000, 3));
        let names: Vec<_> = run.actions.iter().map(|action| action.address.as_str()).collect();
        assert_eq!(names, ["secret.a", "db_instance.b", "login.c", "rotation.c"]);
        assert_eq!(run.critical, Some(vec![1, 2]));
        assert_eq!(run.actions[1].took(&run), Some(8_000));
        assert_eq!(run.actions[2].code.as_deref(), Some("access-denied"));
        assert_eq!(run.actions[3].cause.as_deref(), Some("it waits for login.c, which is not done"));
        assert_eq!((run.actions[3].started, run.actions[3].ended), (None, None));
    }

    #[test]
    fn what_tells_of_no_run() {
        let read = |text: &str| Lines::read(text.as_bytes()).map(|_| ());
        assert_eq!(read(""), Err(RunError::NoJournal));
        assert_eq!(read("deployment = \"article\"\n"), Err(RunError::NoJournal));
        assert_eq!(read(&begin("a", "shop").replace("\"schema\":1", "\"schema\":2")), Err(RunError::OtherSchema(2)));
        let lines = Lines::read(begin("a", "shop").as_bytes()).unwrap();
        let none = lines.last_run("store", &place()).unwrap_err().to_string();
        assert_eq!(none, "it tells of no run for deployment store in account 111122223333, eu-north-1");
    }

    /// Written by a release that did not tell it.
    #[test]
    fn without_what_waited_for_what() {
        let text = begin("a", "shop") + &of("a", 1, "started", "secret.a", "");
        let run = Lines::read(text.as_bytes()).unwrap().last_run("shop", &place()).unwrap();
        assert_eq!((run.critical, run.exit, run.actions[0].ending), (None, None, None));
    }
}
