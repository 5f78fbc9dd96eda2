//! Rotations that come to grief at each of their side effects, on a real PostgreSQL and the sandbox's Secrets Manager, and
//! what may follow. Provisionings and recoveries: [`crate::matrix_apply`].
//!
//! After every step the promise must hold: AWSCURRENT logs in (alternating users), or a version labelled as possibly in
//! force does (single user). The next rotation ends well, and AWSPREVIOUS of alternating users logs in then too.

use crate::bugs::{Bug, Buggy, BuggyDatabase, steps};
use crate::faults::{FaultyDatabase, FaultyStore, PASSWORD, Plan, When};
use crate::sandbox::Manager;
use crate::server::{MASTER, MASTER_PASSWORD, Server, server};
use crate::world::{DEPLOYMENT, ensure_request, postgres, token};
use function_contract::{Duty, EnsureLogin, ProvisioningRequest, Strategy, label};
use rotation_function::config::{Config, Function, Hosts};
use rotation_function::context::Context;
use rotation_function::database::{Postgres, identifier, literal};
use rotation_function::event::RotationEvent;
use rotation_function::rotation::Report;
use rotation_function::secret::SecretText;
use rotation_function::store::{AwsStore, SecretInfo, SecretStore, label as aws};
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Set for all cases (`make crash`); without it one in [`SHARE`], always the same ones.
const WHOLE: &str = "PGROTATE_CRASH";
const SHARE: usize = 10;
const SEED: u64 = 20_261_124;

/// Looks that find nothing in force before that is believed. A look is several logins, and a process beside may change
/// label or password between two of them: at most four times in a rotation.
const LOOKS: usize = 5;

/// Those of `cases` to be played.
pub fn chosen<T>(cases: Vec<T>) -> Vec<T> {
    if std::env::var_os(WHOLE).is_some() {
        return cases;
    }
    let share = cases.len().div_ceil(SHARE);
    let mut drawn: Vec<(u64, usize, T)> = cases
        .into_iter()
        .enumerate()
        .map(|(number, case)| {
            let mut hasher = DefaultHasher::new();
            (SEED, number).hash(&mut hasher);
            (hasher.finish(), number, case)
        })
        .collect();
    drawn.sort_by_key(|(drawn, _, _)| *drawn);
    drawn.truncate(share);
    drawn.sort_by_key(|(_, number, _)| *number);
    drawn.into_iter().map(|(_, _, case)| case).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    SameToken,
    NewToken,
    /// An apply that makes sure of the login.
    Provision,
    /// Somebody who takes LOGIN from the base, and gives it back when all processes have ended.
    Bar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Secrets Manager repeats the rotation.
    SameToken,
    /// Another is begun, which takes an operator's hand where the first is outstanding.
    NewToken,
    /// The operator removes AWSPENDING, and the same rotation is repeated all the same; then another.
    Cancelled,
    /// The process waits before this effect while another one runs, and meets its mishap after it.
    Beside(usize, Second),
}

#[derive(Debug, Clone, Copy)]
struct Case {
    at: usize,
    when: When,
    then: Then,
}

/// How something went wrong.
#[derive(Debug)]
pub enum Trouble {
    /// A step failed, as steps may.
    Failed(String),
    /// A promise is broken.
    Broken(String),
}

/// Whose password rotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    User(Strategy),
    /// The admin login, a single user whom no other login could help.
    Admin,
}

impl Subject {
    fn strategy(self) -> Strategy {
        match self {
            Self::User(strategy) => strategy,
            Self::Admin => Strategy::SingleUser,
        }
    }
}

impl From<Strategy> for Subject {
    fn from(strategy: Strategy) -> Self {
        Self::User(strategy)
    }
}

/// A login of a deployment of its own.
pub struct Site {
    pub server: &'static Server,
    manager: Manager,
    pub store: AwsStore,
    database: Postgres,
    config: Config,
    pub strategy: Strategy,
    admin: String,
    pub user: String,
    pub user_arn: String,
    /// What provisioning is asked for.
    pub duty: Duty,
    /// Somebody has taken LOGIN from the base.
    barred: AtomicBool,
}

impl Site {
    pub async fn unprovisioned(strategy: Strategy) -> Self {
        let (server, manager) = (server(), Manager::new());
        let number = token();
        let (admin, user) = (format!("Admin {number}"), format!("App\"{number}"));
        let hosts = format!("127.0.0.1:{}", server.port);
        let master = serde_json::json!({"username": MASTER, "password": MASTER_PASSWORD}).to_string();
        let master_arn = manager.create("master", "none", "none", Some(&master)).await;
        let admin_arn = manager.create("admin", DEPLOYMENT, &admin, None).await;
        let user_arn = manager.create("user", DEPLOYMENT, &user, None).await;
        let config = Config {
            function: Function::Rotation,
            deployment: DEPLOYMENT.to_owned(),
            hosts: Hosts::parse(&hosts).unwrap(),
            admin_secret_arn: admin_arn,
            master_secret_arn: Some(master_arn),
            lock_database: "postgres".to_owned(),
        };
        let store = manager.store();
        let site = Self {
            server,
            manager,
            store,
            database: postgres(&server.ca, &hosts),
            config,
            strategy,
            admin,
            user,
            user_arn,
            duty: Duty::User,
            barred: AtomicBool::new(false),
        };
        site.provision(Duty::Admin, &Plan::default()).await.expect("the admin login is provisioned");
        site
    }

    async fn new(subject: Subject) -> Self {
        let mut site = Self::unprovisioned(subject.strategy()).await;
        if subject == Subject::Admin {
            (site.user, site.user_arn) = (site.admin.clone(), site.config.admin_secret_arn.clone());
            site.duty = Duty::Admin;
        }
        site.provision(site.duty, &Plan::default()).await.expect("the login is provisioned");
        site
    }

    pub async fn rotated(subject: impl Into<Subject>, times: usize) -> Self {
        let site = Self::new(subject.into()).await;
        for _ in 0..times {
            let token = token();
            site.begin(&token).await;
            site.rotate(&token).await.expect("a rotation without mishap");
        }
        site
    }

    fn context<'a, S, D>(&'a self, store: &'a S, database: &'a D) -> Context<'a, S, D> {
        Context::new(&self.config, store, database, Instant::now() + Duration::from_secs(25))
    }

    pub async fn provision(&self, duty: Duty, plan: &Plan) -> Result<(), Trouble> {
        self.ask(&ProvisioningRequest::EnsureLogin(self.ensure_request(duty)), plan).await
    }

    /// What apply asks for.
    pub fn ensure_request(&self, duty: Duty) -> EnsureLogin {
        let (login, secret_arn, strategy) = match duty {
            Duty::Admin => (&self.admin, &self.config.admin_secret_arn, Strategy::SingleUser),
            Duty::User => (&self.user, &self.user_arn, self.strategy),
        };
        ensure_request(login, secret_arn, duty, strategy, self.server)
    }

    /// Provisioning with the mishaps of `plan`.
    pub async fn ask(&self, request: &ProvisioningRequest, plan: &Plan) -> Result<(), Trouble> {
        let (store, database) = (FaultyStore(&self.store, plan), FaultyDatabase(&self.database, plan));
        let done = self.context(&store, &database).provision(request).await;
        done.map(drop).map_err(|error| Trouble::Failed(error.to_string()))
    }

    /// The four steps of a process with the mishaps of `plan`. The promise is looked at after each.
    async fn run(&self, token: &str, plan: &Plan, bug: Option<Bug>) -> Result<(), Trouble> {
        let store = Buggy::new(FaultyStore(&self.store, plan), bug);
        let database =
            BuggyDatabase { database: FaultyDatabase(&self.database, plan), store: &store, secret: &self.user_arn };
        for step in steps(bug) {
            store.begins(step);
            let event = serde_json::json!({"Step": step, "SecretId": self.user_arn, "ClientRequestToken": token});
            let event = RotationEvent::parse(event).map_err(|error| Trouble::Failed(error.to_string()))?;
            let mut report = Report::default();
            let done = self.context(&store, &database).rotate(&event, &mut report).await;
            self.check(step).await?;
            done.map_err(|error| Trouble::Failed(format!("{step}: {error}")))?;
            // The labels must do; the admin login's help is for other mishaps.
            if let Some(note) = report.notes.iter().find(|note| note.starts_with("repaired")) {
                return Err(Trouble::Broken(format!("{step}: {note}")));
            }
        }
        Ok(())
    }

    /// Puts a value as a person would: AWSCURRENT's with other text under some keys.
    pub async fn put_by_hand(&self, changes: &[(&str, &str)]) {
        let info = self.info().await;
        let current = info.version_with(aws::CURRENT).expect("a provisioned login has one");
        let value = self.manager.value(&self.user_arn, current).await.expect("a value");
        let mut value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        for (key, text) in changes {
            value[*key] = (*text).into();
        }
        let text = SecretText::new(value.to_string());
        self.store.put(&self.user_arn, &token(), &text, aws::CURRENT, None).await.expect("a put");
    }

    /// The first steps of a rotation, without mishap.
    pub async fn some_steps(&self, token: &str, steps: usize) {
        for step in &crate::world::STEPS[..steps] {
            let event = serde_json::json!({"Step": step, "SecretId": self.user_arn, "ClientRequestToken": token});
            let event = RotationEvent::parse(event).expect("an event");
            let context = self.context(&self.store, &self.database);
            context.rotate(&event, &mut Report::default()).await.expect("a step without mishap");
        }
    }

    /// A rotation without mishap.
    pub async fn rotate(&self, token: &str) -> Result<(), Trouble> {
        self.run(token, &Plan::default(), None).await
    }

    /// The same, with nobody looking on.
    pub async fn rotate_unwatched(&self, token: &str) {
        self.some_steps(token, crate::world::STEPS.len()).await;
    }

    /// Labels of versions that log in, found out as an application would: not by the function's own eyes.
    pub async fn working(&self) -> Vec<String> {
        let mut working = Vec::new();
        for (version, labels) in self.info().await.versions {
            let value = self.manager.value(&self.user_arn, &version).await;
            if self.server.admits(value.as_deref()).await {
                working.extend(labels);
            }
        }
        working
    }

    pub async fn check(&self, after: &str) -> Result<(), Trouble> {
        let may: &[&str] = match self.strategy {
            Strategy::AlternatingUsers => &[aws::CURRENT],
            Strategy::SingleUser => &[aws::CURRENT, label::SETTING, label::IN_FORCE],
        };
        for _ in 0..LOOKS {
            if self.any_works(may).await {
                return Ok(());
            }
        }
        // Whose very role somebody has shut out, does not log in; the other one must not go with it.
        if self.barred.load(Ordering::Relaxed) && self.in_use().await == self.user {
            return Ok(());
        }
        Err(Trouble::Broken(format!("locked out after {after}: only {:?} log in", self.working().await)))
    }

    /// Whether a version with one of `labels` logs in. The first of them that does ends the look.
    async fn any_works(&self, labels: &[&str]) -> bool {
        let versions = self.info().await.versions;
        for label in labels {
            let of_label = versions.iter().filter(|(_, labels)| labels.iter().any(|other| other == label));
            for (version, _) in of_label {
                let value = self.manager.value(&self.user_arn, version).await;
                if self.server.admits(value.as_deref()).await {
                    return true;
                }
            }
        }
        false
    }

    /// The role that AWSCURRENT names.
    async fn in_use(&self) -> String {
        let info = self.info().await;
        let current = info.version_with(aws::CURRENT).expect("a provisioned login has one");
        let value = self.manager.value(&self.user_arn, current).await.expect("a value");
        let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        value["username"].as_str().expect("a name").to_owned()
    }

    /// Takes LOGIN from the base, or gives it back.
    async fn bar(&self, bar: bool) {
        let login = if bar { "NOLOGIN" } else { "LOGIN" };
        self.server.sql(&format!("ALTER ROLE {} {login}", identifier(&self.user))).await;
        self.barred.store(bar, Ordering::Relaxed);
    }

    pub async fn info(&self) -> SecretInfo {
        self.store.describe(&self.user_arn).await.expect("the secret is there")
    }

    /// The version of a rotation that has not ended.
    async fn outstanding(&self) -> Option<String> {
        let info = self.info().await;
        let pending = info.version_with(aws::PENDING).filter(|version| !info.has(version, aws::CURRENT));
        pending.map(str::to_owned)
    }

    /// Begins a rotation; one that is outstanding is taken away first, and only if AWS asks for it.
    pub async fn begin(&self, token: &str) {
        if self.manager.begin(&self.user_arn, token) {
            return;
        }
        let outstanding = self.outstanding().await.expect("AWS refuses for no other reason");
        self.manager.cancel(&self.user_arn, &outstanding).await;
        assert!(self.manager.begin(&self.user_arn, token));
    }

    /// Waits until a session of this login's roles waits for a lock.
    async fn somebody_waits_for_the_lock(&self) {
        let users = [&self.admin, &self.user, &function_contract::clone_of(&self.user)].map(|name| literal(name));
        let sql = format!(
            "SELECT 'waits' FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND NOT granted AND usename IN ({})",
            users.join(", ")
        );
        while self.server.texts(&sql).await.is_empty() {
            // PostgreSQL tells nobody that a session waits; one has to look.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn play(&self, case: &Case, bug: Option<Bug>) -> Result<(), Trouble> {
        let (plan, first) = (Plan::default(), token());
        plan.start(Some((case.at, case.when)));
        self.begin(&first).await;
        // Whether Secrets Manager's own repetition must end well: not once somebody has meddled.
        let mut repeats_well = true;
        match case.then {
            Then::SameToken | Then::NewToken => {
                passed(self.run(&first, &plan, bug).await)?;
                happened(case, &plan, bug);
            }
            Then::Cancelled => {
                passed(self.run(&first, &plan, bug).await)?;
                happened(case, &plan, bug);
                if let Some(outstanding) = self.outstanding().await {
                    self.manager.cancel(&self.user_arn, &outstanding).await;
                    self.check("AWSPENDING was taken away").await?;
                    if self.rotate(&outstanding).await.is_ok() {
                        return Err(Trouble::Broken("a cancelled rotation ended".to_owned()));
                    }
                }
            }
            Then::Beside(pause, second) => {
                plan.pause_before(pause);
                repeats_well = second != Second::NewToken;
                self.run_beside(&first, &plan, second, bug).await?;
            }
        }
        self.check("all processes").await?;
        if self.barred.load(Ordering::Relaxed) {
            self.bar(false).await;
            self.check("LOGIN was given back").await?;
        }
        if let Some(outstanding) = self.outstanding().await.filter(|_| case.then != Then::NewToken) {
            match self.rotate(&outstanding).await {
                Err(Trouble::Failed(_)) if !repeats_well => {}
                result => broken("the same rotation again", result)?,
            }
        }
        let last = token();
        self.begin(&last).await;
        broken("the next rotation", self.rotate(&last).await)?;
        let (info, working) = (self.info().await, self.working().await);
        let previous = self.strategy == Strategy::SingleUser || working.iter().any(|label| label == aws::PREVIOUS);
        if !info.has(&last, aws::CURRENT) || !working.iter().any(|label| label == aws::CURRENT) || !previous {
            return Err(Trouble::Broken(format!(
                "after the next rotation only {working:?} log in: {:?}",
                info.versions
            )));
        }
        Ok(())
    }

    /// Runs the process of `plan`; where it pauses, another runs until it ends or is kept out by the first one's lock.
    async fn run_beside(&self, first: &str, plan: &Plan, second: Second, bug: Option<Bug>) -> Result<(), Trouble> {
        let began = Cell::new(false);
        let mut one = pin!(self.run(first, plan, bug));
        let mut other = pin!(async {
            plan.paused().await;
            began.set(true);
            let token = match second {
                Second::SameToken => first.to_owned(),
                Second::NewToken => {
                    let token = token();
                    self.begin(&token).await;
                    token
                }
                Second::Provision => {
                    self.ensure_beside(plan).await;
                    plan.release();
                    return Ok(());
                }
                Second::Bar => {
                    self.bar(true).await;
                    plan.release();
                    return Ok(());
                }
            };
            let mut running = pin!(self.rotate(&token));
            let result = tokio::select! {
                result = &mut running => result,
                () = self.somebody_waits_for_the_lock() => {
                    plan.release();
                    running.await
                }
            };
            plan.release();
            result
        });
        let (of_one, of_other) = tokio::select! {
            result = &mut one => (result, if began.get() { other.await } else { Ok(()) }),
            result = &mut other => (one.await, result),
        };
        assert!(began.get(), "the first process never came to where it was to wait");
        passed(of_one)?;
        passed(of_other)
    }
}

/// Whether the mishap of a process that ran alone came to pass; a case without it would prove nothing.
fn happened(case: &Case, plan: &Plan, bug: Option<Bug>) {
    // A wrong function has its effects in another order.
    if bug.is_some() {
        return;
    }
    let effects = plan.effects();
    assert!(effects.len() > case.at, "{case:?}: {effects:?}");
    assert_eq!(plan.dead(), matches!(case.when, When::Before | When::After), "{case:?}");
    assert!(case.when != When::Forgotten || effects[case.at] == PASSWORD, "{case:?}: {effects:?}");
}

/// A process may fail: what it must not do is break a promise.
fn passed(result: Result<(), Trouble>) -> Result<(), Trouble> {
    match result {
        Err(Trouble::Failed(_)) => Ok(()),
        other => other,
    }
}

fn broken(what: &str, result: Result<(), Trouble>) -> Result<(), Trouble> {
    result.map_err(|trouble| match trouble {
        Trouble::Failed(why) | Trouble::Broken(why) => Trouble::Broken(format!("{what}: {why}")),
    })
}

/// The side effects of a rotation after `earlier` others.
async fn effects(subject: Subject, earlier: usize) -> Vec<&'static str> {
    let site = Site::new(subject).await;
    let plan = Plan::default();
    for _ in 0..=earlier {
        plan.start(None);
        let token = token();
        site.begin(&token).await;
        site.run(&token, &plan, None).await.unwrap();
    }
    plan.effects()
}

fn cases(effects: &[&str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, effect) in effects.iter().enumerate() {
        for when in [When::Before, When::After, When::Lost, When::Forgotten] {
            if when == When::Forgotten && *effect != PASSWORD {
                continue;
            }
            let plain = [Then::SameToken, Then::NewToken, Then::Cancelled];
            let seconds = [Second::SameToken, Second::NewToken];
            let beside = (0..=at).flat_map(|pause| seconds.map(|second| Then::Beside(pause, second)));
            let beside = beside.chain([Second::Provision, Second::Bar].map(|second| Then::Beside(at, second)));
            cases.extend(plain.into_iter().chain(beside).map(|then| Case { at, when, then }));
        }
    }
    cases
}

async fn all(subject: Subject) {
    let (mut played, mut total) = (0, 0);
    for earlier in 0..3 {
        let cases = cases(&effects(subject, earlier).await);
        total += cases.len();
        let mut kept: Option<Site> = None;
        for case in chosen(cases) {
            played += 1;
            // The first rotation makes the clone, so that it needs a login without one. Otherwise a login that has
            // recovered is as good as new, and the next case proves it.
            let site = match kept.take() {
                Some(site) if earlier > 0 => site,
                _ => Site::rotated(subject, earlier).await,
            };
            if let Err(trouble) = site.play(&case, None).await {
                panic!("{subject:?} after {earlier}, {case:?}: {trouble:?}");
            }
            kept = Some(site);
        }
    }
    println!("{subject:?}: {played} of {total} cases, no lock-out");
    assert!(total > 300 && played * 10 >= total, "{played} of {total}");
}

#[tokio::test]
async fn alternating_users() {
    all(Subject::User(Strategy::AlternatingUsers)).await;
}

#[tokio::test]
async fn a_single_user() {
    all(Subject::User(Strategy::SingleUser)).await;
}

#[tokio::test]
async fn the_admin_login() {
    all(Subject::Admin).await;
}

/// The cases around the new password in which no other process runs suffice.
#[tokio::test]
async fn every_bug_put_in_is_found() {
    for (bug, strategy) in [
        (Bug::SetBeforePut, Strategy::SingleUser),
        (Bug::FinishBeforeTest, Strategy::AlternatingUsers),
        (Bug::FinishBeforeTest, Strategy::SingleUser),
        (Bug::LabelDropped, Strategy::SingleUser),
    ] {
        let subject = Subject::User(strategy);
        let effects = effects(subject, 1).await;
        let password = effects.iter().position(|effect| *effect == PASSWORD).expect("a new password");
        let around =
            |case: &Case| (password - 1..=password).contains(&case.at) && !matches!(case.then, Then::Beside(..));
        // That a password is forgotten only the test finds out.
        let (forgotten, others): (Vec<_>, Vec<_>) =
            cases(&effects).into_iter().filter(around).partition(|case| case.when == When::Forgotten);
        let mut found = None;
        for case in forgotten.into_iter().chain(others) {
            if let Err(Trouble::Broken(why)) = Site::rotated(subject, 1).await.play(&case, Some(bug)).await
                && why.contains("locked out")
            {
                found = Some(case);
                break;
            }
        }
        let case = found.unwrap_or_else(|| panic!("{bug:?} of {strategy:?} goes unnoticed"));
        Site::rotated(subject, 1).await.play(&case, None).await.unwrap();
    }
}
