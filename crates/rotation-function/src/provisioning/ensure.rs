//! A role, the first version of its secret, and the two in agreement.

use super::work::Work;
use super::{Master, refuse_foreign, refuse_never_ours};
use crate::context::{Context, Version};
use crate::database::{Database, Session, identifier, literal};
use crate::error::FunctionError;
use crate::ownership;
use crate::password::Password;
use crate::roles::{self, Role, ServerFacts, SettingKey};
use crate::rotation::take_lock;
use crate::scram::Verifier;
use crate::secret::{NewSecret, SecretValue, Statement};
use crate::store::{Put, SecretStore, Which, label};
use function_contract::{Duty, EnsureLogin, Provisioned, RoleComment, Strategy, clone_of};
use std::collections::BTreeMap;

impl<S: SecretStore, D: Database<Session: Session>> Context<'_, S, D> {
    pub(super) async fn ensure_login(&self, ensure: &EnsureLogin) -> Result<Provisioned, FunctionError> {
        let EnsureLogin { login, duty, strategy, attributes, secret_arn, .. } = ensure;
        self.check_request(login, *duty, *strategy, attributes, secret_arn).await?;
        let admin = self.admin_of(*duty, login, secret_arn).await?;
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
        take_lock(session, login).await?;
        let found = roles::read(session, &[login, &clone]).await?;
        let mark = RoleComment { deployment: self.config.deployment.clone(), address: ensure.address.clone() };
        self.refuse_groups(&ensure.attributes, admin, master).await?;
        let mut notes = Vec::new();
        let mut adopted = Vec::new();
        // All are looked at before one is touched: a refused clone must not leave its base marked.
        for role in found.values() {
            // Of a single user there is no clone: a role of that name is somebody else's business.
            if role.name != login && ensure.strategy != Strategy::AlternatingUsers {
                continue;
            }
            if ensure.adopt && ensure.duty == Duty::User && ownership::adoptable(role, &mark, login) {
                refuse_never_ours(role, &master.username)?;
                adopted.push(role);
            } else {
                refuse_foreign(role, &mark, &master.username)?;
            }
        }
        for role in &adopted {
            let comment = ownership::marked(&mark, role.facts.comment.as_deref());
            let quoted = identifier(&role.name);
            let sql = format!("COMMENT ON ROLE {quoted} IS {}", literal(&comment));
            let done = session.change("taking the role over", &sql).await;
            done.map_err(|error| FunctionError::from(error).or_missing_grant(&role.name, &master.username))?;
            notes.push(format!("took over role {quoted}"));
        }
        let found = if adopted.is_empty() { found } else { roles::read(session, &[login, &clone]).await? };
        let (version, value_stored) = self.ensure_value(ensure, &mut notes).await?;
        let server = ServerFacts::read(session).await?;
        let mut work = Work {
            session,
            server,
            login,
            duty: ensure.duty,
            strategy: ensure.strategy,
            attributes: &ensure.attributes,
            mark,
            admin,
            master: &master.username,
            notes,
        };
        let role_created = self.ensure_roles(&mut work, ensure, &version, &found).await?;
        if !value_stored && !found.contains_key(login) {
            self.end_rotation_of_before(ensure).await?;
        }
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
            id: &ensure.server.id,
            master_arn: alternating.then_some(self.config.admin_secret_arn.as_str()),
        };
        let text = match self.store.get(secret, Which::Label(label::CURRENT)).await? {
            None => {
                let passwords = ownership::passwords_of(&self.store.describe(secret).await?)?;
                let new = NewSecret {
                    // Of a cluster too: AWS's JSON structure names no other for PostgreSQL, and its functions of before
                    // 2023 take no other.
                    engine: "postgres",
                    host: now.host,
                    port: now.port,
                    username: &ensure.login,
                    password: &Password::generate(&passwords)?,
                    database: now.database,
                    id: now.id,
                    master_arn: now.master_arn,
                };
                Some(new.compose())
            }
            Some(stored) => {
                let value = SecretValue::parse(stored.text).map_err(FunctionError::value(secret))?;
                ownership::check_user(secret, &ensure.login, &value)?;
                // A reader is as good as the writer: the value's owner may have chosen it.
                let now = match self.config.hosts.allow(&value.host, value.port) {
                    true => Statement { host: &value.host, port: value.port, ..now },
                    false => now,
                };
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
        match self.pending(ensure).await? {
            Some(_) if self.config.hosts.allow(&current.host, current.port) => {
                Err(FunctionError::Busy { login: ensure.login.clone() })
            }
            Some(pending) => self.unlabel(ensure, &pending).await,
            None => Ok(()),
        }
    }

    /// A rotation whose login was not there cannot have got further than making a value; and if the instance of before
    /// had the same address, nothing else tells that it was begun there. Left labelled it would block every rotation
    /// to come. One that still runs finds at its next step that it was ended.
    async fn end_rotation_of_before(&self, ensure: &EnsureLogin) -> Result<(), FunctionError> {
        match self.pending(ensure).await? {
            Some(pending) => self.unlabel(ensure, &pending).await,
            None => Ok(()),
        }
    }

    /// The version that a rotation has begun and not ended.
    async fn pending(&self, ensure: &EnsureLogin) -> Result<Option<String>, FunctionError> {
        let info = self.store.describe(&ensure.secret_arn).await?;
        let pending = info.version_with(label::PENDING).filter(|version| !info.has(version, label::CURRENT));
        Ok(pending.map(str::to_owned))
    }

    async fn unlabel(&self, ensure: &EnsureLogin, version: &str) -> Result<(), FunctionError> {
        Ok(self.store.move_label(&ensure.secret_arn, label::PENDING, None, Some(version)).await?)
    }

    /// Makes the roles and sets the password where AWSCURRENT does not log in yet. True when a role was made.
    async fn ensure_roles(
        &self,
        work: &mut Work<'_, D::Session>,
        ensure: &EnsureLogin,
        version: &Version,
        found: &BTreeMap<String, Role>,
    ) -> Result<bool, FunctionError> {
        let login = work.login;
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
        if let Some(role) = found.get(&clone).filter(|_| ensure.strategy == Strategy::AlternatingUsers) {
            work.repair(role).await?;
            // One that AWS's function has made: the admin login does not reach it, and what it makes is its own.
            work.admit(&clone, Some(role)).await?;
            if !role.settings.contains_key(&SettingKey { database: None, name: "role".to_owned() }) {
                work.equal_to_base(login, &clone).await?;
            }
        }
        if named == clone && !found.contains_key(&clone) {
            work.create_clone(&clone, &verifier).await?;
            work.admit(&clone, None).await?;
            made = true;
        }
        match self.log_in(&version.value, None).await {
            Ok(session) => session.close().await,
            // Refused for something else, it would be refused with any password.
            Err(error) if error.is_wrong_password() && !made => {
                if let Some(other) = self.half_way(&ensure.secret_arn, login, version).await? {
                    work.notes.push(format!(
                        "AWSCURRENT does not log in ({error}) and version {other} does: a rotation is under way, or has died; \
                         rotating again ends it"
                    ));
                    return Ok(made);
                }
                work.set_password(named, &verifier).await?;
                match self.log_in(&version.value, None).await {
                    Ok(session) => session.close().await,
                    Err(error) => return Err(self.explained(work.session, login, named, error).await),
                }
                work.notes.push(format!("set the stored password again: AWSCURRENT did not log in ({error})"));
            }
            Err(error) => return Err(self.explained(work.session, login, named, error).await),
        }
        Ok(made)
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
