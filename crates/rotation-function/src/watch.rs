//! What an invocation is waiting for, so that it can be told when its time runs out.

use crate::config::address;
use crate::database::{Database, DatabaseError, Login, Session};
use crate::event::RotationToken;
use crate::secret::SecretText;
use crate::store::{Put, SecretInfo, SecretStore, StoreError, Stored, Which};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// What is waited for now, in words that hold no secret.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Option<String>>);

impl Watch {
    /// Notes `what` for as long as `work` takes. Work that is dropped before it has ended leaves its note: that is the one
    /// that was waited for in vain.
    async fn over<T>(&self, what: impl FnOnce() -> String, work: impl Future<Output = T>) -> T {
        self.note(Some(what()));
        let done = work.await;
        self.note(None);
        done
    }

    fn note(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// What is waited for; between two of its works an invocation only pauses before it tries again.
    pub fn waiting_for(&self) -> String {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        now.unwrap_or_else(|| "the next try of what had failed".to_owned())
    }
}

/// A store whose calls are watched.
pub struct WatchedStore<'a, S>(pub &'a S, pub &'a Watch);

impl<S: SecretStore> SecretStore for WatchedStore<'_, S> {
    async fn describe(&self, secret: &str) -> Result<SecretInfo, StoreError> {
        self.1.over(|| "secretsmanager:DescribeSecret".to_owned(), self.0.describe(secret)).await
    }

    async fn get(&self, secret: &str, which: Which<'_>) -> Result<Option<Stored>, StoreError> {
        self.1.over(|| "secretsmanager:GetSecretValue".to_owned(), self.0.get(secret, which)).await
    }

    async fn put(
        &self,
        secret: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        rotation_token: Option<&RotationToken>,
    ) -> Result<Put, StoreError> {
        let put = self.0.put(secret, token, text, label, rotation_token);
        self.1.over(|| "secretsmanager:PutSecretValue".to_owned(), put).await
    }

    async fn move_label(
        &self,
        secret: &str,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        let moved = self.0.move_label(secret, label, to, from);
        self.1.over(|| "secretsmanager:UpdateSecretVersionStage".to_owned(), moved).await
    }
}

/// A database whose logins and sessions are watched.
pub struct WatchedDatabase<'a, D>(pub &'a D, pub &'a Watch);

/// A session of [`WatchedDatabase`].
pub struct WatchedSession<'a, T> {
    session: T,
    watch: &'a Watch,
    server: String,
}

impl<'a, D: Database<Session: Session>> Database for WatchedDatabase<'a, D> {
    type Session = WatchedSession<'a, D::Session>;

    async fn connect(&self, login: &Login<'_>) -> Result<Self::Session, DatabaseError> {
        let server = address(login.host, login.port);
        let what = || format!("the login of {:?} at {server}", login.username);
        let session = self.1.over(what, self.0.connect(login)).await?;
        Ok(WatchedSession { session, watch: self.1, server })
    }
}

impl<T: Session> Session for WatchedSession<'_, T> {
    async fn query(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, DatabaseError> {
        self.watch.over(|| format!("{what} by {}", self.server), self.session.query(what, sql, parameters)).await
    }

    async fn change(&self, what: &'static str, sql: &str) -> Result<(), DatabaseError> {
        self.watch.over(|| format!("{what} by {}", self.server), self.session.change(what, sql)).await
    }

    async fn close(self) {
        self.watch.over(|| format!("the end of a session at {}", self.server), self.session.close()).await;
    }
}
