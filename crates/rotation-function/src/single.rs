//! setSecret for a single user: the login changes its own password.
//!
//! Between the change in the database and finishSecret the secret's AWSCURRENT is wrong, and a crash can make
//! that last. So that there is always a label that leads to the password in force:
//! - before the change, the pending version gets [`label::SETTING`];
//! - where the login got in by a version other than AWSCURRENT, that one gets [`label::IN_FORCE`] first, since
//!   it may owe its only label to the rotation that is now being replaced.
//!
//! The database thus holds the password of AWSCURRENT, SETTING or IN_FORCE at every moment, and the next run
//! tries all of them. A normal rotation moves one label.

use crate::context::{Context, Version};
use crate::database::{Database, Session};
use crate::error::FunctionError;
use crate::event::RotationEvent;
use crate::roles::{self, ServerFacts};
use crate::rotation::{Gated, PASSWORD_SET, Report, repaired};
use crate::scram::Verifier;
use crate::store::{SecretInfo, SecretStore, label as aws};
use crate::{lock, ownership};
use function_contract::label;

impl<S: SecretStore, D: Database> Context<'_, S, D> {
    /// Gives the login the pending password.
    pub(crate) async fn set_single(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        current: Version,
        report: &mut Report,
    ) -> Result<&'static str, FunctionError> {
        let mut read = Some(current);
        let (outcome, notes) = self
            .retrying(async || {
                let current = match read.take() {
                    Some(current) => current,
                    None => self.read_current(&event.secret, &gated.base).await?,
                };
                self.set_own(event, gated, current).await
            })
            .await?;
        report.notes.extend(notes);
        Ok(outcome)
    }

    async fn set_own(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        current: Version,
    ) -> Result<(&'static str, Vec<String>), FunctionError> {
        let (secret, base) = (event.secret.as_str(), gated.base.as_str());
        let lock_database = self.config.lock_database.as_str();
        let way_in = self.log_in_with_any(secret, base, current, Some(&gated.info), lock_database).await;
        let (session, used) = match way_in {
            Ok(way_in) => way_in,
            Err(FunctionError::Database(error))
                if error.is_bad_login() && gated.info.arn != self.config.admin_secret_arn =>
            {
                let notes = vec![format!("repaired by the admin login: no labelled version logs in ({error})")];
                return Ok((repaired(self.set_for_locked_out(event, gated).await?), notes));
            }
            Err(error) => return Err(error),
        };
        let mut notes = Vec::new();
        let result = if used.id == event.token {
            // An earlier try of this step got this far.
            Ok("password was set")
        } else {
            let by_another = !gated.info.has(&used.id, aws::CURRENT);
            if by_another {
                notes.push(format!("AWSCURRENT did not log in; version {} did", used.id));
            }
            let result = self.set_in_session(event, gated, &session, Some(used)).await;
            if by_another { result.map(repaired) } else { result }
        };
        session.close().await;
        Ok((result?, notes))
    }

    /// Sets the pending password in a session that may; `used` is the version it logged in with, if it is
    /// the login's own.
    async fn set_in_session(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        session: &D::Session,
        used: Option<Version>,
    ) -> Result<&'static str, FunctionError> {
        let (secret, base) = (event.secret.as_str(), gated.base.as_str());
        lock::take(session, base).await?;
        // Under the lock, because what was read before it another run may have changed.
        let now = self.gate(secret, &event.token).await?;
        if now.finished {
            return Ok("already current");
        }
        let by_itself = used.as_ref().map(|version| version.id.clone());
        let current = match used.filter(|version| now.info.has(&version.id, aws::CURRENT)) {
            Some(current) => current,
            None => self.read_current(secret, base).await?,
        };
        let pending = self.read_pending(event, &now, &current).await?;
        let role = pending.value.username.as_str();
        if by_itself.is_none() {
            // Whoever holds a password of the role needs no other proof; the admin login does.
            let found = roles::read(session, &[base, role]).await?;
            let mark = ownership::mark_of_base(self.config, base, found.get(base))?;
            found.get(role).map_or(Ok(()), |role| ownership::check_mark(role, &mark, None))?;
        }
        let server = ServerFacts::read(session).await?;
        let verifier = Verifier::of(&pending.value.password, server.iterations)?;
        self.label_before_change(event, &now.info, by_itself.as_deref()).await?;
        roles::set_password(session, role, &verifier).await?;
        Ok(PASSWORD_SET)
    }

    async fn label_before_change(
        &self,
        event: &RotationEvent,
        info: &SecretInfo,
        used: Option<&str>,
    ) -> Result<(), FunctionError> {
        let secret = event.secret.as_str();
        if let Some(used) = used.filter(|used| !info.has(used, aws::CURRENT) && !info.has(used, label::IN_FORCE)) {
            self.store.move_label(secret, label::IN_FORCE, Some(used), info.version_with(label::IN_FORCE)).await?;
        }
        if !info.has(&event.token, label::SETTING) {
            self.store
                .move_label(secret, label::SETTING, Some(&event.token), info.version_with(label::SETTING))
                .await?;
        }
        Ok(())
    }

    /// The way back for a login none of whose versions logs in: the admin login sets the password, where role and
    /// secret are provably this deployment's.
    async fn set_for_locked_out(&self, event: &RotationEvent, gated: &Gated) -> Result<&'static str, FunctionError> {
        let admin = self.log_in_as_admin().await?;
        let result = self.set_in_session(event, gated, &admin.session, None).await;
        admin.session.close().await;
        result.map_err(|error| error.or_missing_grant(&gated.base, &admin.username))
    }
}
