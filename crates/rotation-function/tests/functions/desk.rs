//! Where processes wait for leave before everything that another process could notice, or be noticed by.

use crate::fake::Fake;
use crate::memory::{MemoryServer, MemorySession, refused};
use function_contract::RoleComment;
use rotation_function::database::{Database, DatabaseError, Login};
use rotation_function::error::FunctionError;
use rotation_function::event::RotationToken;
use rotation_function::roles::{Role, ServerFacts};
use rotation_function::scram::Verifier;
use rotation_function::secret::SecretText;
use rotation_function::session::RoleSession;
use rotation_function::store::{Put, SecretInfo, SecretStore, StoreCause, StoreError, Stored, Which};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// What a process is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    Describe,
    Get,
    Put,
    /// A label.
    Move(String),
    /// As this role.
    Connect(String),
    /// Of this login.
    Lock(String),
    Roles,
    CreateClone,
    Mirror,
    SetPassword(String),
}

impl Op {
    /// Whether it changes what others find. A lock does: it keeps them out.
    pub fn is_effect(&self) -> bool {
        !matches!(self, Self::Describe | Self::Get | Self::Connect(_) | Self::Roles)
    }
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Do,
    /// It is done, and the answer does not arrive.
    Lose,
    /// It is acknowledged and not there afterwards: a standby that lagged has taken over.
    Forget,
}

#[derive(Default)]
struct Slot {
    waiting: Option<Op>,
    granted: Option<Grant>,
    after_effect: bool,
    history: u64,
}

#[derive(Default)]
pub struct Desk(Mutex<Vec<Slot>>);

impl Desk {
    /// A place for one more process.
    pub fn open(&self) -> usize {
        let mut slots = self.0.lock().unwrap();
        // To die before it has done anything makes a difference too.
        slots.push(Slot { after_effect: true, ..Slot::default() });
        slots.len() - 1
    }

    pub fn waiting(&self, process: usize) -> Option<Op> {
        self.0.lock().unwrap()[process].waiting.clone()
    }

    /// Whether the last thing it did was an effect: only then to die makes a difference.
    pub fn after_effect(&self, process: usize) -> bool {
        self.0.lock().unwrap()[process].after_effect
    }

    /// All that it has been told so far. Two processes of one kind that were told the same will do the same.
    pub fn history(&self, process: usize) -> u64 {
        self.0.lock().unwrap()[process].history
    }

    pub fn grant(&self, process: usize, grant: Grant) {
        let mut slots = self.0.lock().unwrap();
        let op = slots[process].waiting.take().expect("it waits");
        slots[process].after_effect = op.is_effect();
        slots[process].granted = Some(grant);
    }

    fn tell(&self, process: usize, answer: &dyn Debug) {
        let slot = &mut self.0.lock().unwrap()[process];
        let mut hasher = DefaultHasher::new();
        (slot.history, format!("{answer:?}")).hash(&mut hasher);
        slot.history = hasher.finish();
    }

    async fn pass(&self, process: usize, op: Op) -> Grant {
        let mut op = Some(op);
        poll_fn(move |_| {
            let slot = &mut self.0.lock().unwrap()[process];
            match (op.take(), slot.granted.take()) {
                (Some(op), _) => slot.waiting = Some(op),
                (None, Some(grant)) => return Poll::Ready(grant),
                (None, None) => {}
            }
            Poll::Pending
        })
        .await
    }
}

pub struct DeskStore {
    pub desk: Arc<Desk>,
    pub process: usize,
    pub store: Arc<Fake>,
}

fn code(error: &StoreError) -> String {
    error.cause.to_string()
}

impl DeskStore {
    fn effect<T: Debug>(&self, grant: Grant, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.desk.tell(self.process, &(grant, answer.as_ref().map_err(code)));
        let lost = |operation| {
            let cause = StoreCause::NoAnswer("the answer was lost".to_owned());
            StoreError { operation, secret: String::new(), cause }
        };
        if grant == Grant::Lose { Err(lost("a write")) } else { answer }
    }
}

impl SecretStore for DeskStore {
    async fn describe(&self, secret: &str) -> Result<SecretInfo, StoreError> {
        self.desk.pass(self.process, Op::Describe).await;
        let info = self.store.describe(secret).await;
        self.desk.tell(self.process, &info.as_ref().map(|info| (info.rotation_enabled, &info.versions)).map_err(code));
        info
    }

    async fn get(&self, secret: &str, which: Which<'_>) -> Result<Option<Stored>, StoreError> {
        self.desk.pass(self.process, Op::Get).await;
        let stored = self.store.get(secret, which).await;
        let told = stored.as_ref().map(|stored| stored.as_ref().map(|stored| (&stored.version, &stored.labels)));
        self.desk.tell(self.process, &told.map_err(code));
        stored
    }

    async fn put(
        &self,
        secret: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        rotation_token: Option<&RotationToken>,
    ) -> Result<Put, StoreError> {
        let grant = self.desk.pass(self.process, Op::Put).await;
        self.effect(grant, self.store.put(secret, token, text, label, rotation_token).await)
    }

    async fn move_label(
        &self,
        secret: &str,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        let grant = self.desk.pass(self.process, Op::Move(label.to_owned())).await;
        self.effect(grant, self.store.move_label(secret, label, to, from).await)
    }
}

pub struct DeskDatabase {
    pub desk: Arc<Desk>,
    pub process: usize,
    pub server: Arc<MemoryServer>,
}

pub struct DeskSession {
    desk: Arc<Desk>,
    process: usize,
    session: MemorySession,
}

impl Database for DeskDatabase {
    type Session = DeskSession;

    async fn connect(&self, login: &Login<'_>) -> Result<DeskSession, DatabaseError> {
        self.desk.pass(self.process, Op::Connect(login.username.to_owned())).await;
        let admitted = self.server.admits(login.username, login.password);
        self.desk.tell(self.process, &admitted);
        admitted.map_err(refused)?;
        Ok(DeskSession { desk: Arc::clone(&self.desk), process: self.process, session: self.server.session() })
    }
}

impl DeskSession {
    fn effect<T: Debug>(&self, grant: Grant, answer: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        self.desk.tell(self.process, &(grant, &answer));
        if grant != Grant::Lose {
            return answer;
        }
        // Not a passing error, which the function would itself answer by doing the same again: that the next
        // process does it is harder.
        let (server, what) = ("memory".to_owned(), "the statement");
        Err(DatabaseError::Unexpected { server, what, because: "the answer was lost".to_owned() })
    }
}

impl RoleSession for DeskSession {
    async fn take_lock(&self, login: &str) -> Result<(), FunctionError> {
        self.desk.pass(self.process, Op::Lock(login.to_owned())).await;
        self.session.lock(login);
        self.desk.tell(self.process, &"locked");
        Ok(())
    }

    async fn server(&self) -> Result<ServerFacts, DatabaseError> {
        Ok(self.session.server())
    }

    async fn roles(&self, names: &[&str]) -> Result<BTreeMap<String, Role>, DatabaseError> {
        self.desk.pass(self.process, Op::Roles).await;
        let roles = self.session.roles(names);
        let told: Vec<_> = roles.iter().map(|(name, role)| (name, role.facts.can_login)).collect();
        self.desk.tell(self.process, &told);
        Ok(roles)
    }

    async fn create_clone(&self, clone: &str, _: &str, mark: &RoleComment) -> Result<(), DatabaseError> {
        let grant = self.desk.pass(self.process, Op::CreateClone).await;
        self.effect(grant, self.session.create_clone(clone, mark))
    }

    async fn mirror(&self, base: &Role, clone: &Role) -> Result<Vec<String>, DatabaseError> {
        let grant = self.desk.pass(self.process, Op::Mirror).await;
        self.session.mirror(base, clone);
        self.effect(grant, Ok(Vec::new()))
    }

    async fn set_password(&self, role: &str, verifier: Verifier) -> Result<(), DatabaseError> {
        let grant = self.desk.pass(self.process, Op::SetPassword(role.to_owned())).await;
        let done = if grant == Grant::Forget { Ok(()) } else { self.session.set_password(role, verifier) };
        self.effect(grant, done)
    }

    async fn ping(&self) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn end(self) {
        drop(self.session);
    }
}
