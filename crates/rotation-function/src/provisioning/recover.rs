//! A login put right. The caller has seen how it stands and a person has agreed to what is done; under the
//! login's lock all of it is looked at again, and what has moved since is refused.

use super::work::Work;
use super::{Master, refuse_foreign};
use crate::context::{Context, Version};
use crate::database::{Database, Session};
use crate::error::FunctionError;
use crate::roles::{self, ServerFacts};
use crate::rotation::take_lock;
use crate::scram::Verifier;
use crate::store::{SecretInfo, SecretStore, Which, label as aws};
use function_contract::{Duty, Provisioned, RecoverLogin, Recovery, RoleComment, Strategy, alternate, clone_of, label};

impl<S: SecretStore, D: Database<Session: Session>> Context<'_, S, D> {
    pub(super) async fn recover_login(&self, recover: &RecoverLogin) -> Result<Provisioned, FunctionError> {
        let RecoverLogin { login, duty, strategy, attributes, secret_arn, .. } = recover;
        self.check_request(login, *duty, *strategy, attributes, secret_arn).await?;
        let admin = self.admin_of(*duty, login, secret_arn).await?;
        self.retrying(async || {
            let master = self.log_in_to_writer().await?;
            let result = self.recover_in_session(recover, admin.as_deref(), &master).await;
            master.session.close().await;
            result
        })
        .await
    }

    async fn recover_in_session(
        &self,
        recover: &RecoverLogin,
        admin: Option<&str>,
        master: &Master<D::Session>,
    ) -> Result<Provisioned, FunctionError> {
        let (session, login, secret) = (&master.session, recover.login.as_str(), recover.secret_arn.as_str());
        take_lock(session, login).await?;
        let clone = clone_of(login);
        let found = roles::read(session, &[login, &clone]).await?;
        let mark = RoleComment { deployment: self.config.deployment.clone(), address: recover.address.clone() };
        for role in found.values() {
            if role.name == login || recover.strategy == Strategy::AlternatingUsers {
                refuse_foreign(role, &mark, &master.username)?;
            }
        }
        self.refuse_groups(&recover.attributes, admin, master).await?;
        let info = self.store.describe(secret).await?;
        let on = info.version_with(aws::CURRENT);
        if on != Some(recover.current.as_str()) {
            let because = format!("AWSCURRENT is {}, not {}", on.unwrap_or("on no version"), recover.current);
            return Err(moved(login, because));
        }
        let (version, role_created, notes) = match &recover.recovery {
            Recovery::MakeCurrent { version } => {
                let current = match self.read_current(secret, login).await {
                    Ok(current) => Some(current),
                    // Whatever somebody has put there, nobody logs in with it.
                    Err(FunctionError::SecretValue { .. }) => None,
                    Err(error) => return Err(error),
                };
                let notes = self.make_current(recover, &info, current.as_ref(), version).await?;
                (version.clone(), false, notes)
            }
            Recovery::SetAgain => {
                let current = self.read_current(secret, login).await?;
                let server = ServerFacts::read(session).await?;
                let mut work = Work {
                    session,
                    server,
                    login,
                    duty: recover.duty,
                    strategy: recover.strategy,
                    attributes: &recover.attributes,
                    mark,
                    admin,
                    master: &master.username,
                    notes: Vec::new(),
                };
                let made = self.set_again(recover, &info, &current, &mut work).await?;
                (current.id, made, work.notes)
            }
        };
        Ok(Provisioned { login: login.to_owned(), version: Some(version), role_created, value_stored: false, notes })
    }

    /// The last step of a rotation that has done all others, or a label put back where it belongs.
    async fn make_current(
        &self,
        recover: &RecoverLogin,
        info: &SecretInfo,
        current: Option<&Version>,
        version: &str,
    ) -> Result<Vec<String>, FunctionError> {
        let (login, secret) = (recover.login.as_str(), recover.secret_arn.as_str());
        if !info.versions.contains_key(version) {
            return Err(moved(login, format!("version {version} carries no label any more")));
        }
        let Some(next) = self.read(secret, login, Which::Version(version)).await? else {
            return Err(moved(login, format!("version {version} holds no value")));
        };
        let pending = info.has(version, aws::PENDING);
        if let Some(current) = current {
            let user = &current.value.username;
            // What a rotation makes of AWSCURRENT, and nothing else, may take its place.
            let in_turn = match recover.strategy {
                Strategy::AlternatingUsers if pending => alternate(login, user),
                _ => Some(user.clone()),
            };
            if in_turn.as_ref() != Some(&next.value.username) {
                let because =
                    format!("version {version} is for {:?}, and AWSCURRENT for {user:?}", next.value.username);
                return Err(FunctionError::refused(secret, because));
            }
            if next.value.address() != current.value.address() || next.value.master_arn != current.value.master_arn {
                let because = format!("version {version} names another server or another masterarn than AWSCURRENT");
                return Err(FunctionError::refused(secret, because));
            }
        }
        match self.log_in(&next.value, None).await {
            Ok(session) => session.close().await,
            Err(error) if error.is_bad_login() => {
                return Err(moved(login, format!("version {version} does not log in ({error})")));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(current) = current.filter(|_| !pending) {
            match self.log_in(&current.value, None).await {
                Err(error) if error.is_bad_login() => {}
                Err(error) => return Err(error.into()),
                Ok(session) => {
                    session.close().await;
                    return Err(moved(login, "AWSCURRENT logs in".to_owned()));
                }
            }
        }
        self.store.move_label(secret, aws::CURRENT, Some(version), Some(&recover.current)).await?;
        if pending {
            self.store.move_label(secret, aws::PENDING, None, Some(version)).await?;
        }
        // It named the version in force while that was not AWSCURRENT.
        if let Some(old) = info.version_with(label::IN_FORCE) {
            self.store.move_label(secret, label::IN_FORCE, None, Some(old)).await?;
        }
        Ok(vec![format!("AWSCURRENT is version {version} now; it was {}", recover.current)])
    }

    /// Roles, then passwords; answers whether a role was made.
    async fn set_again(
        &self,
        recover: &RecoverLogin,
        info: &SecretInfo,
        current: &Version,
        work: &mut Work<'_, D::Session>,
    ) -> Result<bool, FunctionError> {
        let (login, clone) = (work.login, clone_of(work.login));
        let mut versions = vec![current];
        let previous = self.other_turn(recover, info, current).await;
        versions.extend(&previous);
        let names_clone = versions.iter().any(|version| version.value.username == clone);
        let before = roles::read(work.session, &[login, &clone]).await?;
        let mut made = false;
        match before.get(login) {
            None => {
                work.create(login, None).await?;
                work.notes.push(format!("made role {}", crate::database::identifier(login)));
                made = true;
            }
            Some(role) => work.admit_sessions(role).await?,
        }
        work.declare(login, before.get(login)).await?;
        work.admit(login, before.get(login)).await?;
        if recover.strategy == Strategy::AlternatingUsers && recover.duty == Duty::User {
            if names_clone && !before.contains_key(&clone) {
                work.create_clone_without_login(&clone).await?;
                work.notes.push(format!("made role {}", crate::database::identifier(&clone)));
                made = true;
            }
            // Read again: the base is what it was made just now.
            let mut now = roles::read(work.session, &[login, &clone]).await?;
            if let (Some(clone_role), Some(base)) = (now.remove(&clone), now.remove(login)) {
                work.mirror(&base, &clone_role).await?;
                work.admit(&clone, before.get(&clone)).await?;
            }
        }
        for version in versions {
            self.set_where_refused(recover, version, work).await?;
        }
        Ok(made)
    }

    /// AWSPREVIOUS under alternating users, whose password whoever has not read the secret since still uses. None
    /// where it is for the same role, or for a server of the past: there is one password to a role.
    async fn other_turn(&self, recover: &RecoverLogin, info: &SecretInfo, current: &Version) -> Option<Version> {
        if recover.strategy != Strategy::AlternatingUsers {
            return None;
        }
        let version = info.version_with(aws::PREVIOUS)?;
        // One that cannot be read or names another server is of no use to anybody.
        let previous = self.read(&recover.secret_arn, &recover.login, Which::Version(version)).await.ok()??;
        let usable =
            previous.value.username != current.value.username && previous.value.address() == current.value.address();
        usable.then_some(previous)
    }

    async fn set_where_refused(
        &self,
        recover: &RecoverLogin,
        version: &Version,
        work: &mut Work<'_, D::Session>,
    ) -> Result<(), FunctionError> {
        let (login, role) = (recover.login.as_str(), version.value.username.as_str());
        let refused = match self.log_in(&version.value, None).await {
            Ok(session) => {
                session.close().await;
                return Ok(());
            }
            Err(error) if error.is_wrong_password() => error,
            Err(error) => return Err(self.explained(work.session, login, role, error).await),
        };
        if let Some(other) = self.half_way(&recover.secret_arn, login, version).await? {
            return Err(moved(login, format!("version {other} logs in as {role:?} instead of {}", version.id)));
        }
        let verifier = Verifier::of(&version.value.password, work.server.iterations)?;
        work.set_password(role, &verifier).await?;
        match self.log_in(&version.value, None).await {
            Ok(session) => session.close().await,
            Err(error) => return Err(self.explained(work.session, login, role, error).await),
        }
        work.notes.push(format!(
            "set the password of version {} again for {}: it did not log in ({refused})",
            version.id,
            crate::database::identifier(role)
        ));
        Ok(())
    }
}

fn moved(login: &str, because: String) -> FunctionError {
    FunctionError::Moved { login: login.to_owned(), because }
}
