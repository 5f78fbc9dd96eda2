//! Bugs put in on purpose: what watches over a rotation must find each of them, or it watches nothing.

use function_contract::{RoleComment, label};
use rotation_function::database::{Database, DatabaseError, Login};
use rotation_function::error::FunctionError;
use rotation_function::event::RotationToken;
use rotation_function::roles::{Role, ServerFacts};
use rotation_function::scram::Verifier;
use rotation_function::secret::SecretText;
use rotation_function::session::RoleSession;
use rotation_function::store::{Put, SecretInfo, SecretStore, StoreError, Stored, Which, label as aws};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::STEPS;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The password is set first and stored after it.
    SetBeforePut,
    /// AWSCURRENT moves unproven, and the test comes after it.
    FinishBeforeTest,
    /// The label that names the password being set is not written.
    LabelDropped,
}

/// The steps in the order of a function with this bug.
pub fn steps(bug: Option<Bug>) -> [&'static str; 4] {
    let [create, set, test, finish] = STEPS;
    if bug == Some(Bug::FinishBeforeTest) { [create, set, finish, test] } else { STEPS }
}

struct Held {
    token: String,
    text: SecretText,
}

/// A store as a process with a bug uses it.
pub struct Buggy<S> {
    store: S,
    bug: Option<Bug>,
    held: Mutex<Option<Held>>,
    finishing: AtomicBool,
}

impl<S> Buggy<S> {
    pub fn new(store: S, bug: Option<Bug>) -> Self {
        Self { store, bug, held: Mutex::default(), finishing: AtomicBool::new(false) }
    }

    /// To be told before each step.
    pub fn begins(&self, step: &str) {
        self.finishing.store(step == STEPS[3], Ordering::Relaxed);
    }

    fn held(&self, which: Which<'_>) -> Option<Stored> {
        let held = self.held.lock().unwrap();
        let held = held.as_ref().filter(|held| matches!(which, Which::Version(version) if version == held.token))?;
        Some(Stored {
            version: held.token.clone(),
            labels: BTreeSet::from([aws::PENDING.to_owned()]),
            text: SecretText::new(held.text.expose().to_owned()),
        })
    }
}

impl<S: SecretStore + Send> SecretStore for Buggy<S> {
    async fn describe(&self, secret: &str) -> Result<SecretInfo, StoreError> {
        self.store.describe(secret).await
    }

    async fn get(&self, secret: &str, which: Which<'_>) -> Result<Option<Stored>, StoreError> {
        match self.held(which) {
            Some(held) => Ok(Some(held)),
            None => self.store.get(secret, which).await,
        }
    }

    async fn put(
        &self,
        secret: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        rotation_token: Option<&RotationToken>,
    ) -> Result<Put, StoreError> {
        if self.bug == Some(Bug::SetBeforePut) && self.store.get(secret, Which::Version(token)).await?.is_none() {
            let text = SecretText::new(text.expose().to_owned());
            *self.held.lock().unwrap() = Some(Held { token: token.to_owned(), text });
            return Ok(Put::Stored);
        }
        self.store.put(secret, token, text, label, rotation_token).await
    }

    async fn move_label(
        &self,
        secret: &str,
        moved: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        if self.bug == Some(Bug::LabelDropped) && [label::SETTING, label::IN_FORCE].contains(&moved) {
            return Ok(());
        }
        self.store.move_label(secret, moved, to, from).await
    }
}

/// A database as that process uses it.
pub struct BuggyDatabase<'a, S, D> {
    pub database: D,
    pub store: &'a Buggy<S>,
    pub secret: &'a str,
}

pub struct BuggySession<'a, S, T> {
    session: Option<T>,
    store: &'a Buggy<S>,
    secret: &'a str,
}

impl<'a, S: SecretStore + Send, D: Database> Database for BuggyDatabase<'a, S, D> {
    type Session = BuggySession<'a, S, D::Session>;

    async fn connect(&self, login: &Login<'_>) -> Result<Self::Session, DatabaseError> {
        let unproven = self.store.bug == Some(Bug::FinishBeforeTest) && self.store.finishing.load(Ordering::Relaxed);
        let session = if unproven { None } else { Some(self.database.connect(login).await?) };
        Ok(BuggySession { session, store: self.store, secret: self.secret })
    }
}

impl<S: SecretStore + Send, T: RoleSession> RoleSession for BuggySession<'_, S, T> {
    async fn take_lock(&self, login: &str) -> Result<(), FunctionError> {
        match &self.session {
            Some(session) => session.take_lock(login).await,
            None => Ok(()),
        }
    }

    async fn server(&self) -> Result<ServerFacts, DatabaseError> {
        match &self.session {
            Some(session) => session.server().await,
            None => Ok(ServerFacts {
                version: 160_000,
                iterations: std::num::NonZeroU32::MIN,
                restricts_passwords: false,
                in_rds_password: false,
                is_replica: false,
            }),
        }
    }

    async fn roles(&self, names: &[&str]) -> Result<BTreeMap<String, Role>, DatabaseError> {
        match &self.session {
            Some(session) => session.roles(names).await,
            None => Ok(BTreeMap::new()),
        }
    }

    async fn create_clone(&self, clone: &str, base: &str, mark: &RoleComment) -> Result<(), DatabaseError> {
        match &self.session {
            Some(session) => session.create_clone(clone, base, mark).await,
            None => Ok(()),
        }
    }

    async fn mirror(&self, base: &Role, clone: &Role) -> Result<Vec<String>, DatabaseError> {
        match &self.session {
            Some(session) => session.mirror(base, clone).await,
            None => Ok(Vec::new()),
        }
    }

    async fn set_password(&self, role: &str, verifier: Verifier) -> Result<(), DatabaseError> {
        if let Some(session) = &self.session {
            session.set_password(role, verifier).await?;
        }
        let held = self.store.held.lock().unwrap().take();
        if let Some(Held { token, text }) = held {
            let put = self.store.store.put(self.secret, &token, &text, aws::PENDING, None).await;
            put.map_err(|error| DatabaseError::Unexpected {
                server: String::new(),
                what: "the put that comes too late",
                because: error.to_string(),
            })?;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), DatabaseError> {
        match &self.session {
            Some(session) => session.ping().await,
            None => Ok(()),
        }
    }

    async fn end(self) {
        if let Some(session) = self.session {
            session.end().await;
        }
    }
}
