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

use crate::context::{At, Context, Version};
use crate::database::{Database, DatabaseError, identifier};
use crate::error::FunctionError;
use crate::event::RotationEvent;
use crate::roles::Role;
use crate::rotation::{Gated, PASSWORD_SET, REPAIRED, Report};
use crate::scram::Verifier;
use crate::session::RoleSession;
use crate::store::{SecretInfo, SecretStore, label as aws};
use crate::{ownership, roles};
use function_contract::{label, told};

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
        // Nobody helps the admin login but itself.
        let has_help = gated.info.arn != self.config.admin_secret_arn;
        let way_in = self.log_in_with_any(secret, base, current, Some(&gated.info), At::LockDatabase).await;
        let (session, used) = match way_in {
            Ok(way_in) => way_in,
            Err(FunctionError::LockDatabaseClosed { .. }) if has_help => {
                return self.set_by_admin_for(event, gated).await;
            }
            Err(FunctionError::Database(error)) if error.is_bad_login() && has_help => {
                return self.set_by_admin_for(event, gated).await;
            }
            Err(error) => return Err(error),
        };
        if used.id == event.token {
            session.end().await;
            return Ok(set_before(&gated.info));
        }
        let result = self.set_in_session(event, gated, &session, &gated.base, Some(used)).await;
        session.end().await;
        match result {
            // To see which version is in force took a second session of a role whose limit lets in one. With the lock in
            // the admin login's, there is room for it.
            Err(FunctionError::Database(error)) if error.is_too_many() && has_help => {
                self.set_by_admin_for(event, gated).await
            }
            result => result,
        }
    }

    /// The way of a login whose own session cannot do it: none of its versions logs in, or only one at a time, or not
    /// where the lock is. The admin login sets the password, where role and secret are provably this deployment's.
    async fn set_by_admin_for(
        &self,
        event: &RotationEvent,
        gated: &Gated,
    ) -> Result<(&'static str, Vec<String>), FunctionError> {
        let admin = self.log_in_as_admin().await?;
        let result = match ownership::refuse_second_admin(&event.secret, &gated.base, &admin.username) {
            Ok(()) => self.set_in_session(event, gated, &admin.session, &admin.username, None).await,
            Err(error) => Err(error),
        };
        admin.session.end().await;
        result.map_err(|error| error.or_missing_grant(&gated.base, &admin.username))
    }

    /// Sets the pending password in the session of `by`: the login's own, by the version `used`, or the admin login's.
    async fn set_in_session(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        session: &D::Session,
        by: &str,
        used: Option<Version>,
    ) -> Result<(&'static str, Vec<String>), FunctionError> {
        let (secret, base) = (event.secret.as_str(), gated.base.as_str());
        session.take_lock(base).await?;
        // Under the lock, because what was read before it another run may have changed.
        let now = self.gate(secret, &event.token).await?;
        if now.finished {
            return Ok(("already current", Vec::new()));
        }
        let by_admin = used.is_none();
        let mut notes = Vec::new();
        let mut locked_out = None;
        let in_force = match used {
            Some(used) if !may_have_changed(event, &now.info, &used) => Some(used),
            Some(used) => Some(self.in_force(event, &now.info, base, used).await?),
            None => {
                let current = self.read_current(secret, base).await?;
                match self.in_force(event, &now.info, base, current).await {
                    Ok(version) => Some(version),
                    Err(FunctionError::Database(error)) if error.is_bad_login() => {
                        locked_out = Some(error);
                        None
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        if let Some(version) = in_force.as_ref().filter(|version| !now.info.has(&version.id, aws::CURRENT)) {
            if version.id == event.token {
                return Ok(set_before(&now.info));
            }
            notes.push(format!("AWSCURRENT did not log in; version {} did", version.id));
        }
        let in_force_id = in_force.as_ref().map(|version| version.id.clone());
        let current = match in_force.filter(|version| now.info.has(&version.id, aws::CURRENT)) {
            Some(current) => current,
            None => self.read_current(secret, base).await?,
        };
        let pending = self.read_pending(event, &now, &current).await?;
        let role = pending.value.username.as_str();
        if by_admin {
            // Whoever holds a password of the role needs no other proof; the admin login does.
            let found = session.roles(&[base, role]).await?;
            let mark = ownership::mark_of_base(self.config, base, found.get(base))?;
            found.get(role).map_or(Ok(()), |role| ownership::check_mark(role, &mark, None))?;
            if let Some(source) = locked_out {
                notes.push(repaired(found.get(role), base, source)?);
            }
        }
        let server = session.server().await?;
        let verifier = Verifier::of(&pending.value.password, server.iterations)?;
        self.label_before_change(event, &now.info, in_force_id.as_deref()).await?;
        let set = session.set_password(role, verifier).await;
        set.map_err(|error| FunctionError::from(error).or_passwords_restricted(server, by))?;
        // Every note tells of a version that had to stand in for AWSCURRENT, or of none that could.
        Ok((if notes.is_empty() { PASSWORD_SET } else { REPAIRED }, notes))
    }

    /// The version whose password the database holds, found out under the lock: there it stays so.
    async fn in_force(
        &self,
        event: &RotationEvent,
        now: &SecretInfo,
        base: &str,
        likely: Version,
    ) -> Result<Version, FunctionError> {
        let (session, version) = self.log_in_with_any(&event.secret, base, likely, Some(now), At::OwnDatabase).await?;
        session.end().await;
        Ok(version)
    }

    async fn label_before_change(
        &self,
        event: &RotationEvent,
        info: &SecretInfo,
        in_force: Option<&str>,
    ) -> Result<(), FunctionError> {
        let secret = event.secret.as_str();
        if let Some(id) = in_force.filter(|id| !info.has(id, aws::CURRENT) && !info.has(id, label::IN_FORCE)) {
            self.store.move_label(secret, label::IN_FORCE, Some(id), info.version_with(label::IN_FORCE)).await?;
        }
        if !info.has(&event.token, label::SETTING) {
            self.store
                .move_label(secret, label::SETTING, Some(&event.token), info.version_with(label::SETTING))
                .await?;
        }
        Ok(())
    }
}

/// The note of a password that the admin login sets, none of whose stored ones was let in. Refused where something else
/// than the password keeps the role out: then a stored one may be right, and would be lost.
fn repaired(role: Option<&Role>, base: &str, source: DatabaseError) -> Result<String, FunctionError> {
    if let Some(role) = role.filter(|role| role.uses_iam) {
        return Err(FunctionError::UsesIam { quoted: identifier(&role.name) });
    }
    if let Some(why) = told(&role.map(roles::barred).unwrap_or_default()) {
        return Err(FunctionError::Barred { why, login: base.to_owned(), source: Box::new(source) });
    }
    if !source.is_wrong_password() {
        // A line of pg_hba.conf, or what RDS has of it.
        return Err(source.into());
    }
    Ok(format!("repaired by the admin login: no labelled version logs in ({source})"))
}

/// What can be said where an earlier try of this step has got so far and its answer was lost. A version that is in force
/// beside AWSCURRENT was found so by that try, or by one of a rotation that died: AWSCURRENT has not logged in since. Where
/// none had been in force and the admin login helped, nothing tells of it.
fn set_before(info: &SecretInfo) -> (&'static str, Vec<String>) {
    match info.version_with(label::IN_FORCE).filter(|version| !info.has(version, aws::CURRENT)) {
        Some(version) => {
            (REPAIRED, vec![format!("set by an earlier try: AWSCURRENT did not log in; version {version} did")])
        }
        None => ("password was set", Vec::new()),
    }
}

/// Whether another run may have changed the password after this one had logged in and before it got the lock.
/// Such a run labels its version first, so a label that is where it should be shows that none did.
fn may_have_changed(event: &RotationEvent, now: &SecretInfo, used: &Version) -> bool {
    now.version_with(label::SETTING).is_some_and(|setting| setting != used.id && setting != event.token)
}
