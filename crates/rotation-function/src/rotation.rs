//! The gate before every step, and the steps that are the same for both strategies.

use crate::context::{Context, Version};
use crate::database::{Database, DatabaseError};
use crate::error::FunctionError;
use crate::event::{RotationEvent, Step};
use crate::ownership;
use crate::password::Password;
use crate::session::RoleSession;
use crate::store::{Put, SecretInfo, SecretStore, Which, label};
use function_contract::{Strategy, alternate, label as ours};
use std::time::Duration;

/// Tries of the test login. A secret may name a replica, which learns of a new password a moment later.
const TEST_TRIES: u32 = 4;

/// Between two tries of the test login.
const TEST_PAUSE: Duration = Duration::from_millis(500);

/// The outcome of a setSecret that set the pending password.
pub const PASSWORD_SET: &str = "password set";

/// The same where AWSCURRENT did not log in: until this rotation, whoever used it was locked out.
pub const REPAIRED: &str = "password set, login repaired";

/// What a step did, for the log line.
#[derive(Debug, Default)]
pub struct Report {
    /// The base login, once the gate has told it.
    pub login: Option<String>,
    /// In a few words.
    pub outcome: &'static str,
    /// What a person should know; never a secret.
    pub notes: Vec<String>,
}

/// What the gate let through.
pub(crate) struct Gated {
    pub info: SecretInfo,
    /// The base login.
    pub base: String,
    /// The token's version is AWSCURRENT: the rotation has ended, and a step is only being repeated.
    pub finished: bool,
}

impl<S: SecretStore, D: Database> Context<'_, S, D> {
    /// Runs one step of a rotation. `report` is filled as far as it gets, also when the step fails.
    pub async fn rotate(&self, event: &RotationEvent, report: &mut Report) -> Result<(), FunctionError> {
        let info = self.store.describe(&event.secret).await?;
        // Told of a step that is refused, too.
        report.login = Some(ownership::login_of(self.config, &info)?);
        let gated = self.admit(info, &event.secret, &event.token)?;
        report.outcome = match event.step {
            Step::Test => self.test(event, &gated).await?,
            Step::Finish => self.finish(event, &gated).await?,
            Step::Create | Step::Set if gated.finished => "already current",
            Step::Create => self.create(event, &gated).await?,
            Step::Set => self.set(event, &gated, report).await?,
        };
        Ok(())
    }

    /// Refuses what is not ours and not in turn. Nothing of the event is used before it has passed here.
    pub(crate) async fn gate(&self, secret: &str, token: &str) -> Result<Gated, FunctionError> {
        self.admit(self.store.describe(secret).await?, secret, token)
    }

    fn admit(&self, info: SecretInfo, secret: &str, token: &str) -> Result<Gated, FunctionError> {
        let base = ownership::login_of(self.config, &info)?;
        if info.rotation_enabled == Some(false) {
            return Err(FunctionError::refused(secret, "rotation is switched off for it"));
        }
        let Some(labels) = info.versions.get(token) else {
            return Err(FunctionError::BadEvent(format!("secret {secret} has no version {token}")));
        };
        let finished = labels.contains(label::CURRENT);
        if !finished && !labels.contains(label::PENDING) {
            return Err(FunctionError::BadEvent(format!(
                "version {token} of secret {secret} is not AWSPENDING (any more)"
            )));
        }
        Ok(Gated { info, base, finished })
    }

    /// Which strategy a secret's value asks for, as in AWS's own functions: `masterarn` means that
    /// another secret rotates this one.
    pub(crate) fn strategy(&self, secret: &SecretInfo, version: &Version) -> Result<Strategy, FunctionError> {
        match version.value.master_arn.as_deref() {
            None => Ok(Strategy::SingleUser),
            Some(_) if secret.arn == self.config.admin_secret_arn => Err(FunctionError::refused(
                &secret.arn,
                "it is the admin login's and has a masterarn: it can only rotate itself",
            )),
            Some(arn) if arn == self.config.admin_secret_arn => Ok(Strategy::AlternatingUsers),
            Some(_) => Err(FunctionError::refused(&secret.arn, "its masterarn is not this deployment's admin secret")),
        }
    }

    async fn create(&self, event: &RotationEvent, gated: &Gated) -> Result<&'static str, FunctionError> {
        let current = self.read_current(&event.secret, &gated.base).await?;
        let username = self.next_username(gated, &current)?;
        let passwords = ownership::passwords_of(&gated.info)?;
        let text = current.value.replaced(&username, &Password::generate(&passwords)?);
        // No look before: a put under a token that has a value is refused by Secrets Manager itself, which
        // settles a race that a look could not.
        let put = self.store.put(&event.secret, &event.token, &text, label::PENDING, event.rotation_token.as_ref());
        Ok(match put.await? {
            Put::Stored => "value stored",
            Put::AlreadyThere => "value was there",
        })
    }

    /// The role that the pending version is for.
    fn next_username(&self, gated: &Gated, current: &Version) -> Result<String, FunctionError> {
        let username = &current.value.username;
        match self.strategy(&gated.info, current)? {
            Strategy::SingleUser => Ok(username.clone()),
            Strategy::AlternatingUsers => {
                ownership::refuse_long_clone(&gated.base)?;
                alternate(&gated.base, username).ok_or_else(|| {
                    FunctionError::refused(
                        &gated.info.arn,
                        format!("it names user {username:?} and is for {:?}", gated.base),
                    )
                })
            }
        }
    }

    async fn set(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        report: &mut Report,
    ) -> Result<&'static str, FunctionError> {
        let current = self.read_current(&event.secret, &gated.base).await?;
        match self.strategy(&gated.info, &current)? {
            Strategy::AlternatingUsers => self.set_alternating(event, gated, report).await,
            Strategy::SingleUser => self.set_single(event, gated, current, report).await,
        }
    }

    /// The pending version, if it is what createSecret makes of `current`.
    pub(crate) async fn read_pending(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        current: &Version,
    ) -> Result<Version, FunctionError> {
        let refuse = |because: &str| Err(FunctionError::refused(&event.secret, because));
        let Some(pending) = self.read(&event.secret, &gated.base, Which::Version(&event.token)).await? else {
            return refuse("its AWSPENDING version holds no value: createSecret comes first");
        };
        if !pending.labels.contains(label::PENDING) {
            return Err(FunctionError::BadEvent(format!("version {} is not AWSPENDING any more", event.token)));
        }
        if pending.value.address() != current.value.address() {
            return refuse("its AWSPENDING version names another server than AWSCURRENT");
        }
        if pending.value.username != self.next_username(gated, current)? {
            return refuse("its AWSPENDING version names another user than the one whose turn it is");
        }
        if pending.value.master_arn != current.value.master_arn {
            return refuse("its AWSPENDING version has another masterarn than AWSCURRENT");
        }
        Ok(pending)
    }

    async fn test(&self, event: &RotationEvent, gated: &Gated) -> Result<&'static str, FunctionError> {
        if let Some(version) = self.read(&event.secret, &gated.base, Which::Version(&event.token)).await? {
            self.prove(&version).await?;
            return Ok("logged in");
        }
        // RotateImmediately=false runs this step alone, under a version without a value: a rehearsal of
        // what a rotation will need.
        let current = self.read_current(&event.secret, &gated.base).await?;
        self.prove(&current).await?;
        if self.strategy(&gated.info, &current)? == Strategy::AlternatingUsers {
            let admin = self.retrying(async || self.log_in_as_admin().await).await?;
            admin.session.end().await;
        }
        Ok("rehearsed with AWSCURRENT")
    }

    /// Logs in and runs a query.
    async fn prove(&self, version: &Version) -> Result<(), FunctionError> {
        self.retrying(async || {
            let mut tries = 1;
            let session = loop {
                match self.log_in(&version.value, None).await {
                    Ok(session) => break session,
                    Err(error) if error.is_bad_login() && tries < TEST_TRIES => {
                        tries += 1;
                        (self.pause)(TEST_PAUSE).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            };
            let answer = session.ping().await;
            session.end().await;
            answer.map_err(FunctionError::from)
        })
        .await
    }

    /// Moves AWSCURRENT to a version that logs in at this very moment.
    ///
    /// Under the login's lock, because between a test and this another run could have given the role another
    /// password, or have read which role is in use and be about to: once an operator has cancelled one rotation and
    /// begun another, the processes of both may still be running.
    async fn finish(&self, event: &RotationEvent, gated: &Gated) -> Result<&'static str, FunctionError> {
        let (secret, base) = (event.secret.as_str(), gated.base.as_str());
        if gated.finished {
            // A later run takes PGROTATE_SETTING from this version before anything of its own can be in force.
            if gated.info.version_with(ours::SETTING).is_none_or(|setting| setting == event.token) {
                self.tidy_up(event, &gated.info).await?;
            }
            return Ok("already current");
        }
        let Some(pending) = self.read(secret, base, Which::Version(&event.token)).await? else {
            let because = "its AWSPENDING version holds no value: it cannot become AWSCURRENT";
            return Err(FunctionError::refused(secret, because));
        };
        let guard = self.retrying(async || self.lock_for_finish(gated, &pending).await).await?;
        let result = self.finish_under_lock(event, gated, &pending, &guard).await;
        guard.end().await;
        match result {
            // The session that held the lock was the last one that the role's limit lets in.
            Err(FunctionError::Database(error))
                if error.is_too_many() && gated.info.arn != self.config.admin_secret_arn =>
            {
                let guard = self.log_in_as_admin().await?.session;
                let result = match take_lock(&guard, &gated.base).await {
                    Ok(()) => self.finish_under_lock(event, gated, &pending, &guard).await,
                    Err(error) => Err(error),
                };
                guard.end().await;
                result?;
            }
            result => result?,
        }
        Ok("made current")
    }

    /// A session that holds the login's lock: the pending version's own or, where the database in which locks are taken is
    /// closed to it, the admin login's.
    async fn lock_for_finish(&self, gated: &Gated, pending: &Version) -> Result<D::Session, FunctionError> {
        let session = match self.log_in(&pending.value, Some(self.config.lock_database.as_str())).await {
            Ok(session) => session,
            Err(error) if error.is_not_permitted() => self.log_in_as_admin().await?.session,
            Err(error) => return Err(error.into()),
        };
        match take_lock(&session, &gated.base).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.end().await;
                Err(error)
            }
        }
    }

    async fn finish_under_lock(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        pending: &Version,
        guard: &D::Session,
    ) -> Result<(), FunctionError> {
        // The session that holds the lock may have logged in before another run's last change. Nor does a replica prove
        // anything, which may not have heard of that change yet.
        let is_it =
            |(host, port): (&str, u16)| host.eq_ignore_ascii_case(&pending.value.host) && port == pending.value.port;
        if !self.config.hosts.writer().is_some_and(is_it) {
            self.log_in(&pending.value, Some(&pending.value.database)).await?.end().await;
        }
        self.prove(pending).await?;
        // With a session that a failover has cut, the lock is gone.
        guard.ping().await?;
        let info = &gated.info;
        // AWS compares: where the label has moved since the gate, this fails and the step is repeated.
        let current = info.version_with(label::CURRENT);
        self.store.move_label(&event.secret, label::CURRENT, Some(&event.token), current).await?;
        self.tidy_up(event, info).await
    }

    /// Takes away the labels that have served. Left where it is, AWSPENDING would look like a rotation under way, and
    /// block the next one as soon as somebody puts a value by hand. Each goes only from where it was seen, so
    /// that nothing of a later rotation is taken.
    async fn tidy_up(&self, event: &RotationEvent, info: &SecretInfo) -> Result<(), FunctionError> {
        if info.has(&event.token, label::PENDING) {
            self.store.move_label(&event.secret, label::PENDING, None, Some(&event.token)).await?;
        }
        if let Some(old) = info.version_with(ours::IN_FORCE) {
            self.store.move_label(&event.secret, ours::IN_FORCE, None, Some(old)).await?;
        }
        Ok(())
    }
}

/// Takes the lock of `login` where it counts: one that is taken on a replica keeps nobody out.
pub(crate) async fn take_lock(session: &impl RoleSession, login: &str) -> Result<(), FunctionError> {
    if session.server().await?.is_replica {
        let server = "the server that was the writer".to_owned();
        return Err(DatabaseError::ReadOnly { server, what: "the login's lock" }.into());
    }
    session.take_lock(login).await
}
