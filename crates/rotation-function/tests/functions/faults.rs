//! A store and a database in whose use a process dies, pauses, or does not hear an answer, at a chosen side effect.

use rotation_function::database::{Database, DatabaseError, Login, Session};
use rotation_function::event::RotationToken;
use rotation_function::secret::SecretText;
use rotation_function::store::{Put, SecretInfo, SecretStore, StoreCause, StoreError, Stored, Which};
use std::sync::Mutex;
use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

const PUT: &str = "PutSecretValue";
const MOVE: &str = "UpdateSecretVersionStage";
/// What a session calls its changes of passwords.
pub const PASSWORD: &str = "a new password";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It dies before the effect.
    Before,
    /// It dies after it.
    After,
    /// It lives; the effect takes place and its answer is lost.
    Lost,
    /// It lives; a new password is acknowledged and not there afterwards, as when a standby that lagged takes over. Any
    /// other effect takes place.
    Forgotten,
}

/// Counts the side effects of a process and lets a mishap happen at one of them.
#[derive(Default)]
pub struct Plan {
    state: Mutex<State>,
    reached: Notify,
    released: Notify,
}

#[derive(Default)]
struct State {
    at: Option<(usize, When)>,
    pause: Option<usize>,
    effects: Vec<&'static str>,
    dead: bool,
}

pub struct Dead;

/// What became of an effect.
enum Effect<T> {
    Done(T),
    Lost,
    Died,
}

impl Plan {
    /// Starts a process with a mishap at its `at`th side effect, counted from 0; None: it has none.
    pub fn start(&self, at: Option<(usize, When)>) {
        *self.state.lock().unwrap() = State { at, ..State::default() };
    }

    /// It also waits before its `pause`th effect.
    pub fn pause_before(&self, pause: usize) {
        self.state.lock().unwrap().pause = Some(pause);
    }

    /// Waits until it waits.
    pub async fn paused(&self) {
        self.reached.notified().await;
    }

    /// Lets it go on. Of one that has not come there yet, it takes the pause away.
    pub fn release(&self) {
        self.state.lock().unwrap().pause = None;
        self.released.notify_one();
    }

    pub fn dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }

    /// The side effects so far.
    pub fn effects(&self) -> Vec<&'static str> {
        self.state.lock().unwrap().effects.clone()
    }

    fn alive(&self) -> Result<(), Dead> {
        if self.dead() { Err(Dead) } else { Ok(()) }
    }

    async fn effect<T>(&self, what: &'static str, work: impl Future<Output = T>, forgotten: Option<T>) -> Effect<T> {
        let pauses = {
            let state = self.state.lock().unwrap();
            state.pause == Some(state.effects.len()) && !state.dead
        };
        if pauses {
            self.reached.notify_one();
            self.released.notified().await;
        }
        let when = {
            let mut state = self.state.lock().unwrap();
            if state.dead {
                return Effect::Died;
            }
            let when = state.at.filter(|(at, _)| *at == state.effects.len()).map(|(_, when)| when);
            state.effects.push(what);
            state.dead = matches!(when, Some(When::Before | When::After));
            when
        };
        match (when, forgotten) {
            (Some(When::Before), _) => Effect::Died,
            (Some(When::After), _) => {
                work.await;
                Effect::Died
            }
            (Some(When::Lost), _) => {
                work.await;
                Effect::Lost
            }
            (Some(When::Forgotten), Some(forgotten)) => Effect::Done(forgotten),
            (Some(When::Forgotten) | None, _) => Effect::Done(work.await),
        }
    }
}

fn store_died(operation: &'static str) -> StoreError {
    StoreError { operation, secret: String::new(), cause: StoreCause::NoAnswer("the process is dead".to_owned()) }
}

fn store_effect<T>(operation: &'static str, effect: Effect<Result<T, StoreError>>) -> Result<T, StoreError> {
    match effect {
        Effect::Done(result) => result,
        Effect::Died => Err(store_died(operation)),
        Effect::Lost => {
            let cause = StoreCause::NoAnswer("the answer was lost".to_owned());
            Err(StoreError { operation, secret: String::new(), cause })
        }
    }
}

fn database_died() -> DatabaseError {
    DatabaseError::Unexpected { server: String::new(), what: "anything", because: "the process is dead".to_owned() }
}

pub struct FaultyStore<'a, S>(pub &'a S, pub &'a Plan);

impl<S: SecretStore> SecretStore for FaultyStore<'_, S> {
    async fn describe(&self, secret: &str) -> Result<SecretInfo, StoreError> {
        self.1.alive().map_err(|Dead| store_died("DescribeSecret"))?;
        self.0.describe(secret).await
    }

    async fn get(&self, secret: &str, which: Which<'_>) -> Result<Option<Stored>, StoreError> {
        self.1.alive().map_err(|Dead| store_died("GetSecretValue"))?;
        self.0.get(secret, which).await
    }

    async fn put(
        &self,
        secret: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        rotation_token: Option<&RotationToken>,
    ) -> Result<Put, StoreError> {
        let work = self.0.put(secret, token, text, label, rotation_token);
        store_effect(PUT, self.1.effect(PUT, work, None).await)
    }

    async fn move_label(
        &self,
        secret: &str,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        let work = self.0.move_label(secret, label, to, from);
        store_effect(MOVE, self.1.effect(MOVE, work, None).await)
    }
}

pub struct FaultyDatabase<'a, D>(pub &'a D, pub &'a Plan);

pub struct FaultySession<'a, T>(T, &'a Plan);

impl<'a, D: Database<Session: Session>> Database for FaultyDatabase<'a, D> {
    type Session = FaultySession<'a, D::Session>;

    async fn connect(&self, login: &Login<'_>) -> Result<Self::Session, DatabaseError> {
        self.1.alive().map_err(|Dead| database_died())?;
        Ok(FaultySession(self.0.connect(login).await?, self.1))
    }
}

impl<T: Session> Session for FaultySession<'_, T> {
    async fn query(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, DatabaseError> {
        self.1.alive().map_err(|Dead| database_died())?;
        self.0.query(what, sql, parameters).await
    }

    async fn change(&self, what: &'static str, sql: &str) -> Result<(), DatabaseError> {
        let forgotten = (what == PASSWORD).then_some(Ok(()));
        match self.1.effect(what, self.0.change(what, sql), forgotten).await {
            Effect::Done(result) => result,
            Effect::Died => Err(database_died()),
            // What the driver says when a connection breaks off.
            Effect::Lost => {
                let (server, because) = ("the server".to_owned(), "the answer was lost".to_owned());
                Err(DatabaseError::Unreachable { server, because, passing: true })
            }
        }
    }

    async fn close(self) {
        self.0.close().await;
    }
}
