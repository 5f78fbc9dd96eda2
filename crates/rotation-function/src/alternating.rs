//! setSecret under alternating users: the admin login readies the role whose turn it is.

use crate::context::{Admin, Context, Version};
use crate::database::{Database, DatabaseError, identifier};
use crate::error::FunctionError;
use crate::event::RotationEvent;
use crate::ownership;
use crate::roles::{Role, barred};
use crate::rotation::{Gated, PASSWORD_SET, REPAIRED, Report};
use crate::scram::Verifier;
use crate::session::RoleSession;
use crate::store::SecretStore;
use function_contract::{Obstacle, clone_of, obstacles, told};

impl<S: SecretStore, D: Database> Context<'_, S, D> {
    /// Gives the role whose turn it is the pending password. Nobody uses that role yet, so setting it twice
    /// harms nobody, and no test login is needed to find out whether it was set before.
    pub(crate) async fn set_alternating(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        report: &mut Report,
    ) -> Result<&'static str, FunctionError> {
        let (outcome, notes) = self
            .retrying(async || {
                let admin = self.log_in_as_admin().await?;
                let result = self.set_by_admin(event, gated, &admin).await;
                admin.session.end().await;
                result
            })
            .await?;
        report.notes.extend(notes);
        Ok(outcome)
    }

    async fn set_by_admin(
        &self,
        event: &RotationEvent,
        gated: &Gated,
        admin: &Admin<D::Session>,
    ) -> Result<(&'static str, Vec<String>), FunctionError> {
        let (session, base) = (&admin.session, gated.base.as_str());
        ownership::refuse_second_admin(&event.secret, base, &admin.username)?;
        session.take_lock(base).await?;
        // Under the lock, because what was read before it another run may have changed.
        let current = self.read_current(&event.secret, base).await?;
        if current.id == event.token {
            return Ok(("already current", Vec::new()));
        }
        let pending = self.read_pending(event, gated, &current).await?;
        let clone = clone_of(base);
        let mut found = session.roles(&[base, &clone]).await?;
        // Ours, or nothing is done: the admin login can reach any role that it holds ADMIN OPTION on.
        let mark = ownership::mark_of_base(self.config, base, found.get(base))?;
        let Some(base_role) = found.remove(base) else {
            return Err(FunctionError::BadEvent(format!("role {base:?} does not exist: apply the deployment")));
        };
        // Before anything is touched: no password would let the role in whose turn it may be, and what keeps the base out
        // would be mirrored onto a clone that AWSCURRENT may name.
        if let Some(role) = [Some(&base_role), found.get(&clone)].into_iter().flatten().find(|role| role.uses_iam) {
            return Err(FunctionError::UsesIam { quoted: identifier(&role.name) });
        }
        if let Some(why) = told(&barred(&base_role)) {
            return Err(FunctionError::NotLetIn { quoted: identifier(base), why, login: base.to_owned() });
        }
        let (mut notes, mut outcome) = (Vec::new(), PASSWORD_SET);
        if let Some(sqlstate) = self.guard(&current).await? {
            let role = if current.value.username == base { Some(&base_role) } else { found.get(&clone) };
            let why = obstacles(role.map(|role| &role.facts), &sqlstate);
            let refusal = told(&why).unwrap_or_else(|| format!("SQLSTATE {sqlstate}"));
            // What is full is full after it.
            let stays = why.is_empty() || !why.iter().all(Obstacle::is_removable);
            if stays {
                notes.push(format!("AWSCURRENT did not log in ({refusal}), which a rotation does not mend"));
            } else {
                notes.push(format!(
                    "repaired: AWSCURRENT did not log in ({refusal}), and the role is this deployment's own"
                ));
                outcome = REPAIRED;
            }
        }
        let on_behalf = |error: DatabaseError| FunctionError::from(error).or_missing_grant(base, &admin.username);
        let clone_role = match found.remove(&clone) {
            Some(role) => {
                ownership::check_mark(&role, &mark, Some(&admin.username))?;
                role
            }
            None => {
                session.create_clone(&clone, base, &mark).await.map_err(on_behalf)?;
                notes.push(format!("made role {}", identifier(&clone)));
                let made: Option<Role> = session.roles(&[&clone]).await?.remove(&clone);
                made.ok_or_else(|| {
                    FunctionError::BadEvent(format!("role {clone:?} was dropped while it was being made"))
                })?
            }
        };
        notes.extend(session.mirror(&base_role, &clone_role).await.map_err(on_behalf)?);
        // Last, so that a pending version that logs in has everything else too.
        let server = session.server().await?;
        let verifier = Verifier::of(&pending.value.password, server.iterations)?;
        let on_role = |error: DatabaseError| {
            FunctionError::from(error)
                .or_passwords_restricted(server, &admin.username)
                .or_missing_grant(&pending.value.username, &admin.username)
        };
        session.set_password(&pending.value.username, verifier).await.map_err(on_role)?;
        Ok((outcome, notes))
    }

    /// Whether AWSCURRENT logs in; otherwise the SQLSTATE of the server's refusal.
    ///
    /// AWS's function goes no further without this: the holder of a secret must own the account that it
    /// names. Ours may, since tag and role comment have proven the same; it says so.
    async fn guard(&self, current: &Version) -> Result<Option<String>, FunctionError> {
        match self.log_in(&current.value, None).await {
            Ok(session) => {
                session.end().await;
                Ok(None)
            }
            Err(error) if error.sqlstate().is_some() && !error.is_passing() => Ok(error.sqlstate().map(str::to_owned)),
            Err(error) => Err(error.into()),
        }
    }
}
