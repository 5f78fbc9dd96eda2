//! A store and a database that die at a chosen side effect, before it or after it.

use rotation_function::database::{Database, DatabaseError, Login, Session};
use rotation_function::event::RotationToken;
use rotation_function::secret::SecretText;
use rotation_function::store::{Put, SecretInfo, SecretStore, StoreCause, StoreError, Stored, Which};
use std::sync::Mutex;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// Counts side effects of a process and kills it at one of them.
#[derive(Default)]
pub struct Plan(Mutex<State>);

#[derive(Default)]
struct State {
    at: Option<(usize, When)>,
    effects: usize,
    dead: bool,
}

pub struct Dead;

impl Plan {
    /// Starts a process that dies at its `at`th side effect, counted from 0; None: it lives.
    pub fn start(&self, at: Option<(usize, When)>) {
        *self.0.lock().unwrap() = State { at, ..State::default() };
    }

    pub fn dead(&self) -> bool {
        self.0.lock().unwrap().dead
    }

    fn alive(&self) -> Result<(), Dead> {
        if self.dead() { Err(Dead) } else { Ok(()) }
    }

    async fn effect<T>(&self, work: impl Future<Output = T>) -> Result<T, Dead> {
        let dies = {
            let mut state = self.0.lock().unwrap();
            if state.dead {
                return Err(Dead);
            }
            let dies = state.at.filter(|(at, _)| *at == state.effects).map(|(_, when)| when);
            state.effects += 1;
            state.dead = dies.is_some();
            dies
        };
        match dies {
            Some(When::Before) => Err(Dead),
            Some(When::After) => {
                work.await;
                Err(Dead)
            }
            None => Ok(work.await),
        }
    }
}

fn store_died(operation: &'static str) -> StoreError {
    StoreError { operation, secret: String::new(), cause: StoreCause::NoAnswer("the process is dead".to_owned()) }
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
        self.1.effect(work).await.map_err(|Dead| store_died("PutSecretValue"))?
    }

    async fn move_label(
        &self,
        secret: &str,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        let work = self.0.move_label(secret, label, to, from);
        self.1.effect(work).await.map_err(|Dead| store_died("UpdateSecretVersionStage"))?
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
        self.1.effect(self.0.change(what, sql)).await.map_err(|Dead| database_died())?
    }

    async fn close(self) {
        self.0.close().await;
    }
}
