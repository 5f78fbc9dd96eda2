//! What every function has at hand, and the ways in that they share.

use crate::config::Config;
use crate::database::{Database, DatabaseError, LOGIN_TIMEOUT, Login};
use crate::error::FunctionError;
use crate::ownership;
use crate::secret::SecretValue;
use crate::store::{SecretInfo, SecretStore, Which, label};
use function_contract::label as ours;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// Tries of a piece of work that a failover may interrupt. With the pauses between them they span
/// about 6 seconds; Secrets Manager repeats a failed step later, when a long failover is over.
const TRIES: u32 = 6;

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Configuration, secrets, database, and the time there is.
pub struct Context<'a, S, D> {
    pub config: &'a Config,
    pub store: &'a S,
    pub database: &'a D,
    /// When to stop trying again, well before Lambda ends the process.
    pub until: Instant,
    /// How to wait before trying again.
    pub pause: Pause,
}

/// Waits for as long as it is told.
pub type Pause = fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

impl<'a, S, D> Context<'a, S, D> {
    /// For an invocation that is to have ended by `until`.
    pub fn new(config: &'a Config, store: &'a S, database: &'a D, until: Instant) -> Self {
        Self { config, store, database, until, pause: |time| Box::pin(tokio::time::sleep(time)) }
    }
}

/// A version's value, read, and where it stands.
pub struct Version {
    pub id: String,
    pub labels: BTreeSet<String>,
    pub value: SecretValue,
}

impl<S: SecretStore, D: Database> Context<'_, S, D> {
    /// Reads a version of a secret that is for `login`; None when it holds no value.
    pub async fn read(&self, secret: &str, login: &str, which: Which<'_>) -> Result<Option<Version>, FunctionError> {
        let Some(stored) = self.store.get(secret, which).await? else { return Ok(None) };
        let value = SecretValue::parse(stored.text).map_err(FunctionError::value(secret))?;
        ownership::check_value(self.config, secret, login, &value)?;
        Ok(Some(Version { id: stored.version, labels: stored.labels, value }))
    }

    /// Reads AWSCURRENT, which a provisioned secret has.
    pub async fn read_current(&self, secret: &str, login: &str) -> Result<Version, FunctionError> {
        let current = self.read(secret, login, Which::Label(label::CURRENT)).await?;
        current.ok_or_else(|| {
            FunctionError::refused(
                secret,
                "it has no AWSCURRENT value yet: apply the deployment, which provisions the login",
            )
        })
    }

    /// Logs in with a value: where it says, as an application does; or, to a database that is given, on the
    /// writer. A secret may name a replica, which takes neither a new password nor a lock that counts.
    pub async fn log_in(&self, value: &SecretValue, database: Option<&str>) -> Result<D::Session, DatabaseError> {
        let named = (value.host.as_str(), value.port);
        let (host, port) = database.and_then(|_| self.config.hosts.writer()).unwrap_or(named);
        let login = Login {
            host,
            port,
            database: database.unwrap_or(&value.database),
            username: &value.username,
            password: &value.password,
        };
        self.database.connect(&login).await
    }

    /// Logs in to the lock database as the admin login. Its secret may be half-way through a rotation of its
    /// own, in which the database already has a password that is not AWSCURRENT yet.
    pub async fn log_in_as_admin(&self) -> Result<Admin<D::Session>, FunctionError> {
        let secret = &self.config.admin_secret_arn;
        let stored = self.store.get(secret, Which::Label(label::CURRENT)).await?;
        let Some(stored) = stored else {
            return Err(FunctionError::refused(
                secret,
                "the admin login's secret has no value yet: apply the deployment",
            ));
        };
        let value = SecretValue::parse(stored.text).map_err(FunctionError::value(secret))?;
        let current = Version { id: stored.version, labels: stored.labels, value };
        // Which secret is the admin login's, the environment says; its own name is as good as a tag's.
        let login = current.value.username.clone();
        ownership::check_value(self.config, secret, &login, &current.value)?;
        let (session, version) = self.log_in_with_any(secret, &login, current, None, At::LockDatabase).await?;
        Ok(Admin { session, username: version.value.username })
    }

    /// Logs in on the writer with AWSCURRENT, or else with any other labelled version on the same server: those whose
    /// password the database may hold. The error is that of AWSCURRENT, or of another one that was refused for something
    /// else than its password: then that is not what is wrong. `info` is read where it is not known and needed.
    pub async fn log_in_with_any(
        &self,
        secret: &str,
        login: &str,
        current: Version,
        info: Option<&SecretInfo>,
        at: At,
    ) -> Result<(D::Session, Version), FunctionError> {
        let log_in = async |value: &SecretValue| {
            let lock_database = self.config.lock_database.as_str();
            match at {
                At::LockDatabase => {
                    let entered = self.log_in(value, Some(lock_database)).await;
                    entered.map_err(|error| {
                        FunctionError::from(error).or_lock_database_closed(&value.username, lock_database)
                    })
                }
                At::OwnDatabase => Ok(self.log_in(value, Some(&value.database)).await?),
            }
        };
        let mut refused = match log_in(&current.value).await {
            Ok(session) => return Ok((session, current)),
            Err(FunctionError::Database(error)) if error.is_bad_login() => error,
            Err(error) => return Err(error),
        };
        let described;
        let info = match info {
            Some(info) => info,
            None => {
                described = self.store.describe(secret).await?;
                &described
            }
        };
        for version in candidates(info).filter(|version| *version != current.id) {
            // One that cannot be read or names another server is no way in, whatever it is.
            let Ok(Some(other)) = self.read(secret, login, Which::Version(version)).await else { continue };
            if other.value.address() != current.value.address() {
                continue;
            }
            match log_in(&other.value).await {
                Ok(session) => return Ok((session, other)),
                Err(FunctionError::Database(error)) if error.is_bad_login() => {
                    if !error.is_wrong_password() {
                        refused = error;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.into())
    }

    /// Does `work`, again after a pause when a failover or a restart interrupts it. `work` must be safe to
    /// repeat, and connects anew each time: a try for which there is no time left would end in "out of time" instead
    /// of the reason.
    pub async fn retrying<T>(
        &self,
        mut work: impl AsyncFnMut() -> Result<T, FunctionError>,
    ) -> Result<T, FunctionError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match work().await {
                Err(error) if error.is_passing() && Instant::now() + pause + LOGIN_TIMEOUT < self.until => {
                    (self.pause)(jittered(pause)).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        work().await
    }
}

/// Which database to log in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// That in which logins are locked.
    LockDatabase,
    /// The one that the value names, as an application does.
    OwnDatabase,
}

/// A session of the admin login.
pub struct Admin<T> {
    pub session: T,
    pub username: String,
}

/// Versions by how likely the database holds their password: the one being set, the one found to be in
/// force, the one before, then any other with a label.
pub(crate) fn candidates(info: &SecretInfo) -> impl Iterator<Item = &str> {
    let likely = [label::PENDING, ours::SETTING, ours::IN_FORCE, label::PREVIOUS];
    let likely = likely.into_iter().filter_map(|label| info.version_with(label));
    let mut seen = BTreeSet::new();
    likely.chain(info.versions.keys().map(String::as_str)).filter(move |version| seen.insert(*version))
}

/// Half to all of a pause, so that logins interrupted together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}
