//! Provisioning: a role, the first version of its secret, and the two in agreement.
//!
//! The master user's password is used here and nowhere else, so the event is distrusted: whoever may invoke
//! this function must not be able to reach a role or a secret that is not the deployment's.

use crate::context::{Context, Version, candidates};
use crate::database::{Database, DatabaseError, Login, Session, column, identifier, literal};
use crate::error::FunctionError;
use crate::password::Password;
use crate::roles::{self, Declared, Role, ServerFacts};
use crate::scram::Verifier;
use crate::secret::{Credentials, NewSecret, SecretValue, Statement};
use crate::store::{Put, SecretStore, Which, label};
use crate::{config::ConfigError, lock, ownership};
use function_contract::{Duty, EnsureLogin, Provisioned, ProvisioningRequest, RoleComment, Strategy, clone_of, env};
use std::collections::BTreeMap;
use std::time::Duration;

/// Reads of the master secret while RDS is replacing the master's password.
const MASTER_TRIES: u32 = 5;

/// Between two of them. RDS sets the password before it stores it, some seconds apart.
const MASTER_PAUSE: Duration = Duration::from_secs(2);

/// A session of the master user.
struct Master<T> {
    session: T,
    username: String,
}

impl<S: SecretStore, D: Database<Session: Session>> Context<'_, S, D> {
    /// Does what is asked, again and again to the same end.
    pub async fn provision(&self, request: &ProvisioningRequest) -> Result<Provisioned, FunctionError> {
        match request {
            ProvisioningRequest::EnsureLogin(ensure) => self.ensure_login(ensure).await,
            ProvisioningRequest::DisableLogin { login, address } => self.disable_login(login, address).await,
        }
    }

    async fn ensure_login(&self, ensure: &EnsureLogin) -> Result<Provisioned, FunctionError> {
        ownership::refuse_reserved(&ensure.login)?;
        match (ensure.strategy, ensure.duty) {
            (Strategy::AlternatingUsers, Duty::Admin) => {
                return Err(FunctionError::BadEvent("the admin login can only be rotated as a single user".to_owned()));
            }
            (Strategy::AlternatingUsers, Duty::User) => ownership::refuse_long_clone(&ensure.login)?,
            (Strategy::SingleUser, _) => {}
        }
        for group in &ensure.attributes.member_of {
            ownership::refuse_reserved(group)?;
        }
        for name in ["role", "session_authorization"] {
            if ensure.attributes.settings.contains_key(name) {
                return Err(FunctionError::BadEvent(format!("the setting {name} is not for a deployment to make")));
            }
        }
        // Before any password is read: is it our secret, and this login's?
        let info = self.store.describe(&ensure.secret_arn).await?;
        let login = ownership::login_of(self.config, &info)?;
        if login != ensure.login {
            let because = format!("it is for login {login:?}, not {:?}", ensure.login);
            return Err(FunctionError::refused(&ensure.secret_arn, because));
        }
        let admin = match ensure.duty {
            Duty::Admin => None,
            Duty::User => {
                let info = self.store.describe(&self.config.admin_secret_arn).await?;
                Some(ownership::login_of(self.config, &info)?)
            }
        };
        self.retrying(async || {
            let master = self.log_in_as_master(&ensure.server.host, ensure.server.port).await?;
            let result = self.ensure_in_session(ensure, admin.as_deref(), &master).await;
            master.session.close().await;
            result
        })
        .await
    }

    async fn ensure_in_session(
        &self,
        ensure: &EnsureLogin,
        admin: Option<&str>,
        master: &Master<D::Session>,
    ) -> Result<Provisioned, FunctionError> {
        let (session, login) = (&master.session, ensure.login.as_str());
        let clone = clone_of(login);
        lock::take(session, login).await?;
        let found = roles::read(session, &[login, &clone]).await?;
        let mark = RoleComment { deployment: self.config.deployment.clone(), address: ensure.address.clone() };
        for role in found.values() {
            // Of a single user there is no clone: a role of that name is somebody else's business.
            if role.name == login || ensure.strategy == Strategy::AlternatingUsers {
                refuse_foreign(role, &mark, &master.username)?;
            }
        }
        let mut notes = Vec::new();
        let (version, value_stored) = self.ensure_value(ensure, &mut notes).await?;
        let server = ServerFacts::read(session).await?;
        let mut work = Work { session, server, ensure, mark, admin, master: &master.username, notes };
        let made = self.ensure_roles(&mut work, &version, &found).await;
        // On PostgreSQL 16 the master reaches roles that it made; one it is to take over must be given to it.
        let role_created = made.map_err(|error| error.or_missing_grant(&version.value.username, &master.username))?;
        Ok(Provisioned {
            login: ensure.login.clone(),
            version: Some(version.id),
            role_created,
            value_stored,
            notes: work.notes,
        })
    }

    /// The stored value. Only where there is none, one is made; where it says of the login what the deployment no
    /// longer says, it is restated under the same name and password. What counts is what was read back.
    async fn ensure_value(
        &self,
        ensure: &EnsureLogin,
        notes: &mut Vec<String>,
    ) -> Result<(Version, bool), FunctionError> {
        let secret = ensure.secret_arn.as_str();
        let alternating = ensure.strategy == Strategy::AlternatingUsers;
        let now = Statement {
            host: &ensure.server.host,
            port: ensure.server.port,
            database: &ensure.database,
            instance: &ensure.server.instance,
            master_arn: alternating.then_some(self.config.admin_secret_arn.as_str()),
        };
        let text = match self.store.get(secret, Which::Label(label::CURRENT)).await? {
            None => {
                let passwords = ownership::passwords_of(&self.store.describe(secret).await?)?;
                let new = NewSecret {
                    engine: "postgres",
                    host: now.host,
                    port: now.port,
                    username: &ensure.login,
                    password: &Password::generate(&passwords)?,
                    database: now.database,
                    instance: now.instance,
                    master_arn: now.master_arn,
                };
                Some(new.compose())
            }
            Some(stored) => {
                let value = SecretValue::parse(stored.text).map_err(FunctionError::value(secret))?;
                ownership::check_user(secret, &ensure.login, &value)?;
                match value.restated(&now).map_err(FunctionError::value(secret))? {
                    None => None,
                    Some((keys, text)) => {
                        self.clear_the_way(ensure, &value).await?;
                        notes.push(format!("the secret's value said otherwise: {}", keys.join(", ")));
                        Some(text)
                    }
                }
            }
        };
        let mut stored = false;
        if let Some(text) = text {
            // A new token each time: the lock keeps a second provisioning from putting its own.
            stored = self.store.put(secret, &new_token()?, &text, label::CURRENT, None).await? == Put::Stored;
        }
        let found = self.read(secret, &ensure.login, Which::Label(label::CURRENT)).await?;
        found
            .map(|version| (version, stored))
            .ok_or_else(|| FunctionError::refused(secret, "a value was put and AWSCURRENT cannot be read"))
    }

    /// A rotation that is under way was begun from the value that is about to be restated, and could not end. On
    /// this very server it must end first. One that was begun on a server of the past (a secret that outlived
    /// its instance) never will: its label would block every rotation to come.
    async fn clear_the_way(&self, ensure: &EnsureLogin, current: &SecretValue) -> Result<(), FunctionError> {
        let secret = ensure.secret_arn.as_str();
        let info = self.store.describe(secret).await?;
        let Some(pending) = info.version_with(label::PENDING).filter(|version| !info.has(version, label::CURRENT))
        else {
            return Ok(());
        };
        if self.config.hosts.allow(&current.host, current.port) {
            return Err(FunctionError::Busy { login: ensure.login.clone() });
        }
        Ok(self.store.move_label(secret, label::PENDING, None, Some(pending)).await?)
    }

    /// Makes the roles and sets the password where AWSCURRENT does not log in yet. True when a role was made.
    async fn ensure_roles(
        &self,
        work: &mut Work<'_, D::Session>,
        version: &Version,
        found: &BTreeMap<String, Role>,
    ) -> Result<bool, FunctionError> {
        let login = work.ensure.login.as_str();
        let clone = clone_of(login);
        let (named, iterations) = (version.value.username.as_str(), work.server.iterations);
        let verifier = Verifier::of(&version.value.password, iterations)?;
        let own = |role: &str| (named == role).then_some(&verifier);
        let mut made = false;
        match found.get(login) {
            None => {
                work.create(login, own(login)).await?;
                made = true;
            }
            Some(role) => work.repair(role).await?,
        }
        work.declare(login, found.get(login)).await?;
        work.admit(login, found.get(login)).await?;
        if let Some(role) = found.get(&clone).filter(|_| work.ensure.strategy == Strategy::AlternatingUsers) {
            work.repair(role).await?;
        }
        if named == clone {
            if !found.contains_key(&clone) {
                work.create_clone(&clone, &verifier).await?;
                made = true;
            }
            work.admit(&clone, found.get(&clone)).await?;
        }
        match self.log_in(&version.value, None).await {
            Ok(session) => session.close().await,
            Err(error) if error.is_bad_login() && !made => {
                if let Some(other) = self.half_way(work.ensure, version).await? {
                    work.notes.push(format!(
                        "AWSCURRENT does not log in ({error}) and version {other} does: a rotation is under way, or has died; \
                         rotating again ends it"
                    ));
                    return Ok(made);
                }
                work.set_password(named, &verifier).await?;
                self.log_in(&version.value, None).await?.close().await;
                work.notes.push(format!("set the stored password again: AWSCURRENT did not log in ({error})"));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(made)
    }

    /// Another labelled version of the same user that logs in. Where there is one, setting AWSCURRENT's password
    /// would pull the rug from under a single user's rotation between setSecret and finishSecret.
    async fn half_way(&self, ensure: &EnsureLogin, current: &Version) -> Result<Option<String>, FunctionError> {
        let info = self.store.describe(&ensure.secret_arn).await?;
        for version in candidates(&info).filter(|version| *version != current.id) {
            let Ok(Some(other)) = self.read(&ensure.secret_arn, &ensure.login, Which::Version(version)).await else {
                continue;
            };
            if other.value.username != current.value.username || other.value.address() != current.value.address() {
                continue;
            }
            match self.log_in(&other.value, None).await {
                Ok(session) => {
                    session.close().await;
                    return Ok(Some(other.id));
                }
                Err(error) if error.is_bad_login() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn disable_login(&self, login: &str, address: &str) -> Result<Provisioned, FunctionError> {
        ownership::refuse_reserved(login)?;
        let notes = self
            .retrying(async || {
                let master = self.log_in_to_writer().await?;
                let result = self.disable_in_session(login, address, &master).await;
                master.session.close().await;
                result
            })
            .await?;
        Ok(Provisioned { login: login.to_owned(), version: None, role_created: false, value_stored: false, notes })
    }

    async fn disable_in_session(
        &self,
        login: &str,
        address: &str,
        master: &Master<D::Session>,
    ) -> Result<Vec<String>, FunctionError> {
        let session = &master.session;
        lock::take(session, login).await?;
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

    /// The master user on the one server of the deployment that takes writes.
    async fn log_in_to_writer(&self) -> Result<Master<D::Session>, FunctionError> {
        let mut last = None;
        for (host, port) in self.config.hosts.iter() {
            let master = match self.log_in_as_master(host, port).await {
                Ok(master) => master,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let rows = master.session.query("whether it is a replica", "SELECT pg_is_in_recovery()", &[]).await;
            let replica = rows.and_then(|rows| rows.first().map_or(Ok(true), |row| column::<bool>(row, 0)));
            match replica {
                Ok(false) => return Ok(master),
                Ok(true) => master.session.close().await,
                Err(error) => last = Some(error.into()),
            }
        }
        Err(last.unwrap_or(FunctionError::Config(ConfigError::Missing(env::HOSTS))))
    }

    /// Logs in to the lock database. RDS replaces the master's password by its own schedule, so a refused
    /// login means reading the secret again, a few times.
    async fn log_in_as_master(&self, host: &str, port: u16) -> Result<Master<D::Session>, FunctionError> {
        let Some(secret) = self.config.master_secret_arn.as_deref() else {
            return Err(ConfigError::WrongFunction("provisioning requests").into());
        };
        let mut tries = 1;
        loop {
            let stored = self.store.get(secret, Which::Label(label::CURRENT)).await?;
            let Some(stored) = stored else {
                return Err(FunctionError::refused(
                    secret,
                    "the master secret has no value yet: RDS is still making it",
                ));
            };
            let Credentials { username, password } =
                Credentials::parse(&stored.text).map_err(FunctionError::value(secret))?;
            let database = self.config.lock_database.as_str();
            let login = Login { host, port, database, username: &username, password: &password };
            match self.database.connect(&login).await {
                Ok(session) => return Ok(Master { session, username }),
                Err(error) if error.is_bad_login() && tries < MASTER_TRIES => {
                    tries += 1;
                    (self.pause)(MASTER_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Refuses a role that is the master's, a superuser's, an IAM user's, or not marked as ours.
fn refuse_foreign(role: &Role, mark: &RoleComment, master: &str) -> Result<(), FunctionError> {
    let because = if role.name == master {
        "it is the master user"
    } else if role.facts.superuser {
        "it is a superuser"
    } else if role.uses_iam {
        "it is a member of rds_iam and has no use for a password"
    } else {
        return ownership::check_mark(role, mark, Some(master));
    };
    Err(FunctionError::BadEvent(format!("login {:?} is refused: {because}", role.name)))
}

/// Statements on the roles of one login, by the master.
struct Work<'a, T> {
    session: &'a T,
    server: ServerFacts,
    ensure: &'a EnsureLogin,
    mark: RoleComment,
    /// The admin login that is to rotate this one; None for itself.
    admin: Option<&'a str>,
    /// Whose session it is.
    master: &'a str,
    notes: Vec<String>,
}

impl<T: Session> Work<'_, T> {
    fn attributes(&self) -> &'static str {
        match self.ensure.duty {
            // NOINHERIT: before PostgreSQL 16, ADMIN OPTION is membership, and would otherwise give the
            // admin login everything its users may do.
            Duty::Admin => "LOGIN CREATEROLE NOINHERIT",
            Duty::User => "LOGIN",
        }
    }

    /// Makes a role with its mark, in one transaction: without the mark it would be refused ever after.
    async fn create(&self, role: &str, password: Option<&Verifier>) -> Result<(), FunctionError> {
        let password = password.map_or(String::new(), |verifier| format!(" PASSWORD {}", literal(verifier.expose())));
        let sql = zeroize::Zeroizing::new(format!(
            "CREATE ROLE {quoted} {}{password}; COMMENT ON ROLE {quoted} IS {}",
            self.attributes(),
            literal(&self.mark.text()),
            quoted = identifier(role),
        ));
        Ok(self.session.change("the making of the role", &sql).await?)
    }

    async fn create_clone(&self, clone: &str, password: &Verifier) -> Result<(), FunctionError> {
        // Its settings and limits the next rotation mirrors; what matters here is that AWSCURRENT logs in.
        roles::create_clone(self.session, clone, &self.ensure.login, &self.mark).await?;
        let sql = format!("ALTER ROLE {} LOGIN", identifier(clone));
        self.session.change("the making of the clone", &sql).await?;
        self.set_password(clone, password).await
    }

    async fn set_password(&self, role: &str, password: &Verifier) -> Result<(), FunctionError> {
        Ok(roles::set_password(self.session, role, password).await?)
    }

    /// Gives an existing role of ours the attributes it needs.
    async fn repair(&self, role: &Role) -> Result<(), FunctionError> {
        let admin = self.ensure.duty == Duty::Admin;
        if !role.facts.can_login || (admin && !role.facts.create_role) {
            let sql = format!("ALTER ROLE {} {}", identifier(&role.name), self.attributes());
            self.session.change("the role's attributes", &sql).await?;
        }
        Ok(())
    }

    /// Gives the login what the deployment declares of it. The clone gets it at the next rotation.
    async fn declare(&self, role: &str, before: Option<&Role>) -> Result<(), FunctionError> {
        // Without ADMIN OPTION the role itself is out of reach, and that is what to say first.
        let reaches = !self.server.admin_option_counts()
            || before.is_none_or(|role| role.facts.administered_by.iter().any(|name| name == self.master));
        for Declared { sql, setting } in
            roles::declared_changes(role, before.map(|role| &role.facts), &self.ensure.attributes)
        {
            match (self.session.change("what is declared of the login", &sql).await, setting) {
                (Ok(()), _) => {}
                (Err(source), Some(setting)) if reaches && source.is_not_permitted() => {
                    let grant =
                        format!("GRANT SET ON PARAMETER {} TO {}", identifier(setting), identifier(self.master));
                    return Err(FunctionError::SettingDenied { source, grant });
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Grants what rotation will need: the admin's ADMIN OPTION, leave to change one's own password, and
    /// a way into the lock database.
    async fn admit(&mut self, role: &str, before: Option<&Role>) -> Result<(), FunctionError> {
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
                self.session.change("the admin login's grant", &grant).await?;
            }
        }
        let member = before.is_some_and(|role| role.facts.member_of.iter().any(|name| name == "rds_password"));
        if self.server.restricts_passwords && !member {
            self.try_to(&format!("GRANT rds_password TO {}", identifier(role))).await?;
        }
        Ok(())
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

/// A random UUID: what AWS wants as a request token.
fn new_token() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_random_uuids() {
        let token = new_token().unwrap();
        assert_eq!(token.len(), 36);
        assert_eq!((&token[14..15], token.matches('-').count()), ("4", 4));
        assert_ne!(token, new_token().unwrap());
    }
}
