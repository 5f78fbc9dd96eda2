//! `login`: a PostgreSQL role that logs in, and the agreement between it and its secret. Made by the
//! provisioning function and seen by the inspection function, both inside the VPC; the CLI has no way to
//! the database and never sees a password.

use crate::command::FILE;
use super::database::{Database, Server, Servers};
use super::functions::{FunctionNames, invoke};
use super::secret::{Secret, SecretArn};
use super::stack::{self, Stack};
use super::{Live, LiveError};
use crate::aws::{Aws, Look, SecretLook};
use crate::config::OnRemove;
use crate::drift::DriftCode;
use crate::execute::{Applied, Pressed};
use crate::model::{Address, Facts, digest, Kind, Mark, Owner, Ref, Seen, Shown, Val};
use crate::resource::{Diff, Known, NotProduced, Refusal, Resource, Risk, Settled, Step, Verb};
use function_contract::{
    DatabaseId, Duty, EnsureLogin, Fact, InspectLogin, InspectionReport, InspectionRequest, LoginAttempt, LoginFacts, Owned, Provisioned,
    ProvisioningRequest, RoleAttributes, RoleComment, RoleFacts, Server as ContractServer, Strategy,
    Obstacle, clone_of, told,
};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;

mod adoption;
mod lacks;
use adoption::adopts;
use lacks::lacks;

#[derive(Debug, Clone)]
pub struct Login;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub login: String,
    pub duty: Duty,
    pub strategy: Strategy,
    pub database: String,
    pub attributes: RoleAttributes,
    /// Whether a role that nobody has marked may be taken over.
    pub adopt: bool,
    /// What becomes of its roles once it is no longer declared.
    pub on_remove: OnRemove,
    pub secret: Ref<Secret>,
    pub secret_name: String,
    /// The instance, or the cluster.
    pub instance: Ref<Database>,
    pub database_id: DatabaseId,
    pub stack: Ref<Stack>,
    pub functions: FunctionNames,
    /// The admin login; None for the admin itself.
    pub admin: Option<(Ref<Login>, String)>,
    /// Whether the instance outlives the login: then its roles are disabled when it is removed.
    pub instance_stays: bool,
    /// Rules and endpoints without which the functions reach neither database nor Secrets Manager.
    pub path: Vec<Address>,
}

impl Desired {
    pub(super) fn secret_mark(&self) -> Mark {
        Mark::new(self.mark.deployment.clone(), self.secret.address().clone())
    }

    /// The mark that its role's comment begins with.
    pub fn comment(&self) -> RoleComment {
        RoleComment { deployment: self.mark.deployment.clone(), address: self.mark.address.to_string() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub role: RoleFacts,
    /// Whether there is a clone that may log in.
    pub clone_can_login: bool,
    /// Whether there is a clone of ours that may not: what AWSPREVIOUS or AWSCURRENT holds of it is dead.
    pub clone_kept_out: bool,
    /// Sessions open as the role or its clone, but for our functions' own, by role.
    pub sessions: Fact<BTreeMap<String, i64>>,
    /// What came of logging in with AWSCURRENT; None where no version carries it.
    pub current: Option<LoginAttempt>,
    /// What the clone owns, though it works as its base.
    pub clone_owns: Vec<Owned>,
    /// Why AWSCURRENT was refused, as the catalogue explains it.
    pub current_kept_out: Vec<Obstacle>,
    /// Why AWSPREVIOUS was refused where, the other of two users, it should log in too, and can be made to.
    pub previous_refused: Option<String>,
    /// The user name that AWSCURRENT holds.
    pub current_user: Option<String>,
    pub missing_keys: Vec<String>,
    /// What else AWSCURRENT says; None where none was read.
    pub says: Option<Says>,
}

/// What a secret's value says beside user name and password.
#[derive(Debug, Clone, PartialEq)]
pub struct Says {
    /// `host:port`
    pub host: Option<String>,
    pub database: Option<String>,
    pub instance: Option<String>,
    pub cluster: Option<String>,
    pub strategy: Strategy,
}

#[derive(Debug, Clone)]
pub enum Change {
    Ensure { server: Val<Server>, secret: Val<SecretArn> },
    /// Takes LOGIN from the role and its clone; nothing is dropped.
    Disable,
    /// Drops the role and its clone, where nothing depends on them.
    Drop,
}

impl Login {
    pub fn at(login: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: login.to_owned() })
    }
}

/// Inspection logs in with what secrets hold.
const NO_SECRET: &str = "its secret does not exist yet";

impl Resource for Login {
    const KIND: Kind = Kind("login");
    /// The admin that may no longer log in can no longer look either.
    const REMOVED_UNSEEN: bool = true;
    const WITHOUT_GROUND: Option<&'static str> = Some(NO_SECRET);
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
        if let Seen::Present(live) = live
            && want.strategy == Strategy::AlternatingUsers
            && !live.clone_owns.is_empty()
        {
            cx.note(owned_by_clone(&want.login, &live.clone_owns));
        }
        let mut moves = false;
        let (verb, why, drift) = match live {
            Seen::Absent => (Verb::Create, None, DriftCode::Missing.into()),
            Seen::Unobservable(why) => {
                let drift = DriftCode::Unobservable.found(format!("it cannot be looked at: {why}"));
                (Verb::Ensure, Some(why), drift)
            }
            Seen::Present(live) => {
                let servers = match cx.output::<Servers>(&want.instance) {
                    Val::Known(servers) => Some(servers),
                    Val::After(_) => None,
                };
                // Once the functions are told of another server they look at no other, and what they see there of the login
                // (nothing, or a secret that they may not follow) is none of what was seen before. Provisioning looks for
                // itself, under the login's lock, and refuses what is not ours.
                let is_told = |host: &String| servers.as_ref().is_some_and(|servers| servers.has(host));
                let host = live.says.as_ref().and_then(|says| says.host.as_ref());
                moves = !cx.is_settled(want.stack.address()) && !host.is_none_or(is_told);
                match lacks(want, live, servers.as_ref())? {
                    None => {
                        if let Some(why) = &live.previous_refused {
                            cx.drift(
                                DriftCode::PreviousRefused
                                    .found(format!("AWSPREVIOUS does not log in any more: {why}")),
                                format!("pgrotate recover {FILE} {}", want.login),
                            );
                        }
                        return Ok(Vec::new());
                    }
                    Some(drift) => {
                        let verb = if adopts(want, live) { Verb::Adopt } else { Verb::Update };
                        (verb, Some(drift.what().to_owned()), drift)
                    }
                }
            }
        };
        cx.after(want.stack.address());
        if let Some((admin, _)) = &want.admin {
            cx.after(admin.address());
        }
        for address in &want.path {
            cx.after(address);
        }
        let server = cx.output(&want.instance);
        let server_shown = server.shown();
        let change = Change::Ensure { server, secret: cx.output(&want.secret) };
        let step = cx
            .step("ensure", verb, drift, change)
            .sight_moves(moves)
            .set("role", Shown::text(&want.login))
            .set("strategy", Shown::text(want.strategy.as_str()))
            .set("database", Shown::text(&want.database))
            .set("member_of", Shown::list(&want.attributes.member_of))
            .set("settings", Shown::list(want.attributes.settings.iter().map(|(name, value)| format!("{name} = {value}"))))
            .set("connection_limit", want.attributes.connection_limit.map_or(Shown::Unset, Shown::text))
            .set("valid_until", want.attributes.valid_until.as_ref().map_or(Shown::Unset, Shown::text))
            .set("server", server_shown)
            .set("password", Shown::Withheld);
        Ok(vec![match why {
            Some(why) => step.because(why),
            None => step,
        }])
    }

    /// Roles go with their instance. Where it stays they may own what others need: they are kept, and may no
    /// longer log in.
    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        if !want.instance_stays {
            return Ok(Vec::new());
        }
        match live {
            Seen::Absent => return Ok(Vec::new()),
            Seen::Present(live) if !want.comment().marks(live.role.comment.as_deref()) => {
                cx.note("the role is not this deployment's and stays as it is");
                return Ok(Vec::new());
            }
            Seen::Present(live)
                if want.on_remove == OnRemove::Keep && !live.role.can_login && !live.clone_can_login =>
            {
                return Ok(Vec::new());
            }
            // Taking LOGIN away twice does no harm, nor does dropping what is gone.
            Seen::Present(_) | Seen::Unobservable(_) => {}
        }
        cx.after(want.stack.address());
        let drift = DriftCode::NoLongerDeclared.found("it is no longer declared, and may log in");
        let in_use = live.present().and_then(|live| open(&live.sessions));
        let step = match want.on_remove {
            OnRemove::Keep => cx
                .step("disable", Verb::Delete, drift, Change::Disable)
                .risk(Risk::Interrupts)
                .because("no longer declared")
                .attribute("log_in", Shown::text("allowed"), Shown::text("NOLOGIN, its clone too"))
                .leaves(format!(
                    "the role `{0}` and its clone, which may own objects: DROP ROLE when nobody needs them",
                    want.login
                )),
            OnRemove::Drop => cx
                .step("drop", Verb::Delete, drift, Change::Drop)
                .risk(Risk::Irreversible)
                .because("no longer declared, and on_remove = \"drop\"; refused while anything depends on its roles")
                .attribute("roles", Shown::text(format!("{}, and its clone", want.login)), Shown::text("dropped")),
        };
        Ok(vec![step.in_use(in_use)])
    }

    fn settled(want: &Desired, live: &Observed) -> Settled<()> {
        match lacks(want, live, None) {
            Ok(None) => Settled::Yes(()),
            Ok(Some(drift)) => Settled::NotYet { saying: drift.what().to_owned() },
            Err(refusal) => Settled::Never { because: refusal.cause },
        }
    }

    fn facts(live: &Observed) -> Facts {
        let Observed {
            role,
            // A rotation in between makes the other of the two users current, and mends its clone.
            clone_can_login: _,
            clone_kept_out: _,
            clone_owns: _,
            previous_refused: _,
            current_user: _,
            // Applications come and go.
            sessions: _,
            current,
            current_kept_out,
            missing_keys,
            says,
        } = live;
        let RoleFacts {
            comment,
            can_login,
            create_role,
            superuser,
            connection_limit,
            valid_until,
            expired,
            member_of,
            administered_by,
            settings,
        } = role;
        let attempt = current.as_ref().map(|attempt| match attempt {
            LoginAttempt::Succeeded => "logs in".to_owned(),
            LoginAttempt::Refused { sqlstate, .. } => format!("refused ({sqlstate})"),
            LoginAttempt::Unreachable { .. } => "unreachable".to_owned(),
            LoginAttempt::NoValue => "holds no usable value".to_owned(),
        });
        let facts = Facts::default()
            .maybe("comment", comment.as_ref())
            .with("LOGIN", can_login)
            .with("CREATEROLE", create_role)
            .with("SUPERUSER", superuser)
            .with("CONNECTION LIMIT", connection_limit)
            .maybe("VALID UNTIL", valid_until.as_ref())
            .with("expired", expired)
            .list("member of", member_of)
            .list("administered by", administered_by)
            // People keep keys in settings of their own; what is declared is shown by the plan.
            .list("settings", settings.iter().map(|(name, value)| format!("{name}={}", digest(value.as_bytes()))))
            .maybe("AWSCURRENT", attempt)
            .maybe("kept out by", told(current_kept_out))
            .list("keys missing in AWSCURRENT", missing_keys);
        let Some(Says { host, database, instance, cluster, strategy }) = says else { return facts };
        facts
            .maybe("host in AWSCURRENT", host.as_ref())
            .maybe("database in AWSCURRENT", database.as_ref())
            .maybe("instance in AWSCURRENT", instance.as_ref())
            .maybe("cluster in AWSCURRENT", cluster.as_ref())
            .with("strategy in AWSCURRENT", strategy.as_str())
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        let (instance, cluster) = match want.database_id.clone() {
            DatabaseId::Instance(name) => (Some(name), None),
            DatabaseId::Cluster(name) => (None, Some(name)),
        };
        Ok(Observed {
            role: RoleFacts {
                comment: Some(want.comment().text()),
                can_login: true,
                create_role: want.duty == Duty::Admin,
                superuser: false,
                connection_limit: want.attributes.connection_limit.unwrap_or(-1),
                valid_until: want.attributes.valid_until.clone(),
                expired: false,
                member_of: want.attributes.member_of.iter().cloned().collect(),
                administered_by: want.admin.iter().map(|(_, name)| name.clone()).collect(),
                settings: want.attributes.settings.clone(),
            },
            clone_can_login: want.strategy == Strategy::AlternatingUsers,
            clone_kept_out: false,
            current: Some(LoginAttempt::Succeeded),
            clone_owns: Vec::new(),
            sessions: Fact::Known(BTreeMap::new()),
            current_kept_out: Vec::new(),
            previous_refused: None,
            current_user: Some(want.login.clone()),
            missing_keys: Vec::new(),
            says: Some(Says {
                host: Some(known.output::<Server>(&want.instance)?.to_string()),
                database: Some(want.database.clone()),
                instance,
                cluster,
                strategy: want.strategy,
            }),
        })
    }
}

/// `open sessions: 2 as app, 1 as app_clone`; None where nobody is logged in. Where nobody could look, somebody may be.
fn open(sessions: &Fact<BTreeMap<String, i64>>) -> Option<String> {
    let sessions = match sessions {
        Fact::Known(sessions) => sessions,
        Fact::Unknown(why) => return Some(format!("nobody could see which sessions are open: {why}")),
    };
    let each: Vec<_> = sessions.iter().map(|(role, count)| format!("{count} as {role}")).collect();
    (!each.is_empty()).then(|| format!("open sessions: {}", each.join(", ")))
}

/// A clone that AWS's function made, or one that a pool's reset has made itself again, owns what it makes. Whose that
/// should be, only a person can say.
fn owned_by_clone(login: &str, owned: &[Owned]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (base, clone) = (quoted(login), quoted(&clone_of(login)));
    let places = owned.iter().map(|each| match &each.database {
        Some(database) => format!("{} in database {}", each.objects, quoted(database)),
        None => format!("{} that all databases share", each.objects),
    });
    format!(
        "its clone owns objects that the login itself cannot change: {}. To hand them over, in each database: REASSIGN \
         OWNED BY {clone} TO {base}",
        places.collect::<Vec<_>>().join(", ")
    )
}

impl Live for Login {
    /// Provisioning is one invocation, bounded by the function's own timeout; a cold start in a fresh VPC
    /// attachment adds a minute or two.
    const PATIENCE: Duration = Duration::from_secs(10 * 60);
    const PRESSED: Pressed = Pressed::Functions;

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen: Vec<Option<Seen<Observed>>> = vec![None; wants.len()];
        // All at once; below each is there already.
        futures_util::future::try_join_all(wants.iter().map(|want| look.secret(&want.secret_name))).await?;
        let mut asked = Vec::new();
        for (at, want) in wants.iter().enumerate() {
            // No instance: certainly no role in it. No secret: whether a role exists cannot be told, since
            // inspection logs in with what secrets hold.
            let is_there = match &want.database_id {
                DatabaseId::Instance(name) => look.instance(name).await?.is_some(),
                DatabaseId::Cluster(name) => look.cluster(name).await?.is_some(),
            };
            if !is_there {
                seen[at] = Some(Seen::Absent);
            } else {
                match secret_of(look, want).await? {
                    Err(why) => seen[at] = Some(Seen::Unobservable(why)),
                    Ok(secret) => {
                        asked.push((at, InspectLogin { login: want.login.clone(), secret_arn: secret.arn }));
                    }
                }
            }
        }
        if let Some(&(first, _)) = asked.first() {
            // Only what we made is told of our secrets, and believed.
            if let Some(why) = stranger(look, wants[first]).await? {
                for (at, _) in asked {
                    seen[at] = Some(Seen::Unobservable(why.clone()));
                }
            } else {
                let inspections = asked.chunks(TOGETHER).map(|some| inspect(look.aws, wants, some));
                let mut inspections = futures_util::stream::iter(inspections).buffered(INSPECTIONS);
                while let Some(found) = inspections.next().await {
                    for (at, found) in found? {
                        seen[at] = Some(found);
                    }
                }
            }
        }
        let missing = || Seen::Unobservable("the inspection function did not report on it".to_owned());
        Ok(seen.into_iter().map(|seen| seen.unwrap_or_else(missing)).collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        let (login, address) = (want.login.clone(), want.mark.address.to_string());
        let (server, secret) = match change {
            Change::Ensure { server, secret } => (server, secret),
            Change::Disable => {
                return provision(aws, want, &ProvisioningRequest::DisableLogin { login, address }).await;
            }
            Change::Drop => return provision(aws, want, &ProvisioningRequest::DropLogin { login, address }).await,
        };
        let server = known.get(server)?;
        let request = ProvisioningRequest::EnsureLogin(EnsureLogin {
            login: want.login.clone(),
            address: want.mark.address.to_string(),
            duty: want.duty,
            strategy: want.strategy,
            secret_arn: known.get(secret)?.0,
            database: want.database.clone(),
            attributes: want.attributes.clone(),
            adopt: want.adopt,
            server: ContractServer {
                host: server.host,
                port: server.port,
                id: want.database_id.clone(),
            },
        });
        provision(aws, want, &request).await
    }
}

/// Logins in one inspection. Each takes some two attempts to log in, a tenth of a second with the share of a
/// processor that Lambda gives with our memory: far from the function's minute.
const TOGETHER: usize = 50;
/// Inspections at once: they share Lambda's concurrency, and the instance's connections, with rotations.
const INSPECTIONS: usize = 4;

/// Asks the inspection function about some of `wants`, each by its place there.
async fn inspect(
    aws: &Aws,
    wants: &[&Desired],
    some: &[(usize, InspectLogin)],
) -> Result<Vec<(usize, Seen<Observed>)>, LiveError> {
    let function = &wants[some[0].0].functions.inspection;
    let request = InspectionRequest { logins: some.iter().map(|(_, login)| login.clone()).collect() };
    let why = match invoke::<_, InspectionReport>(aws, function, &request).await {
        Ok(Some(report)) => {
            let found = some.iter().zip(report.logins).map(|((at, _), facts)| (*at, observed(wants[*at], &facts)));
            return Ok(found.collect());
        }
        Ok(None) => "the inspection function does not exist yet".to_owned(),
        // It ran and could not look: a fact about these logins, not a failure of the plan.
        Err(LiveError::Function(error)) => error.to_string(),
        Err(error) => return Err(error),
    };
    Ok(some.iter().map(|(at, _)| (*at, Seen::Unobservable(why.clone()))).collect())
}

/// Why the functions are not to be invoked; None where they are ours.
pub(super) async fn stranger(look: &Look<'_>, want: &Desired) -> Result<Option<String>, LiveError> {
    let stack = want.stack.address();
    let mark = Mark::new(want.mark.deployment.clone(), stack.clone());
    Ok(match stack::ownership(look, &stack.name, &mark).await? {
        Some(Owner::Us) => None,
        None => Some("the inspection function does not exist yet".to_owned()),
        Some(_) => Some(format!("the stack `{}` is not this deployment's, nor are its functions", stack.name)),
    })
}

async fn provision(aws: &Aws, want: &Desired, request: &ProvisioningRequest) -> Result<Applied, LiveError> {
    let answer: Result<Option<Provisioned>, LiveError> = invoke(aws, &want.functions.provisioning, request).await;
    match answer {
        Ok(Some(_)) => Ok(Applied::Accepted),
        Ok(None) => Ok(Applied::NotYet { saying: "the provisioning function is not visible yet".to_owned() }),
        // Another apply, or a rotation, is at the same login; the lock is theirs for a moment.
        Err(LiveError::Function(error)) if error.error_type == function_contract::error_type::BUSY => {
            Ok(Applied::NotYet { saying: error.message })
        }
        Err(error) => Err(error),
    }
}

/// The secret of a login that may be looked at; otherwise why not. What is not ours `secret` refuses; its value is none
/// of ours to try.
pub(super) async fn secret_of(look: &Look<'_>, want: &Desired) -> Result<Result<SecretLook, String>, LiveError> {
    Ok(match look.secret(&want.secret_name).await? {
        None => Err(NO_SECRET.to_owned()),
        Some(secret) if secret.deleted.is_some() => Err("its secret is pending deletion".to_owned()),
        Some(secret) if want.secret_mark().owner(&secret.tags) != Owner::Us => {
            Err("its secret is not this deployment's".to_owned())
        }
        Some(secret) => Ok(secret),
    })
}

fn observed(want: &Desired, facts: &LoginFacts) -> Seen<Observed> {
    let role = match &facts.role {
        Fact::Known(Some(role)) => role,
        Fact::Known(None) => return Seen::Absent,
        Fact::Unknown(why) => return Seen::Unobservable(why.clone()),
    };
    let current = facts.labelled("AWSCURRENT");
    let clone = match &facts.clone {
        Fact::Known(clone) => clone.as_ref(),
        Fact::Unknown(_) => None,
    };
    let clone_can_login = clone.is_some_and(|clone| clone.can_login);
    let clone_kept_out =
        clone.is_some_and(|clone| !clone.can_login && want.comment().marks(clone.comment.as_deref()));
    Seen::Present(Observed {
        clone_can_login,
        clone_kept_out,
        // A note is made of it; what could not be looked at makes none.
        clone_owns: match &facts.clone_owns {
            Fact::Known(owned) => owned.clone(),
            Fact::Unknown(_) => Vec::new(),
        },
        sessions: facts.sessions.clone(),
        current_kept_out: current.map(|version| facts.obstacles_of(version)).unwrap_or_default(),
        previous_refused: facts.previous_kept_out(want.strategy).and_then(|(_, found)| told(&found)),
        current_user: current.and_then(|version| version.username.clone()),
        missing_keys: current.map(|version| version.missing_keys.clone()).unwrap_or_default(),
        says: current.filter(|version| version.username.is_some()).map(|version| Says {
            host: version.host.clone(),
            database: version.database.clone(),
            instance: version.instance.clone(),
            cluster: version.cluster.clone(),
            strategy: if version.alternating { Strategy::AlternatingUsers } else { Strategy::SingleUser },
        }),
        current: current.map(|version| version.login.clone()),
        role: role.clone(),
    })
}
