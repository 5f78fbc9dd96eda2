//! A server made of a few maps: roles, passwords and locks by PostgreSQL's rules, as far as a rotation meets them.

use function_contract::{RoleComment, RoleFacts};
use rotation_function::database::DatabaseError;
use rotation_function::password::Password;
use rotation_function::roles::{Role, ServerFacts};
use rotation_function::scram::Verifier;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

#[derive(Clone)]
struct Stored {
    verifier: Option<Arc<Verifier>>,
    role: Role,
}

#[derive(Clone, Default)]
struct State {
    roles: BTreeMap<String, Stored>,
    /// Session by login.
    locks: BTreeMap<String, usize>,
    sessions: usize,
}

#[derive(Default)]
pub struct MemoryServer(Mutex<State>);

impl Clone for MemoryServer {
    /// A server of its own with the same roles, and no session.
    fn clone(&self) -> Self {
        let roles = self.0.lock().unwrap().roles.clone();
        Self(Mutex::new(State { roles, ..State::default() }))
    }
}

pub fn refused(sqlstate: &str) -> DatabaseError {
    DatabaseError::Refused {
        server: "memory".to_owned(),
        what: "the statement",
        sqlstate: sqlstate.to_owned(),
        message: "refused".to_owned(),
    }
}

/// The least work for a verifier: what is tried here is an order of events, not a password.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN;

impl MemoryServer {
    pub fn create_role(&self, name: &str, mark: &RoleComment, can_login: bool, password: Option<&Password>) {
        let facts = RoleFacts {
            comment: Some(mark.text()),
            can_login,
            create_role: false,
            superuser: false,
            connection_limit: -1,
            valid_until: None,
            expired: false,
            member_of: Vec::new(),
            administered_by: Vec::new(),
            settings: BTreeMap::new(),
        };
        let role = Role {
            name: name.to_owned(),
            facts,
            uses_iam: false,
            rds_superuser: false,
            settings: BTreeMap::new(),
            flags: BTreeSet::new(),
            weak_memberships: BTreeSet::new(),
        };
        let verifier = password.map(|password| Arc::new(Verifier::of(password, ITERATIONS).unwrap()));
        self.0.lock().unwrap().roles.insert(name.to_owned(), Stored { verifier, role });
    }

    /// Whether a login would succeed; otherwise the SQLSTATE.
    pub fn admits(&self, name: &str, password: &Password) -> Result<(), &'static str> {
        match self.0.lock().unwrap().roles.get(name) {
            None => Err("28P01"),
            Some(stored) if !stored.verifier.as_ref().is_some_and(|verifier| verifier.admits(password)) => Err("28P01"),
            Some(stored) if !stored.role.facts.can_login => Err("28000"),
            Some(_) => Ok(()),
        }
    }

    /// Gives a role LOGIN, or takes it away.
    pub fn may_log_in(&self, name: &str, may: bool) {
        self.0.lock().unwrap().roles.get_mut(name).expect("a role").role.facts.can_login = may;
    }

    /// Whether a role has LOGIN.
    pub fn lets_in(&self, name: &str) -> bool {
        self.0.lock().unwrap().roles.get(name).is_some_and(|stored| stored.role.facts.can_login)
    }

    pub fn locked(&self, login: &str) -> bool {
        self.0.lock().unwrap().locks.contains_key(login)
    }

    pub fn session(self: &Arc<Self>) -> MemorySession {
        let mut state = self.0.lock().unwrap();
        state.sessions += 1;
        MemorySession { server: Arc::clone(self), number: state.sessions }
    }

    /// What there is, passwords apart.
    pub fn shape(&self) -> String {
        let state = self.0.lock().unwrap();
        let roles: Vec<_> = state.roles.iter().map(|(name, stored)| (name, stored.role.facts.can_login)).collect();
        format!("{roles:?} {:?}", state.locks.keys())
    }
}

pub struct MemorySession {
    server: Arc<MemoryServer>,
    number: usize,
}

impl MemorySession {
    /// To be called when the lock is free.
    pub fn lock(&self, login: &str) {
        let taken = self.server.0.lock().unwrap().locks.insert(login.to_owned(), self.number);
        assert_eq!(taken, None, "two sessions would hold a lock");
    }

    pub fn roles(&self, names: &[&str]) -> BTreeMap<String, Role> {
        let state = self.server.0.lock().unwrap();
        let found = names.iter().filter_map(|name| state.roles.get(*name));
        found.map(|stored| (stored.role.name.clone(), stored.role.clone())).collect()
    }

    pub fn server(&self) -> ServerFacts {
        ServerFacts {
            version: 160_000,
            iterations: ITERATIONS,
            restricts_passwords: false,
            in_rds_password: false,
            is_replica: false,
        }
    }

    pub fn create_clone(&self, clone: &str, mark: &RoleComment) -> Result<(), DatabaseError> {
        if self.server.0.lock().unwrap().roles.contains_key(clone) {
            return Err(refused("42710"));
        }
        self.server.create_role(clone, mark, false, None);
        Ok(())
    }

    pub fn mirror(&self, base: &Role, clone: &Role) {
        if let Some(stored) = self.server.0.lock().unwrap().roles.get_mut(&clone.name) {
            stored.role.facts.can_login = base.facts.can_login;
        }
    }

    pub fn set_password(&self, role: &str, verifier: Verifier) -> Result<(), DatabaseError> {
        let mut state = self.server.0.lock().unwrap();
        let stored = state.roles.get_mut(role).ok_or_else(|| refused("42704"))?;
        stored.verifier = Some(Arc::new(verifier));
        Ok(())
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        self.server.0.lock().unwrap().locks.retain(|_, session| *session != self.number);
    }
}
