//! Inspection: what is true of a login and of every labelled version of its secret. Nothing is changed.

use crate::context::Context;
use crate::database::{APPLICATION_NAME, Database, DatabaseError, Session, column};
use crate::dependents::{Dependent, Dependents};
use crate::error::FunctionError;
use crate::ownership;
use crate::roles::{self, Role};
use crate::secret::SecretValue;
use crate::store::{SecretInfo, SecretStore, Which, label};
use function_contract::{
    Fact, InspectLogin, InspectionReport, InspectionRequest, LoginAttempt, LoginFacts, Owned, RoleFacts, VersionFacts,
    clone_of,
};
use std::collections::BTreeMap;
use tokio_postgres::types::{ToSql, Type};

/// A session to read the catalogue in, opened at most once, or why there is none.
enum CatalogueSession<T> {
    NotTried,
    Open(T),
    None(String),
}

impl<S: SecretStore, D: Database<Session: Session>> Context<'_, S, D> {
    /// Looks at every login of the request, in its order.
    ///
    /// A secret that cannot be described, or is not ours, fails the whole request: an empty list of versions
    /// would read as "it has none".
    pub async fn inspect(&self, request: &InspectionRequest) -> Result<InspectionReport, FunctionError> {
        let mut logins = Vec::with_capacity(request.logins.len());
        let mut admin = CatalogueSession::NotTried;
        for login in &request.logins {
            match self.inspect_login(login, &mut admin).await {
                Ok(facts) => logins.push(facts),
                Err(error) => {
                    close(admin).await;
                    return Err(error);
                }
            }
        }
        close(admin).await;
        Ok(InspectionReport { logins })
    }

    async fn inspect_login(
        &self,
        request: &InspectLogin,
        admin: &mut CatalogueSession<D::Session>,
    ) -> Result<LoginFacts, FunctionError> {
        ownership::refuse_reserved(&request.login)?;
        let info = self.store.describe(&request.secret_arn).await?;
        let login = ownership::login_of(self.config, &info)?;
        if login != request.login {
            let because = format!("it is for login {login:?}, not {:?}", request.login);
            return Err(FunctionError::refused(&request.secret_arn, because));
        }
        // The first session that opens is kept to read the catalogue in: AWSCURRENT's own, usually.
        let mut own: Option<D::Session> = None;
        let mut versions = Vec::new();
        for (version, labels) in in_order(&info) {
            let (facts, session) = self.try_version(request, version, labels).await?;
            versions.extend(facts);
            match session {
                Some(session) if own.is_none() => own = Some(session),
                Some(session) => session.close().await,
                None => {}
            }
        }
        let names = [login.as_str(), &clone_of(&login)];
        let found = match &own {
            Some(session) => roles::read(session, &names).await.map_err(|error| error.to_string()),
            None => self.read_as_admin(admin, &names).await,
        };
        let clone_owns = match (&own, &*admin) {
            (Some(session), _) | (None, CatalogueSession::Open(session)) => {
                self.owned_by(session, names[1], &found).await
            }
            (None, _) => Fact::Unknown("nobody got in to look".to_owned()),
        };
        let sessions = match (&own, &*admin) {
            (Some(session), _) | (None, CatalogueSession::Open(session)) => sessions_of(session, &names).await,
            (None, _) => Fact::Unknown("nobody got in to look".to_owned()),
        };
        if let Some(session) = own {
            session.close().await;
        }
        let fact = |name: &str| match &found {
            Ok(roles) => Fact::Known(roles.get(name).map(|role: &Role| -> RoleFacts { role.facts.clone() })),
            Err(why) => Fact::Unknown(why.clone()),
        };
        let [role, clone] = names.map(fact);
        Ok(LoginFacts { login, role, clone, clone_owns, sessions, versions })
    }

    /// What the clone owns, where there is one.
    async fn owned_by(
        &self,
        session: &D::Session,
        clone: &str,
        found: &Result<BTreeMap<String, Role>, String>,
    ) -> Fact<Vec<Owned>> {
        if !found.as_ref().is_ok_and(|roles| roles.contains_key(clone)) {
            return Fact::Known(Vec::new());
        }
        let owned = |each: Dependent| Owned { database: each.database, objects: each.owned };
        match Dependents::of(session, &[clone]).await {
            Ok(found) => Fact::Known(found.owned().0.into_iter().map(owned).collect()),
            Err(error) => Fact::Unknown(error.to_string()),
        }
    }

    /// Logs in with one version. No facts where it holds no value and is not AWSPENDING; the contract lists
    /// versions that hold one, and a value-less AWSPENDING is what a stuck rotation looks like.
    async fn try_version(
        &self,
        request: &InspectLogin,
        version: &str,
        labels: Vec<String>,
    ) -> Result<(Option<VersionFacts>, Option<D::Session>), FunctionError> {
        let mut facts = VersionFacts {
            version: version.to_owned(),
            labels,
            username: None,
            missing_keys: Vec::new(),
            host: None,
            database: None,
            instance: None,
            cluster: None,
            alternating: false,
            login: LoginAttempt::NoValue,
        };
        let Some(stored) = self.store.get(&request.secret_arn, Which::Version(version)).await? else {
            let pending = facts.labels.iter().any(|name| name == label::PENDING);
            return Ok((pending.then_some(facts), None));
        };
        let Ok(value) = SecretValue::parse(stored.text) else { return Ok((Some(facts), None)) };
        facts.username = Some(value.username.clone());
        facts.missing_keys = value.missing.iter().map(|key| (*key).to_owned()).collect();
        facts.host = Some(value.address());
        facts.database = Some(value.database.clone());
        facts.instance.clone_from(&value.instance);
        facts.cluster.clone_from(&value.cluster);
        facts.alternating = value.master_arn.is_some();
        if let Err(error) = ownership::check_value(self.config, &request.secret_arn, &request.login, &value) {
            facts.login = LoginAttempt::Unreachable { message: error.to_string() };
            return Ok((Some(facts), None));
        }
        let session = match self.retrying(async || Ok(self.log_in(&value, None).await?)).await {
            Ok(session) => {
                facts.login = LoginAttempt::Succeeded;
                Some(session)
            }
            Err(FunctionError::Database(DatabaseError::Refused { sqlstate, message, .. })) => {
                facts.login = LoginAttempt::Refused { sqlstate, message };
                None
            }
            Err(error) => {
                facts.login = LoginAttempt::Unreachable { message: error.to_string() };
                None
            }
        };
        Ok((Some(facts), session))
    }

    async fn read_as_admin(
        &self,
        admin: &mut CatalogueSession<D::Session>,
        names: &[&str],
    ) -> Result<BTreeMap<String, Role>, String> {
        if matches!(admin, CatalogueSession::NotTried) {
            *admin = match self.log_in_as_admin().await {
                Ok(admin) => CatalogueSession::Open(admin.session),
                Err(error) => {
                    CatalogueSession::None(format!("neither this login nor the admin login gets in: {error}"))
                }
            };
        }
        match admin {
            CatalogueSession::Open(session) => roles::read(session, names).await.map_err(|error| error.to_string()),
            CatalogueSession::None(why) => Err(why.clone()),
            CatalogueSession::NotTried => Err("nobody has tried to log in".to_owned()),
        }
    }
}

/// Open sessions by role, without those of our functions. Who is logged in, and what their program calls itself, every role
/// may read (postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW: other columns are
/// null to others).
async fn sessions_of(session: &impl Session, names: &[&str]) -> Fact<BTreeMap<String, i64>> {
    const SQL: &str = "SELECT usename::text, count(*)::int8 FROM pg_stat_activity \
         WHERE usename::text = ANY($1) AND application_name IS DISTINCT FROM $2 GROUP BY 1";
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&names, Type::TEXT_ARRAY), (&APPLICATION_NAME, Type::TEXT)];
    let read = async {
        let rows = session.query("a look at sessions", SQL, &parameters).await?;
        rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect::<Result<_, DatabaseError>>()
    };
    read.await.map_or_else(|error| Fact::Unknown(error.to_string()), Fact::Known)
}

async fn close<T: Session>(session: CatalogueSession<T>) {
    if let CatalogueSession::Open(session) = session {
        session.close().await;
    }
}

/// Labelled versions by their foremost label, AWS's first; labels likewise.
fn in_order(info: &SecretInfo) -> Vec<(&str, Vec<String>)> {
    let rank = |name: &String| {
        let known = [label::CURRENT, label::PENDING, label::PREVIOUS];
        (known.iter().position(|known| known == name).unwrap_or(known.len()), name.clone())
    };
    let mut versions: Vec<(&str, Vec<String>)> = info
        .versions
        .iter()
        .map(|(version, labels)| {
            let mut labels: Vec<String> = labels.iter().cloned().collect();
            labels.sort_by_key(rank);
            (version.as_str(), labels)
        })
        .collect();
    versions.sort_by_key(|(_, labels)| labels.first().map(rank));
    versions
}
