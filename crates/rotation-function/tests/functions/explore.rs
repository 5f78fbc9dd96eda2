//! Every order of events that two runs of a rotation, their crashes and an operator can come to, tried out.
//!
//! The code is the function's own; the secret store and the server are made of maps ([`crate::fake`],
//! [`crate::memory`]), and nothing in them happens without the leave of a scheduler ([`crate::desk`]). The search
//! goes through all its choices, depth first. A process is a function of what it has been told, so two
//! histories that leave the same world and have told each process the same have the same future, and only one of
//! them is followed.

use crate::bugs::{Bug, Buggy, BuggyDatabase, steps};
use crate::desk::{Desk, DeskDatabase, DeskStore, Grant, Op};
use crate::fake::{CURRENT, Fake, PENDING, PREVIOUS};
use crate::memory::MemoryServer;
use function_contract::{DatabaseId, PasswordPolicy, RoleComment, Strategy, label};
use rotation_function::config::{Config, Function, Hosts};
use rotation_function::context::Context;
use rotation_function::event::RotationEvent;
use rotation_function::password::Password;
use rotation_function::rotation::Report;
use rotation_function::secret::{NewSecret, SecretText, SecretValue};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as PollContext, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

const DEPLOYMENT: &str = "model";
const USER: &str = "app";
const USER_ARN: &str = "arn:user";
const ADMIN: &str = "admin";
const ADMIN_ARN: &str = "arn:admin";
const HOST: &str = "memory";

/// What runs beside the first rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    Nothing,
    /// Secrets Manager invokes the same rotation again, whether or not the first still runs.
    SameToken,
    /// An operator takes AWSPENDING away and starts another, likewise.
    NewToken,
}

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    pub strategy: Strategy,
    /// Rotations that went well before.
    pub earlier: usize,
    pub second: Second,
    pub crashes: usize,
    /// Effects whose answer is lost.
    pub losses: usize,
    /// Passwords that are acknowledged and not set.
    pub forgotten: usize,
    /// Times that an operator takes AWSPENDING away, whoever runs.
    pub cancels: usize,
    /// Times that somebody takes LOGIN from the base, whoever runs; it is given back before recovery.
    pub bars: usize,
    pub bug: Option<Bug>,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub states: usize,
    /// Ends of all processes, each followed by a recovery.
    pub ends: usize,
    /// Histories run from their beginning.
    pub runs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Run(usize, Grant),
    Crash(usize),
    /// By an operator.
    Cancel,
    /// By somebody who has a reason to.
    Bar,
    /// The second process.
    Begin,
    /// All have ended: the rotation is repeated if it has not ended well (else, or without `again`, the operator takes
    /// AWSPENDING away), then another one runs to its end.
    Recover {
        again: bool,
    },
}

type Running = Pin<Box<dyn Future<Output = Result<(), String>>>>;

struct Process {
    running: Option<Running>,
    ended_well: bool,
}

/// A world before anything is tried.
struct Start {
    config: Config,
    store: Fake,
    server: MemoryServer,
}

impl Start {
    fn new(search: &Search) -> Self {
        let config = Config {
            function: Function::Rotation,
            deployment: DEPLOYMENT.to_owned(),
            hosts: Hosts::parse("memory:5432").unwrap(),
            admin_secret_arn: ADMIN_ARN.to_owned(),
            master_secret_arn: None,
            lock_database: "postgres".to_owned(),
        };
        let start = Self { config, store: Fake::default(), server: MemoryServer::default() };
        let alternating = search.strategy == Strategy::AlternatingUsers;
        start.provision(ADMIN, ADMIN_ARN, None);
        start.provision(USER, USER_ARN, alternating.then_some(ADMIN_ARN));
        // What went well before was a good function's.
        let good = Search { bug: None, ..*search };
        let mut world = World::of(&start, &good);
        for number in 0..search.earlier {
            world.rotate(&token("earlier", number)).unwrap();
        }
        Self { config: start.config, store: (*world.store).clone(), server: (*world.server).clone() }
    }

    fn provision(&self, login: &str, arn: &str, master_arn: Option<&str>) {
        let password = Password::generate(&PasswordPolicy::default()).unwrap();
        let value = NewSecret {
            engine: "postgres",
            host: HOST,
            port: 5432,
            username: login,
            password: &password,
            database: "postgres",
            id: &DatabaseId::Instance("memory".to_owned()),
            master_arn,
        };
        self.store.create(arn, DEPLOYMENT, login);
        self.store.put_by_hand(arn, &token("provisioned", 0), value.compose().expose());
        let mark = RoleComment { deployment: DEPLOYMENT.to_owned(), address: format!("login.{login}") };
        self.server.create_role(login, &mark, true, Some(&password));
    }
}

fn token(what: &str, number: usize) -> String {
    format!("{what:-<30}{number:02}")
}

struct World<'a> {
    search: &'a Search,
    config: Config,
    store: Arc<Fake>,
    server: Arc<MemoryServer>,
    desk: Arc<Desk>,
    processes: Vec<Process>,
    crashes: usize,
    losses: usize,
    forgotten: usize,
    cancels: usize,
    bars: usize,
    recovered: bool,
}

impl<'a> World<'a> {
    fn of(start: &Start, search: &'a Search) -> Self {
        Self {
            search,
            config: start.config.clone(),
            store: Arc::new(start.store.clone()),
            server: Arc::new(start.server.clone()),
            desk: Arc::default(),
            processes: Vec::new(),
            crashes: search.crashes,
            losses: search.losses,
            forgotten: search.forgotten,
            cancels: search.cancels,
            bars: search.bars,
            recovered: false,
        }
    }

    /// A process that takes the four steps, up to where it waits for leave.
    fn start(&mut self, token: &str) -> usize {
        let process = self.desk.open();
        let (config, bug, token) = (self.config.clone(), self.search.bug, token.to_owned());
        let store = DeskStore { desk: Arc::clone(&self.desk), process, store: Arc::clone(&self.store) };
        let store = Buggy::new(store, bug);
        let database = DeskDatabase { desk: Arc::clone(&self.desk), process, server: Arc::clone(&self.server) };
        let running = Box::pin(async move {
            let database = BuggyDatabase { database, store: &store, secret: USER_ARN };
            let mut context = Context::new(&config, &store, &database, Instant::now() + Duration::from_secs(60));
            // Time is nobody's choice here: what could happen meanwhile can happen without it passing.
            context.pause = |_| Box::pin(std::future::ready(()));
            for step in steps(bug) {
                store.begins(step);
                let event = serde_json::json!({"Step": step, "SecretId": USER_ARN, "ClientRequestToken": token});
                let event = RotationEvent::parse(event).map_err(|error| error.to_string())?;
                let done = context.rotate(&event, &mut Report::default()).await;
                done.map_err(|error| format!("{step}: {error}"))?;
            }
            Ok(())
        });
        self.processes.push(Process { running: Some(running), ended_well: false });
        self.poll(process).expect("nothing has happened yet");
        process
    }

    /// Lets a process go on to where it waits for leave; its error, if it ends with one.
    fn poll(&mut self, process: usize) -> Result<(), String> {
        let at = &mut self.processes[process];
        let running = at.running.as_mut().expect("it runs");
        match running.as_mut().poll(&mut PollContext::from_waker(Waker::noop())) {
            Poll::Pending => {
                assert!(self.desk.waiting(process).is_some(), "it waits for something that nobody gives");
                Ok(())
            }
            Poll::Ready(result) => {
                at.running = None;
                at.ended_well = result.is_ok();
                result
            }
        }
    }

    /// A rotation alone, to its end.
    fn rotate(&mut self, token: &str) -> Result<(), String> {
        self.store.start_rotation(USER_ARN, token).map_err(str::to_owned)?;
        let process = self.start(token);
        while self.processes[process].running.is_some() {
            self.desk.grant(process, Grant::Do);
            self.poll(process)?;
            self.check()?;
        }
        Ok(())
    }

    /// Whether a rotation is under way or has not ended well.
    fn outstanding(&self) -> bool {
        self.store.with(USER_ARN, |secret| {
            secret.labels.get(PENDING).is_some_and(|pending| secret.labels.get(CURRENT) != Some(pending))
        })
    }

    fn cancel(&self) {
        self.store.with(USER_ARN, |secret| {
            if secret.labels.get(PENDING) != secret.labels.get(CURRENT) {
                secret.labels.remove(PENDING);
            }
        });
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for process in 0..self.processes.len() {
            let op = self.processes[process].running.as_ref().and_then(|_| self.desk.waiting(process));
            let Some(op) = op else { continue };
            if !matches!(&op, Op::Lock(login) if self.server.locked(login)) {
                choices.push(Choice::Run(process, Grant::Do));
                if op.is_effect() && !matches!(op, Op::Lock(_)) && self.losses > 0 {
                    choices.push(Choice::Run(process, Grant::Lose));
                }
                if matches!(op, Op::SetPassword(_)) && self.forgotten > 0 {
                    choices.push(Choice::Run(process, Grant::Forget));
                }
            }
            if self.crashes > 0 && self.desk.after_effect(process) {
                choices.push(Choice::Crash(process));
            }
        }
        if self.cancels > 0 && !self.recovered && self.outstanding() {
            choices.push(Choice::Cancel);
        }
        if self.bars > 0 && !self.recovered {
            choices.push(Choice::Bar);
        }
        let running = self.processes.iter().any(|at| at.running.is_some());
        if self.processes.len() == 1 && self.search.second != Second::Nothing && !self.processes[0].ended_well {
            choices.push(Choice::Begin);
        }
        if !running && !self.recovered {
            choices.extend([Choice::Recover { again: true }, Choice::Recover { again: false }]);
        }
        assert!(!running || !choices.is_empty(), "two processes wait for each other");
        choices
    }

    fn make(&mut self, choice: Choice) -> Result<(), String> {
        match choice {
            Choice::Run(process, grant) => {
                match grant {
                    Grant::Do => {}
                    Grant::Lose => self.losses -= 1,
                    Grant::Forget => self.forgotten -= 1,
                }
                self.desk.grant(process, grant);
                // A step that fails ends the process; whether that may be, recovery tells.
                let _ = self.poll(process);
            }
            Choice::Crash(process) => {
                self.crashes -= 1;
                self.processes[process].running = None;
            }
            Choice::Cancel => {
                self.cancels -= 1;
                self.cancel();
            }
            Choice::Bar => {
                self.bars -= 1;
                self.server.may_log_in(USER, false);
            }
            Choice::Begin => {
                let second = match self.search.second {
                    Second::NewToken => {
                        self.cancel();
                        token("second", 0)
                    }
                    Second::SameToken | Second::Nothing => token("first", 0),
                };
                // A repetition of what an operator has taken away: the function is invoked all the same.
                if !(self.meddled() && self.search.second == Second::SameToken) {
                    self.store.start_rotation(USER_ARN, &second)?;
                }
                self.start(&second);
            }
            Choice::Recover { again } => {
                self.recovered = true;
                self.recover(again)?;
            }
        }
        Ok(())
    }

    /// Whether somebody has taken LOGIN from the base.
    fn barred(&self) -> bool {
        self.bars < self.search.bars && !self.server.lets_in(USER)
    }

    /// Whether an operator has taken AWSPENDING away.
    fn meddled(&self) -> bool {
        self.cancels < self.search.cancels
    }

    fn recover(&mut self, again: bool) -> Result<(), String> {
        // Who has shut the base out lets it in again. With that, all that was promised holds: nothing was lost by it.
        if self.barred() {
            self.server.may_log_in(USER, true);
            self.check()?;
        }
        let pending = self.store.with(USER_ARN, |secret| {
            let pending = secret.labels.get(PENDING).cloned();
            pending.filter(|pending| secret.labels.get(CURRENT) != Some(pending))
        });
        if let Some(pending) = pending.filter(|_| again) {
            let repeated = self.rotate(&pending);
            // Which of two rotations went on after an operator's intervention decides whether the other can; a
            // rotation that nobody has meddled with must end when it is repeated.
            if self.search.second != Second::NewToken && !self.meddled() {
                repeated.map_err(|error| format!("the same rotation again: {error}"))?;
            }
            self.check()?;
        }
        self.cancel();
        let last = token("last", 0);
        self.rotate(&last).map_err(|error| format!("the next rotation: {error}"))?;
        let current = self.store.with(USER_ARN, |secret| secret.labels[CURRENT].clone());
        if current != last {
            return Err("the next rotation did not become AWSCURRENT".to_owned());
        }
        self.works(CURRENT).map_err(|why| format!("AWSCURRENT after the next rotation: {why}"))?;
        if self.search.strategy == Strategy::AlternatingUsers {
            self.works(PREVIOUS).map_err(|why| format!("AWSPREVIOUS after the next rotation: {why}"))?;
        }
        Ok(())
    }

    /// The promise that holds at every moment.
    fn check(&self) -> Result<(), String> {
        let may_be_in_force: &[&str] = match self.search.strategy {
            Strategy::AlternatingUsers => &[CURRENT],
            Strategy::SingleUser => &[CURRENT, label::SETTING, label::IN_FORCE],
        };
        let refusals: Result<Vec<String>, ()> =
            may_be_in_force.iter().map(|label| self.works(label).err().ok_or(())).collect();
        refusals.map_or(Ok(()), |refusals| Err(format!("locked out: {}", refusals.join(", "))))
    }

    /// Whether a label leads to a value that logs in.
    fn works(&self, label: &str) -> Result<(), String> {
        let text = self.store.with(USER_ARN, |secret| {
            secret.labels.get(label).and_then(|version| secret.values.get(version).cloned().flatten())
        });
        let text = text.ok_or_else(|| format!("{label} leads to no value"))?;
        let value = SecretValue::parse(SecretText::new(text)).map_err(|error| error.to_string())?;
        match self.server.admits(&value.username, &value.password) {
            // The password is right, and somebody has shut that very role out. It is the other role that must not go with it.
            Err("28000") if value.username == USER && self.barred() => Ok(()),
            admitted => admitted.map_err(|state| format!("{label} is refused ({state})")),
        }
    }

    /// Equal for worlds with equal futures.
    fn signature(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let left = (self.crashes, self.losses, self.forgotten, self.cancels, self.bars);
        (left, self.recovered, self.processes.len()).hash(&mut hasher);
        for (process, at) in self.processes.iter().enumerate() {
            let told = at.running.as_ref().map(|_| (self.desk.history(process), self.desk.waiting(process)));
            (told, at.running.is_some() && self.desk.after_effect(process), at.ended_well).hash(&mut hasher);
        }
        self.server.shape().hash(&mut hasher);
        self.store.with(USER_ARN, |secret| {
            secret.labels.hash(&mut hasher);
            for (version, text) in &secret.values {
                let value = text.as_ref().map(|text| SecretValue::parse(SecretText::new(text.clone())).ok().unwrap());
                let stands = value.map(|value| {
                    let admitted = self.server.admits(&value.username, &value.password);
                    (value.username, admitted)
                });
                (version, stands).hash(&mut hasher);
            }
        });
        hasher.finish()
    }

    fn tell(&self, choice: Choice) -> String {
        let name = |process: usize| ["first", "second"].get(process).copied().unwrap_or("another");
        match choice {
            Choice::Run(process, grant) => {
                let op = self.desk.waiting(process).map_or_else(String::new, |op| format!("{op:?}"));
                let how = match grant {
                    Grant::Do => "",
                    Grant::Lose => ", and the answer is lost",
                    Grant::Forget => ", and it is forgotten",
                };
                format!("{}: {op}{how}", name(process))
            }
            Choice::Crash(process) => format!("{}: dies", name(process)),
            Choice::Cancel => "an operator takes AWSPENDING away".to_owned(),
            Choice::Bar => "somebody takes LOGIN from the base".to_owned(),
            Choice::Begin => format!("the second begins ({:?})", self.search.second),
            Choice::Recover { again } => format!("recovery, {}", if again { "repeated first" } else { "cancelled" }),
        }
    }
}

/// Searches all of it. The first history that breaks a promise is the error, told step by step.
pub fn search(search: &Search) -> Result<Counts, String> {
    let start = Start::new(search);
    let mut counts = Counts::default();
    let mut seen = HashSet::new();
    // What was chosen at each depth, and what is still to be tried there.
    let mut path: Vec<(Choice, Vec<Choice>)> = Vec::new();
    loop {
        counts.runs += 1;
        let mut world = World::of(&start, search);
        world.store.start_rotation(USER_ARN, &token("first", 0))?;
        world.start(&token("first", 0));
        let mut told = Vec::new();
        let mut make = |world: &mut World<'_>, choice: Choice, known: bool| {
            told.push(world.tell(choice));
            world
                .make(choice)
                .and_then(|()| if known { Ok(()) } else { world.check() })
                .map_err(|broken| format!("{search:?}\n{}\n→ {broken}", told.join("\n")))
        };
        // All but the last of these were made before, and what they led to was looked at then.
        let before = path.len().saturating_sub(1);
        for (at, (choice, _)) in path.iter().enumerate() {
            let known = at < before;
            make(&mut world, *choice, known)?;
        }
        while seen.insert(world.signature()) {
            counts.states += 1;
            let mut choices = world.choices();
            counts.ends += usize::from(choices.iter().any(|choice| matches!(choice, Choice::Recover { .. })));
            let Some(choice) = choices.pop() else { break };
            path.push((choice, choices));
            make(&mut world, choice, false)?;
        }
        // Back to where something is left to be tried.
        loop {
            let Some((_, mut left)) = path.pop() else { return Ok(counts) };
            if let Some(choice) = left.pop() {
                path.push((choice, left));
                break;
            }
        }
    }
}
