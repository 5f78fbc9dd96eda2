//! What a rotation asks of a server it has logged in to, and nothing else.
//!
//! It is apart from SQL so that the same protocol runs on PostgreSQL and on a server made of a few maps, whose every
//! order of events can be tried.

use crate::database::{DatabaseError, Session};
use crate::error::FunctionError;
use crate::lock;
use crate::roles::{self, Role, ServerFacts};
use crate::scram::Verifier;
use function_contract::RoleComment;
use std::collections::BTreeMap;
use std::future::Future;

/// A logged-in session, as the protocol sees it.
///
/// Every method is one step that happens or does not; only [`mirror`](Self::mirror) may stop half-way, and is
/// safe to repeat.
pub trait RoleSession: Send + Sync {
    /// Takes the lock of `login`, which this session then holds until it ends. Fails with
    /// [`FunctionError::Busy`] when another session does not let go of it in time.
    fn take_lock(&self, login: &str) -> impl Future<Output = Result<(), FunctionError>> + Send;

    /// What the server is like.
    fn server(&self) -> impl Future<Output = Result<ServerFacts, DatabaseError>> + Send;

    /// Those of `names` that exist.
    fn roles(&self, names: &[&str]) -> impl Future<Output = Result<BTreeMap<String, Role>, DatabaseError>> + Send;

    /// Makes the clone of `base`, marked, without LOGIN.
    fn create_clone(
        &self,
        clone: &str,
        base: &str,
        mark: &RoleComment,
    ) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// Makes the clone equal to its base. What it may not do, it tells.
    fn mirror(&self, base: &Role, clone: &Role) -> impl Future<Output = Result<Vec<String>, DatabaseError>> + Send;

    /// Sets a role's password.
    fn set_password(&self, role: &str, verifier: Verifier) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// Has the server answer.
    fn ping(&self) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// Says goodbye and waits for it to be sent; with that, the lock is free.
    fn end(self) -> impl Future<Output = ()> + Send;
}

impl<T: Session> RoleSession for T {
    async fn take_lock(&self, login: &str) -> Result<(), FunctionError> {
        lock::take(self, login).await
    }

    async fn server(&self) -> Result<ServerFacts, DatabaseError> {
        ServerFacts::read(self).await
    }

    async fn roles(&self, names: &[&str]) -> Result<BTreeMap<String, Role>, DatabaseError> {
        roles::read(self, names).await
    }

    async fn create_clone(&self, clone: &str, base: &str, mark: &RoleComment) -> Result<(), DatabaseError> {
        roles::create_clone(self, clone, base, mark).await
    }

    async fn mirror(&self, base: &Role, clone: &Role) -> Result<Vec<String>, DatabaseError> {
        roles::mirror(self, base, clone).await
    }

    async fn set_password(&self, role: &str, verifier: Verifier) -> Result<(), DatabaseError> {
        roles::set_password(self, role, &verifier).await
    }

    async fn ping(&self) -> Result<(), DatabaseError> {
        self.query("a test query", "SELECT 1", &[]).await.map(drop)
    }

    async fn end(self) {
        self.close().await;
    }
}
