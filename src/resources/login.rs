//! `login`: a PostgreSQL role that logs in, and the agreement between it and its secret. Made by the
//! provisioning function and seen by the inspection function, both inside the VPC; the CLI has no way to
//! the database and never sees a password.

use super::db_instance::{DbInstance, Server};
use super::functions::{FunctionNames, invoke};
use super::secret::{Secret, SecretArn};
use super::stack::Stack;
use super::{Live, LiveError};
use crate::aws::{Aws, Look};
use crate::execute::Applied;
use crate::model::{Address, Kind, Mark, Owner, Ref, Seen, Shown, Val};
use crate::resource::{Diff, Known, NotProduced, Refusal, Resource, Settled, Step, Verb};
use function_contract::{
    Duty, EnsureLogin, Fact, InspectLogin, InspectionReport, InspectionRequest, LoginAttempt, LoginFacts, Provisioned,
    ProvisioningRequest, RoleComment, RoleFacts, Server as ContractServer, Strategy,
};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Login;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub login: String,
    pub duty: Duty,
    pub strategy: Strategy,
    pub database: String,
    pub secret: Ref<Secret>,
    pub secret_name: String,
    pub instance: Ref<DbInstance>,
    pub instance_identifier: String,
    pub stack: Ref<Stack>,
    pub functions: FunctionNames,
    /// The admin login; None for the admin itself.
    pub admin: Option<(Ref<Login>, String)>,
    /// Rules and endpoints without which the functions reach neither database nor Secrets Manager.
    pub path: Vec<Address>,
}

impl Desired {
    fn secret_mark(&self) -> Mark {
        Mark { deployment: self.mark.deployment.clone(), address: self.secret.address().clone() }
    }

    fn comment(&self) -> RoleComment {
        RoleComment { deployment: self.mark.deployment.clone(), address: self.mark.address.to_string() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub role: RoleFacts,
    /// What came of logging in with AWSCURRENT; None where no version carries it.
    pub current: Option<LoginAttempt>,
    /// The user name that AWSCURRENT holds.
    pub current_user: Option<String>,
    pub missing_keys: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Change {
    Ensure { server: Val<Server>, secret: Val<SecretArn> },
}

impl Login {
    pub fn at(login: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: login.to_owned() })
    }
}

impl Resource for Login {
    const KIND: Kind = Kind("login");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = ();
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        let mut needs = vec![
            want.secret.address().clone(),
            want.instance.address().clone(),
            want.stack.address().clone(),
        ];
        needs.extend(want.admin.iter().map(|(admin, _)| admin.address().clone()));
        needs.extend(want.path.iter().cloned());
        needs
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let (verb, why) = match live {
            Seen::Absent => (Verb::Create, None),
            Seen::Unobservable(why) => (Verb::Ensure, Some(why)),
            Seen::Present(live) => match lacks(want, live)? {
                None => return Ok(Vec::new()),
                Some(why) => (Verb::Update, Some(why)),
            },
        };
        cx.after(want.stack.address());
        if let Some((admin, _)) = &want.admin {
            cx.after(admin.address());
        }
        for address in &want.path {
            cx.after(address);
        }
        let change = Change::Ensure { server: cx.output(&want.instance), secret: cx.output(&want.secret) };
        let Change::Ensure { server, .. } = &change;
        let server = server.shown();
        let step = cx
            .step("ensure", verb, change)
            .set("role", Shown::text(&want.login))
            .set("strategy", Shown::text(want.strategy.as_str()))
            .set("database", Shown::text(&want.database))
            .set("server", server)
            .set("password", Shown::Withheld);
        Ok(vec![match why {
            Some(why) => step.because(why),
            None => step,
        }])
    }

    /// Roles go with their instance. Where the instance stays, nothing of ours may be dropped in passing.
    fn remove(_cx: &mut Diff<'_>, _want: &Desired, _live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        Ok(Vec::new())
    }

    fn settled(want: &Desired, live: &Observed) -> Settled<()> {
        match lacks(want, live) {
            Ok(None) => Settled::Yes(()),
            Ok(Some(why)) => Settled::NotYet { saying: why },
            Err(refusal) => Settled::Never { because: refusal.cause },
        }
    }

    fn same(one: &Observed, other: &Observed) -> bool {
        // A rotation in between changes which of the two users is current.
        Observed { current_user: None, ..one.clone() } == Observed { current_user: None, ..other.clone() }
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            role: RoleFacts {
                comment: Some(want.comment().text()),
                can_login: true,
                create_role: want.duty == Duty::Admin,
                superuser: false,
                connection_limit: -1,
                valid_until: None,
                member_of: Vec::new(),
                administered_by: want.admin.iter().map(|(_, name)| name.clone()).collect(),
                settings: std::collections::BTreeMap::new(),
            },
            current: Some(LoginAttempt::Succeeded),
            current_user: Some(want.login.clone()),
            missing_keys: Vec::new(),
        })
    }
}

/// What is wrong with a login that was seen; None where it is as it should be.
fn lacks(want: &Desired, live: &Observed) -> Result<Option<String>, Refusal> {
    let (login, role) = (&want.login, &live.role);
    if !want.comment().marks(role.comment.as_deref()) {
        return Err(Refusal::new(
            format!("the role `{login}` exists and was not made by this deployment"),
            format!(
                "to hand it over: COMMENT ON ROLE \"{}\" IS '{}'; or declare another login",
                login.replace('"', "\"\""),
                want.comment().text().replace('\'', "''"),
            ),
        ));
    }
    if !role.can_login {
        return Ok(Some("the role may not log in (NOLOGIN)".to_owned()));
    }
    match want.duty {
        Duty::Admin if !role.create_role => return Ok(Some("the role lacks CREATEROLE".to_owned())),
        Duty::User => {
            if let Some((_, admin)) = &want.admin
                && want.strategy == Strategy::AlternatingUsers
                && !role.administered_by.contains(admin)
            {
                return Ok(Some(format!("`{admin}` has no ADMIN OPTION on the role")));
            }
        }
        Duty::Admin => {}
    }
    if !live.missing_keys.is_empty() {
        return Ok(Some(format!("AWSCURRENT lacks {}", live.missing_keys.join(", "))));
    }
    Ok(match &live.current {
        None => Some("its secret holds no value yet".to_owned()),
        Some(LoginAttempt::Succeeded) => None,
        Some(LoginAttempt::Refused { sqlstate, message }) => {
            Some(format!("AWSCURRENT does not log in: {message} ({sqlstate})"))
        }
        Some(LoginAttempt::Unreachable { message }) => Some(format!("the database cannot be reached: {message}")),
        Some(LoginAttempt::NoValue) => Some("AWSCURRENT holds no usable value".to_owned()),
    })
}

impl Live for Login {
    /// Provisioning is one invocation, bounded by the function's own timeout; a cold start in a fresh VPC
    /// attachment adds a minute or two.
    const PATIENCE: Duration = Duration::from_secs(10 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen: Vec<Option<Seen<Observed>>> = vec![None; wants.len()];
        let (mut asked, mut request) = (Vec::new(), Vec::new());
        for (at, want) in wants.iter().enumerate() {
            // No instance: certainly no role in it. No secret: whether a role exists cannot be told, since
            // inspection logs in with what secrets hold.
            if look.instance(&want.instance_identifier).await?.is_none() {
                seen[at] = Some(Seen::Absent);
            } else {
                match look.secret(&want.secret_name).await? {
                    None => seen[at] = Some(Seen::Unobservable("its secret does not exist yet".to_owned())),
                    Some(secret) if secret.deleted.is_some() => {
                        seen[at] = Some(Seen::Unobservable("its secret is pending deletion".to_owned()));
                    }
                    // `secret` refuses it; its value is none of ours to try.
                    Some(secret) if want.secret_mark().owner(&secret.tags) != Owner::Us => {
                        seen[at] = Some(Seen::Unobservable("its secret is not this deployment's".to_owned()));
                    }
                    Some(secret) => {
                        request.push(InspectLogin { login: want.login.clone(), secret_arn: secret.arn });
                        asked.push(at);
                    }
                }
            }
        }
        if let Some(&first) = asked.first() {
            let function = &wants[first].functions.inspection;
            let answer: Result<Option<InspectionReport>, LiveError> =
                invoke(look.aws, function, &InspectionRequest { logins: request }).await;
            let unobservable = |why: String| Some(Seen::Unobservable(why));
            match answer {
                Ok(Some(report)) => {
                    for (at, facts) in asked.into_iter().zip(report.logins) {
                        seen[at] = Some(observed(facts));
                    }
                }
                Ok(None) => {
                    for at in asked {
                        seen[at] = unobservable("the inspection function does not exist yet".to_owned());
                    }
                }
                // It ran and could not look: a fact about this login, not a failure of the plan.
                Err(LiveError::Function(error)) => {
                    for at in asked {
                        seen[at] = unobservable(error.to_string());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let missing = || Seen::Unobservable("the inspection function did not report on it".to_owned());
        Ok(seen.into_iter().map(|seen| seen.unwrap_or_else(missing)).collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        let Change::Ensure { server, secret } = change;
        let server = known.get(server)?;
        let request = ProvisioningRequest::EnsureLogin(EnsureLogin {
            login: want.login.clone(),
            address: want.mark.address.to_string(),
            duty: want.duty,
            strategy: want.strategy,
            secret_arn: known.get(secret)?.0,
            database: want.database.clone(),
            server: ContractServer {
                host: server.host,
                port: server.port,
                instance: want.instance_identifier.clone(),
            },
        });
        let answer: Result<Option<Provisioned>, LiveError> =
            invoke(aws, &want.functions.provisioning, &request).await;
        match answer {
            Ok(Some(_)) => Ok(Applied::Accepted),
            Ok(None) => Ok(Applied::NotYet { saying: "the provisioning function is not visible yet".to_owned() }),
            // Another apply is at the same login; the lock is theirs for a moment.
            Err(LiveError::Function(error)) if error.error_type == function_contract::error_type::BUSY => {
                Ok(Applied::NotYet { saying: error.message })
            }
            Err(error) => Err(error),
        }
    }
}

fn observed(facts: LoginFacts) -> Seen<Observed> {
    let role = match facts.role {
        Fact::Known(Some(role)) => role,
        Fact::Known(None) => return Seen::Absent,
        Fact::Unknown(why) => return Seen::Unobservable(why),
    };
    let current = facts.versions.into_iter().find(|version| version.labels.iter().any(|label| label == "AWSCURRENT"));
    Seen::Present(Observed {
        role,
        current_user: current.as_ref().and_then(|version| version.username.clone()),
        missing_keys: current.as_ref().map(|version| version.missing_keys.clone()).unwrap_or_default(),
        current: current.map(|version| version.login),
    })
}
