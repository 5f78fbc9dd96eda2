//! Statements on the roles of one login, by the master.

use crate::database::{DatabaseError, Session, column, identifier, literal};
use crate::dependents::Dependents;
use crate::error::FunctionError;
use crate::roles::{self, Declared, Gives, Role, ServerFacts};
use crate::scram::Verifier;
use function_contract::{Duty, RoleAttributes, RoleComment, Strategy};
use tokio_postgres::types::Type;

/// Statements on the roles of one login, by the master.
pub(super) struct Work<'a, T> {
    pub session: &'a T,
    pub server: ServerFacts,
    pub login: &'a str,
    pub duty: Duty,
    pub strategy: Strategy,
    /// As declared.
    pub attributes: &'a RoleAttributes,
    pub mark: RoleComment,
    /// The admin login that is to rotate this one; None for itself.
    pub admin: Option<&'a str>,
    /// Whose session it is.
    pub master: &'a str,
    pub notes: Vec<String>,
}

impl<T: Session> Work<'_, T> {
    /// A statement on `role`. A refusal for want of ADMIN OPTION names the grant on that very role.
    async fn change(&self, role: &str, doing: &'static str, sql: &str) -> Result<(), FunctionError> {
        self.session.change(doing, sql).await.map_err(|error| self.refused(role, error))
    }

    /// On PostgreSQL 16 the master reaches the roles that it made; one that it is to take over must be given to it.
    fn refused(&self, role: &str, error: DatabaseError) -> FunctionError {
        FunctionError::from(error).or_missing_grant(role, self.master)
    }

    /// The same of a password or an expiry, which RDS may keep to some.
    fn refused_password(&self, role: &str, error: DatabaseError) -> FunctionError {
        FunctionError::from(error).or_passwords_restricted(self.server, self.master).or_missing_grant(role, self.master)
    }

    fn options(&self) -> &'static str {
        match self.duty {
            // NOINHERIT: before PostgreSQL 16, ADMIN OPTION is membership, and would otherwise give the
            // admin login everything its users may do.
            Duty::Admin => "LOGIN CREATEROLE NOINHERIT",
            Duty::User => "LOGIN",
        }
    }

    /// Makes a role with its mark, in one transaction: without the mark it would be refused ever after.
    pub async fn create(&self, role: &str, password: Option<&Verifier>) -> Result<(), FunctionError> {
        let password = password.map_or(String::new(), |verifier| format!(" PASSWORD {}", literal(verifier.expose())));
        let sql = zeroize::Zeroizing::new(format!(
            "CREATE ROLE {quoted} {}{password}; COMMENT ON ROLE {quoted} IS {}",
            self.options(),
            literal(&self.mark.text()),
            quoted = identifier(role),
        ));
        let made = self.session.change("the making of the role", &sql).await;
        made.map_err(|error| FunctionError::from(error).or_passwords_restricted(self.server, self.master))
    }

    pub async fn create_clone(&self, clone: &str, password: &Verifier) -> Result<(), FunctionError> {
        // Its settings and limits the next rotation mirrors; what matters here is that AWSCURRENT logs in.
        self.create_clone_without_login(clone).await?;
        self.change(clone, "the making of the clone", &format!("ALTER ROLE {} LOGIN", identifier(clone))).await?;
        self.set_password(clone, password).await
    }

    /// What of it makes it its base's clone, mirroring adds.
    pub async fn create_clone_without_login(&self, clone: &str) -> Result<(), FunctionError> {
        let made = roles::create_clone(self.session, clone, self.login, &self.mark).await;
        // It is made a member of its base, and that is what takes ADMIN OPTION.
        made.map_err(|error| self.refused(self.login, error))
    }

    pub async fn set_password(&self, role: &str, password: &Verifier) -> Result<(), FunctionError> {
        let set = roles::set_password(self.session, role, password).await;
        set.map_err(|error| self.refused_password(role, error))
    }

    /// Gives an existing role of ours the attributes it needs.
    pub async fn repair(&self, role: &Role) -> Result<(), FunctionError> {
        let admin = self.duty == Duty::Admin;
        if !role.facts.can_login || (admin && !role.facts.create_role) {
            let sql = format!("ALTER ROLE {} {}", identifier(&role.name), self.options());
            self.change(&role.name, "the role's attributes", &sql).await?;
        }
        Ok(())
    }

    /// Takes back what keeps a role's sessions out: NOLOGIN, a limit of none, an expiry. What is declared instead,
    /// [`Self::declare`] sets next.
    pub async fn admit_sessions(&mut self, role: &Role) -> Result<(), FunctionError> {
        self.repair(role).await?;
        let quoted = identifier(&role.name);
        let mut changes = Vec::new();
        if role.facts.connection_limit == 0 {
            changes.push(format!("ALTER ROLE {quoted} CONNECTION LIMIT -1"));
        }
        if role.facts.expired {
            changes.push(format!("ALTER ROLE {quoted} VALID UNTIL 'infinity'"));
        }
        for sql in changes {
            let done = self.session.change("taking back what keeps sessions out", &sql).await;
            done.map_err(|error| self.refused_password(&role.name, error))?;
            self.notes.push(format!("done: {sql}"));
        }
        if !role.facts.can_login {
            self.notes.push(format!("done: ALTER ROLE {quoted} LOGIN"));
        }
        Ok(())
    }

    /// Gives the login what the deployment declares of it. The clone gets it at the next rotation.
    pub async fn declare(&self, role: &str, before: Option<&Role>) -> Result<(), FunctionError> {
        // Without ADMIN OPTION the role itself is out of reach, and that is what to say first.
        let reaches = !self.server.admin_option_counts()
            || before.is_none_or(|role| role.facts.administered_by.iter().any(|name| name == self.master));
        for Declared { sql, gives } in roles::declared_changes(role, before.map(|role| &role.facts), self.attributes) {
            match (self.session.change("what is declared of the login", &sql).await, gives) {
                (Ok(()), _) => {}
                (Err(error), Gives::Expiry) if reaches => return Err(self.refused_password(role, error)),
                (Err(source), Gives::Setting(setting)) if reaches && source.is_not_permitted() => {
                    let grant =
                        format!("GRANT SET ON PARAMETER {} TO {}", identifier(setting), identifier(self.master));
                    return Err(FunctionError::SettingDenied { source, grant });
                }
                (Err(error), _) => return Err(self.refused(role, error)),
            }
        }
        Ok(())
    }

    /// Makes the clone what a rotation would make of it, and tells what it has made of its own until now.
    pub async fn equal_to_base(&mut self, base: &str, clone: &str) -> Result<(), FunctionError> {
        let mut found = roles::read(self.session, &[base, clone]).await?;
        let (Some(base), Some(clone)) = (found.remove(base), found.remove(clone)) else { return Ok(()) };
        self.mirror(&base, &clone).await?;
        let owned = Dependents::of(self.session, &[&clone.name]).await?.owned();
        if !owned.0.is_empty() {
            self.notes.push(format!(
                "what the clone has made is its own, and its base cannot change it: {}. In each of these databases: REASSIGN \
                 OWNED BY {} TO {}",
                owned.lines().collect::<Vec<_>>().join("; "),
                identifier(&clone.name),
                identifier(&base.name)
            ));
        }
        Ok(())
    }

    /// Makes the clone equal to its base, and notes what could not be.
    pub async fn mirror(&mut self, base: &Role, clone: &Role) -> Result<(), FunctionError> {
        let mirrored = roles::mirror(self.session, base, clone).await;
        self.notes.extend(mirrored.map_err(|error| self.refused(&clone.name, error))?);
        Ok(())
    }

    /// Grants what rotation will need: the admin's ADMIN OPTION, leave to change one's own password, and
    /// a way into the lock database, for whoever takes the lock: of alternating users the admin login does.
    pub async fn admit(&mut self, role: &str, before: Option<&Role>) -> Result<(), FunctionError> {
        if let Some(admin) = self.admin {
            let has = before.is_some_and(|role| role.facts.administered_by.iter().any(|name| name == admin));
            if !has {
                let grant = if self.server.admin_option_counts() {
                    roles::admin_grant(role, admin)
                } else {
                    // Not needed before 16, where CREATEROLE reaches every role; it is there for the day of
                    // the upgrade, which keeps it. NOINHERIT on the admin login makes it no more than that.
                    format!("GRANT {} TO {} WITH ADMIN OPTION", identifier(role), identifier(admin))
                };
                self.change(role, "the admin login's grant", &grant).await?;
            }
        }
        let member = before.is_some_and(|role| role.facts.member_of.iter().any(|name| name == "rds_password"));
        if self.server.restricts_passwords && !member {
            self.try_to(&format!("GRANT rds_password TO {}", identifier(role))).await?;
        }
        match self.strategy {
            Strategy::SingleUser => self.admit_to_lock_database(role).await,
            Strategy::AlternatingUsers => Ok(()),
        }
    }

    /// Every login is let into every database, until somebody takes CONNECT from PUBLIC. This session is in the one that
    /// is meant.
    async fn admit_to_lock_database(&self, role: &str) -> Result<(), FunctionError> {
        const SQL: &str = "SELECT has_database_privilege(r.oid, current_database(), 'CONNECT'), current_database()::text \
             FROM pg_roles r WHERE r.rolname::text = $1";
        let closed = async || {
            let rows = self.session.query("whether the lock database is open", SQL, &[(&role, Type::TEXT)]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let (open, database): (bool, String) = (column(row, 0)?, column(row, 1)?);
            Ok::<_, DatabaseError>((!open).then_some(database))
        };
        let Some(database) = closed().await? else { return Ok(()) };
        let grant = roles::connect_grant(&database, role);
        let refused = match self.session.change("the way into the lock database", &grant).await {
            Ok(()) => None,
            Err(error) if error.is_not_permitted() => Some(Box::new(error)),
            Err(error) => return Err(error.into()),
        };
        // Who may not grant it is only warned, where it has some other right on the database.
        match closed().await? {
            Some(_) => Err(FunctionError::LockDatabaseClosed { login: role.to_owned(), grant, source: refused }),
            None => Ok(()),
        }
    }

    /// Does what is useful but not needed; a refusal is noted.
    async fn try_to(&mut self, sql: &str) -> Result<(), DatabaseError> {
        match self.session.change("a grant", sql).await {
            Ok(()) => Ok(()),
            Err(error) if error.sqlstate().is_some() && !error.is_passing() => {
                self.notes.push(format!("not done ({}): {sql}", error.sqlstate().unwrap_or_default()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
