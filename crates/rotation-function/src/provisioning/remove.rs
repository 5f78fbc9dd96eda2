//! The end of a login: its roles may not log in any more, or go.

use super::{Master, refuse_foreign};
use crate::context::Context;
use crate::database::{Database, Session, column, identifier, literal};
use crate::dependents::Dependents;
use crate::error::FunctionError;
use crate::rotation::take_lock;
use crate::store::SecretStore;
use crate::{ownership, roles};
use function_contract::{Provisioned, RoleComment, clone_of};
use std::fmt;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

impl<S: SecretStore, D: Database<Session: Session>> Context<'_, S, D> {
    /// Takes LOGIN from the login's roles; with `drop`, drops them then.
    pub(super) async fn remove_login(
        &self,
        login: &str,
        address: &str,
        drop: bool,
    ) -> Result<Provisioned, FunctionError> {
        ownership::refuse_reserved(login)?;
        let notes = self
            .retrying(async || {
                let master = self.log_in_to_writer().await?;
                let result = if drop {
                    self.drop_in_session(login, address, &master).await
                } else {
                    self.disable_in_session(login, address, &master).await
                };
                master.session.close().await;
                result
            })
            .await?;
        Ok(Provisioned { login: login.to_owned(), version: None, role_created: false, value_stored: false, notes })
    }

    /// Takes the login's lock, and LOGIN from its roles.
    async fn disable_in_session(
        &self,
        login: &str,
        address: &str,
        master: &Master<D::Session>,
    ) -> Result<Vec<String>, FunctionError> {
        let session = &master.session;
        take_lock(session, login).await?;
        let clone = clone_of(login);
        let found = roles::read(session, &[login, &clone]).await?;
        let mark = RoleComment { deployment: self.config.deployment.clone(), address: address.to_owned() };
        let mut notes = Vec::new();
        for role in found.values() {
            if role.name == clone && !mark.marks(role.facts.comment.as_deref()) {
                notes.push(format!("role {} is not this deployment's and was left alone", identifier(&clone)));
                continue;
            }
            refuse_foreign(role, &mark, &master.username)?;
            if role.facts.can_login {
                let sql = format!("ALTER ROLE {} NOLOGIN", identifier(&role.name));
                session.change("taking LOGIN away", &sql).await?;
                notes.push(format!("role {} may not log in any more", identifier(&role.name)));
            }
        }
        Ok(notes)
    }

    async fn drop_in_session(
        &self,
        login: &str,
        address: &str,
        master: &Master<D::Session>,
    ) -> Result<Vec<String>, FunctionError> {
        // First, so that nobody logs in between the look and the end; and because a login that is no longer declared
        // loses that in either case.
        let mut notes = self.disable_in_session(login, address, master).await?;
        let (session, clone) = (&master.session, clone_of(login));
        let mark = RoleComment { deployment: self.config.deployment.clone(), address: address.to_owned() };
        let found = roles::read(session, &[login, &clone]).await?;
        // The clone before its base. One that is not ours has been left alone above, and is here.
        let ours = found.values().rev().filter(|role| mark.marks(role.facts.comment.as_deref()));
        let names: Vec<&str> = ours.map(|role| role.name.as_str()).collect();
        if names.is_empty() {
            return Ok(notes);
        }
        self.let_sessions_end(session, &names).await?;
        let dependents = Dependents::of(session, &names).await?;
        if !dependents.0.is_empty() {
            return Err(FunctionError::InUse(InUse::Depended { roles: owned(&names), on: dependents }));
        }
        let quoted: Vec<_> = names.iter().map(|name| identifier(name)).collect();
        let dropping = session.change("the end of the roles", &format!("DROP ROLE {}", quoted.join(", "))).await;
        match dropping {
            Ok(()) => notes.extend(quoted.iter().map(|name| format!("dropped role {name}"))),
            // Somebody has made something of theirs meanwhile.
            Err(error) if error.sqlstate() == Some(SqlState::DEPENDENT_OBJECTS_STILL_EXIST.code()) => {
                let on = Dependents::of(session, &names).await?;
                return Err(FunctionError::InUse(InUse::Depended { roles: owned(&names), on }));
            }
            Err(error) => {
                return Err(FunctionError::from(error).or_missing_grant(names[names.len() - 1], &master.username));
            }
        }
        Ok(notes)
    }

    /// Waits a moment for sessions to end, of our own inspection for one; whose go on, are told of.
    async fn let_sessions_end(&self, session: &D::Session, names: &[&str]) -> Result<(), FunctionError> {
        const SQL: &str = "SELECT usename::text, count(*)::int8, \
               string_agg(DISTINCT COALESCE(NULLIF(application_name, ''), 'an unnamed program') || \
                 COALESCE(' at ' || host(client_addr), ''), ', ') \
             FROM pg_stat_activity WHERE usename::text = ANY($1) GROUP BY 1 ORDER BY 1";
        for pause in SESSION_PAUSES {
            if session.query("a look at sessions", SQL, &[(&names, Type::TEXT_ARRAY)]).await?.is_empty() {
                return Ok(());
            }
            (self.pause)(pause).await;
        }
        let rows = session.query("a look at sessions", SQL, &[(&names, Type::TEXT_ARRAY)]).await?;
        let mut sessions = Vec::new();
        for row in &rows {
            let (role, count): (String, i64) = (column(row, 0)?, column(row, 1)?);
            let programs: Option<String> = column(row, 2)?;
            sessions.push(format!("{} of {} ({})", count, identifier(&role), programs.unwrap_or_default()));
        }
        match sessions.is_empty() {
            true => Ok(()),
            false => Err(FunctionError::InUse(InUse::LoggedIn { roles: owned(names), sessions })),
        }
    }
}

/// Between looks at sessions that are to end: about a second and a half in all.
const SESSION_PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Why roles are not dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InUse {
    /// Somebody is logged in as one of them.
    LoggedIn { roles: Vec<String>, sessions: Vec<String> },
    /// Something in a database is theirs.
    Depended { roles: Vec<String>, on: Dependents },
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literals = |roles: &[String]| roles.iter().map(|role| literal(role)).collect::<Vec<_>>().join(", ");
        let quoted = |roles: &[String]| roles.iter().map(|role| identifier(role)).collect::<Vec<_>>().join(", ");
        match self {
            Self::LoggedIn { roles, sessions } => write!(
                f,
                "{} may not log in any more, but sessions go on: {}. Nothing was dropped. They end by: SELECT \
                 pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ({})",
                quoted(roles),
                sessions.join("; "),
                literals(roles)
            ),
            Self::Depended { roles, on } => write!(
                f,
                "{0} may not log in any more, and cannot be dropped while something depends on them: {1}. Nothing was \
                 dropped. In each of these databases: REASSIGN OWNED BY {0} TO their_new_owner; DROP OWNED BY {0}",
                quoted(roles),
                on.lines().collect::<Vec<_>>().join("; "),
            ),
        }
    }
}
