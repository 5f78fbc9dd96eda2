//! Provisioning: roles, the first version of their secrets, the two in agreement, and their end.
//!
//! The master user's password is used here and nowhere else, so the event is distrusted: whoever may invoke
//! this function must not be able to reach a role or a secret that is not the deployment's.

mod ensure;
mod groups;
mod recover;
mod remove;
mod work;

pub use remove::InUse;

use crate::context::{Context, Version, candidates};
use crate::database::{Database, DatabaseError, Login, Session, column};
use crate::error::FunctionError;
use crate::roles::{self, Role};
use crate::secret::Credentials;
use crate::store::{SecretStore, Which, label};
use crate::{config::ConfigError, ownership};
use function_contract::{
    Duty, Provisioned, ProvisioningRequest, RoleAttributes, RoleComment, Strategy, env, obstacles, told,
};
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
            ProvisioningRequest::DisableLogin { login, address } => self.remove_login(login, address, false).await,
            ProvisioningRequest::DropLogin { login, address } => self.remove_login(login, address, true).await,
            ProvisioningRequest::RecoverLogin(recover) => self.recover_login(recover).await,
        }
    }

    /// Refuses names and attributes that no login of a deployment has, and a secret that is not this login's. Before
    /// any password is read.
    async fn check_request(
        &self,
        login: &str,
        duty: Duty,
        strategy: Strategy,
        attributes: &RoleAttributes,
        secret: &str,
    ) -> Result<(), FunctionError> {
        ownership::refuse_reserved(login)?;
        match (strategy, duty) {
            (Strategy::AlternatingUsers, Duty::Admin) => {
                return Err(FunctionError::BadEvent("the admin login can only be rotated as a single user".to_owned()));
            }
            (Strategy::AlternatingUsers, Duty::User) => ownership::refuse_long_clone(login)?,
            (Strategy::SingleUser, _) => {}
        }
        for group in &attributes.member_of {
            ownership::refuse_reserved(group)?;
        }
        // PostgreSQL takes them in any case.
        let ours = ["role", "session_authorization"];
        if let Some(name) =
            attributes.settings.keys().find(|name| ours.iter().any(|ours| ours.eq_ignore_ascii_case(name)))
        {
            return Err(FunctionError::BadEvent(format!("the setting {name} is not for a deployment to make")));
        }
        let info = self.store.describe(secret).await?;
        let found = ownership::login_of(self.config, &info)?;
        if found != login {
            let because = format!("it is for login {found:?}, not {login:?}");
            return Err(FunctionError::refused(secret, because));
        }
        // Which login is the admin's, the environment says and not the event: CREATEROLE goes to no other, and nobody
        // becomes the admin login's admin.
        match (duty == Duty::Admin, info.arn == self.config.admin_secret_arn) {
            (true, true) | (false, false) => Ok(()),
            (true, false) => {
                Err(FunctionError::refused(secret, "it is not the admin login's, whose duty is asked for"))
            }
            (false, true) => Err(FunctionError::refused(secret, "it is the admin login's, whose duty is no user's")),
        }
    }

    /// The admin login's name; None for itself.
    async fn admin_of(&self, duty: Duty, login: &str, secret: &str) -> Result<Option<String>, FunctionError> {
        match duty {
            Duty::Admin => Ok(None),
            Duty::User => {
                let info = self.store.describe(&self.config.admin_secret_arn).await?;
                let admin = ownership::login_of(self.config, &info)?;
                ownership::refuse_second_admin(secret, login, &admin)?;
                Ok(Some(admin))
            }
        }
    }

    /// Another labelled version of the same user that logs in. Where there is one, setting `of`'s password
    /// would pull the rug from under a single user's rotation between setSecret and finishSecret, and from under
    /// whoever has read that version.
    async fn half_way(&self, secret: &str, login: &str, of: &Version) -> Result<Option<String>, FunctionError> {
        let info = self.store.describe(secret).await?;
        for version in candidates(&info).filter(|version| *version != of.id) {
            let Ok(Some(other)) = self.read(secret, login, Which::Version(version)).await else {
                continue;
            };
            if other.value.username != of.value.username || other.value.address() != of.value.address() {
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

    /// A refused login with what the catalogue says of its reason.
    async fn explained(&self, session: &D::Session, login: &str, role: &str, error: DatabaseError) -> FunctionError {
        let Some(sqlstate) = error.sqlstate().filter(|_| !error.is_passing()) else { return error.into() };
        let found = match roles::read(session, &[role]).await {
            Ok(found) => found,
            // What was refused is worth more than why its reason is not known.
            Err(_) => return error.into(),
        };
        match told(&obstacles(found.get(role).map(|role| &role.facts), sqlstate)) {
            Some(why) => FunctionError::Barred { why, login: login.to_owned(), source: Box::new(error) },
            None => error.into(),
        }
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
                Ok(true) => {
                    master.session.close().await;
                    // In a failover it passes.
                    last = Some(DatabaseError::ReadOnly { server: format!("{host}:{port}"), what: "a change" }.into());
                }
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
    refuse_never_ours(role, master)?;
    ownership::check_mark(role, mark, Some(master))
}

/// Refuses a role that is the master's, a superuser's or an IAM user's, whatever its comment says.
fn refuse_never_ours(role: &Role, master: &str) -> Result<(), FunctionError> {
    let because = if role.name == master {
        "it is the master user"
    } else if role.facts.superuser {
        "it is a superuser"
    } else if role.uses_iam {
        "it is a member of rds_iam and has no use for a password"
    } else {
        return Ok(());
    };
    Err(FunctionError::BadEvent(format!("login {:?} is refused: {because}", role.name)))
}
