//! `db_instance`: the PostgreSQL instance. Settled means available, with an address, and the master's
//! secret active.

pub use super::postgres_version::Version;

use super::db_subnet_group::{DbSubnetGroup, add_tags, rds_tags, read_tags};
use super::security_group::{GroupId, SecurityGroup, named};
use super::{Live, LiveError, missing_tags};
use crate::aws::{Aws, InstanceLook, Look, absent, call};
use crate::code::Code;
use crate::execute::Applied;
use crate::model::{Address, Kind, Mark, Owner, Ref, Seen, Shown, Tags, Val};
use crate::resource::{AWAIT, 
    Diff, Known, NotProduced, made_up_id, OutputOf, Refusal, Resource, Risk, Settled, Step, Verb, require_ours, unobservable,
};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct DbInstance;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub identifier: String,
    pub version: Version,
    pub class: String,
    /// GiB.
    pub storage: u32,
    pub storage_type: String,
    pub subnet_group: Ref<DbSubnetGroup>,
    pub group: Ref<SecurityGroup>,
    pub public: bool,
    /// Days.
    pub backup: u32,
    pub port: u16,
    pub master: String,
    pub deletion_protection: bool,
    pub final_snapshot: bool,
    pub encrypted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub arn: String,
    /// `db-…`: unlike the identifier never used twice.
    pub resource_id: String,
    pub status: String,
    pub server: Option<Server>,
    pub version: Version,
    pub class: String,
    pub storage: u32,
    pub storage_type: String,
    pub subnet_group: String,
    pub groups: BTreeSet<GroupId>,
    pub public: bool,
    pub backup: u32,
    pub port: u16,
    pub master: String,
    pub deletion_protection: bool,
    pub encrypted: bool,
    pub copy_tags: bool,
    pub minor_upgrades: bool,
    pub master_secret: Option<(MasterSecretArn, String)>,
    /// RDS has taken changes that it has not made yet.
    pub pending: bool,
    pub tags: Tags,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create { group: Val<GroupId> },
    /// Waits for what somebody has begun.
    Await,
    Modify { group: Option<Val<GroupId>> },
    SetTags { arn: String },
    Unprotect,
    Delete { snapshot: Option<String> },
}

#[derive(Debug, Clone)]
pub struct Outputs {
    pub server: Server,
    pub master_secret: MasterSecretArn,
}

/// Where the instance listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv6 address holds colons; a name or an IPv4 address does not.
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// ARN of the secret in which RDS keeps the master user's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterSecretArn(pub String);

impl fmt::Display for MasterSecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OutputOf for Server {
    type By = DbInstance;
    fn of(outputs: &Outputs) -> Self {
        outputs.server.clone()
    }
}

impl OutputOf for MasterSecretArn {
    type By = DbInstance;
    fn of(outputs: &Outputs) -> Self {
        outputs.master_secret.clone()
    }
}

impl DbInstance {
    pub fn at(identifier: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: identifier.to_owned() })
    }
}

impl Resource for DbInstance {
    const KIND: Kind = Kind("db_instance");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = Outputs;
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        vec![want.subnet_group.address().clone(), want.group.address().clone()]
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => return Ok(vec![create(cx, want)]),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        require_ours(&want.mark, &live.tags, &format!("the DB instance `{}`", want.identifier))?;
        refuse_the_impossible(want, live)?;
        let mut steps = Vec::new();
        if !matches!(standing(live), Settled::Yes(_)) {
            // Also with a change to make: RDS takes none until the instance is available.
            steps.push(
                cx.step(AWAIT, Verb::Ensure, Change::Await).because(format!("the instance is {}", live.status)),
            );
        }
        steps.extend(modify(cx, want, live));
        let missing = missing_tags(&want.mark.tags(), &live.tags);
        if !missing.is_empty() {
            let change = Change::SetTags { arn: live.arn.clone() };
            steps.push(cx.step("set-tags", Verb::Update, change).set("tags", Shown::list(missing.keys())));
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => return Ok(Vec::new()),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) if want.mark.owner(&live.tags) != Owner::Us => {
                cx.note("it is not this deployment's and stays");
                return Ok(Vec::new());
            }
            Seen::Present(live) => live,
        };
        if want.deletion_protection {
            return Err(Refusal::new(
                Code::Protected,
                format!("the DB instance `{}` is declared with deletion protection", want.identifier),
                "set `deletion_protection = false` in [database], and destroy again",
            ));
        }
        // The resource id is in the name, so that the snapshot of a later instance of the same
        // identifier does not collide with it.
        let snapshot =
            want.final_snapshot.then(|| format!("{}-final-{}", want.identifier, live.resource_id.to_lowercase()));
        let mut steps = Vec::new();
        if live.deletion_protection {
            steps.push(cx.step("unprotect", Verb::Update, Change::Unprotect).attribute(
                "deletion_protection",
                Shown::text(true),
                Shown::text(false),
            ));
        }
        let shown = snapshot.as_ref().map_or(Shown::text("none: the data is lost"), Shown::text);
        let leaves = snapshot.as_ref().map(|name| {
            format!("the snapshot `{name}`, billed until deleted: aws rds delete-db-snapshot --db-snapshot-identifier {name}")
        });
        let mut step = cx
            .step("delete", Verb::Delete, Change::Delete { snapshot })
            .risk(Risk::Irreversible)
            .set("final_snapshot", shown);
        step.leaves = leaves;
        steps.push(step);
        Ok(steps)
    }

    fn settled(want: &Desired, live: &Observed) -> Settled<Outputs> {
        match standing(live) {
            // RDS says `available` for a moment before it begins with a change.
            Settled::Yes(_) if !differences(want, live).is_empty() => {
                Settled::NotYet { saying: format!("not yet changed: {}", differences(want, live).join(", ")) }
            }
            standing => standing,
        }
    }

    fn outputs(_want: &Desired, live: &Observed) -> Option<Outputs> {
        let (master_secret, _) = live.master_secret.clone()?;
        Some(Outputs { server: live.server.clone()?, master_secret })
    }

    fn leaving(_want: &Desired, live: &Observed) -> Settled<()> {
        Settled::NotYet { saying: format!("the instance is {}", live.status) }
    }

    fn same(one: &Observed, other: &Observed) -> bool {
        // Status and address come and go with maintenance; minor upgrades happen by themselves.
        let without_moods = |live: &Observed| Observed {
            status: String::new(),
            server: None,
            version: Version { minor: None, ..live.version },
            master_secret: None,
            pending: false,
            ..live.clone()
        };
        without_moods(one) == without_moods(other)
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:::{rest}");
        Ok(Observed {
            arn: arn("rds", &format!("db:{}", want.identifier)),
            resource_id: made_up_id("db", &want.mark.address).to_uppercase(),
            status: "available".to_owned(),
            server: Some(Server { host: format!("{}.example.rds.amazonaws.com", want.identifier), port: want.port }),
            version: Version { minor: want.version.minor.or(Some(1)), ..want.version },
            class: want.class.clone(),
            storage: want.storage,
            storage_type: want.storage_type.clone(),
            subnet_group: want.subnet_group.address().name.clone(),
            groups: BTreeSet::from([known.output::<GroupId>(&want.group)?]),
            public: want.public,
            backup: want.backup,
            port: want.port,
            master: want.master.clone(),
            deletion_protection: want.deletion_protection,
            encrypted: want.encrypted,
            copy_tags: true,
            minor_upgrades: true,
            master_secret: Some((MasterSecretArn(arn("secretsmanager", "secret:rds!db-master")), "active".to_owned())),
            pending: false,
            tags: want.mark.tags(),
        })
    }
}

fn create(cx: &mut Diff<'_>, want: &Desired) -> Step<Change> {
    cx.after(want.subnet_group.address());
    let group = cx.output(&want.group);
    let shown = group.shown();
    cx.step("create", Verb::Create, Change::Create { group })
        .set("identifier", Shown::text(&want.identifier))
        .set("engine", Shown::text(format!("postgres {}", want.version)))
        .set("class", Shown::text(&want.class))
        .set("storage", Shown::text(format!("{} GiB {}", want.storage, want.storage_type)))
        .set("subnet_group", Shown::text(&want.subnet_group.address().name))
        .set("group", shown)
        .set("public", Shown::text(want.public))
        .set("backup_days", Shown::text(want.backup))
        .set("encrypted", Shown::text(want.encrypted))
        .set("deletion_protection", Shown::text(want.deletion_protection))
        .set("master_password", Shown::Withheld)
}

fn refuse_the_impossible(want: &Desired, live: &Observed) -> Result<(), Refusal> {
    let what = &want.identifier;
    if live.version.major != want.version.major {
        return Err(Refusal::new(
            Code::CannotChange,
            format!("`{what}` runs PostgreSQL {}, the config wants {}", live.version, want.version),
            "upgrade the major version yourself, then declare it; pgrotate plans no major upgrade",
        ));
    }
    if live.storage > want.storage {
        return Err(Refusal::new(
            Code::CannotChange,
            format!("`{what}` has {} GiB, the config wants {}: RDS never shrinks storage", live.storage, want.storage),
            format!("set `storage.gib` to at least {}", live.storage),
        ));
    }
    for (name, is, should) in [
        ("subnet group", live.subnet_group.clone(), want.subnet_group.address().name.clone()),
        ("encryption", live.encrypted.to_string(), want.encrypted.to_string()),
        ("master user", live.master.clone(), want.master.clone()),
        ("port", live.port.to_string(), want.port.to_string()),
    ] {
        if is != should {
            return Err(Refusal::new(
                Code::CannotChange,
                format!("the {name} of `{what}` is {is}, the config wants {should}; that cannot be changed in place"),
                format!("declare {is}, or use another identifier for a new instance"),
            ));
        }
    }
    Ok(())
}

/// Whether an instance is in working order, whatever is wanted of it.
fn standing(live: &Observed) -> Settled<Outputs> {
    match live.status.as_str() {
        "available" | "storage-optimization" | "backing-up" | "configuring-enhanced-monitoring" => {}
        "failed" | "incompatible-network" | "incompatible-parameters" | "incompatible-restore"
        | "inaccessible-encryption-credentials" | "storage-full" | "stopped" | "restore-error" => {
            return Settled::Never {
                because: format!("the instance is {}; see its events in the RDS console", live.status),
            };
        }
        status => return Settled::NotYet { saying: format!("the instance is {status}") },
    }
    if live.pending {
        return Settled::NotYet { saying: "changes of the instance are pending".to_owned() };
    }
    let Some(server) = &live.server else {
        return Settled::NotYet { saying: "the instance has no address yet".to_owned() };
    };
    match &live.master_secret {
        Some((arn, status)) if status == "active" || status == "rotating" => {
            Settled::Yes(Outputs { server: server.clone(), master_secret: arn.clone() })
        }
        Some((_, status)) => Settled::NotYet { saying: format!("the master secret is {status}") },
        None => Settled::NotYet { saying: "the instance has no master secret yet".to_owned() },
    }
}

/// What a modification would change, by name.
fn differences(want: &Desired, live: &Observed) -> Vec<&'static str> {
    [
        ("engine", want.version.minor > live.version.minor),
        ("class", want.class != live.class),
        ("storage", want.storage != live.storage),
        ("storage_type", want.storage_type != live.storage_type),
        ("public", want.public != live.public),
        ("backup_days", want.backup != live.backup),
        ("deletion_protection", want.deletion_protection != live.deletion_protection),
        ("copy_tags_to_snapshot", !live.copy_tags),
        ("auto_minor_version_upgrade", !live.minor_upgrades),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn modify(cx: &mut Diff<'_>, want: &Desired, live: &Observed) -> Option<Step<Change>> {
    let group = cx.output(&want.group);
    let group_is_right = match &group {
        // Further groups, added by hand, are somebody else's decision.
        Val::Known(group) => live.groups.contains(group),
        Val::After(_) => false,
    };
    let behind = want.version.minor > live.version.minor;
    let version = if behind { want.version } else { live.version };
    let interrupts = behind || live.class != want.class;
    let shown = group.shown();
    let change = Change::Modify { group: (!group_is_right).then_some(group) };
    let step = cx
        .step("modify", Verb::Update, change)
        .risk(if interrupts { Risk::Interrupts } else { Risk::None })
        .attribute("engine", Shown::text(live.version), Shown::text(version))
        .attribute("class", Shown::text(&live.class), Shown::text(&want.class))
        .attribute("storage", Shown::text(live.storage), Shown::text(want.storage))
        .attribute("storage_type", Shown::text(&live.storage_type), Shown::text(&want.storage_type))
        .attribute("public", Shown::text(live.public), Shown::text(want.public))
        .attribute("backup_days", Shown::text(live.backup), Shown::text(want.backup))
        .attribute("copy_tags_to_snapshot", Shown::text(live.copy_tags), Shown::text(true))
        .attribute("auto_minor_version_upgrade", Shown::text(live.minor_upgrades), Shown::text(true))
        .attribute(
            "deletion_protection",
            Shown::text(live.deletion_protection),
            Shown::text(want.deletion_protection),
        );
    let step = if group_is_right { step } else { step.attribute("group", Shown::list(&live.groups), shown) };
    (!step.attributes.is_empty()).then_some(step)
}

impl Live for DbInstance {
    /// Creating takes 5 to 15 minutes, a large restore or storage change hours; past two, somebody
    /// should look.
    const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(match look.instance(&want.identifier).await? {
                None => Seen::Absent,
                Some(instance) => Seen::Present(observed(&instance)?),
            });
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        let (storage, backup) = (as_i32(want.storage), as_i32(want.backup));
        let modify = call("rds", "ModifyDBInstance");
        match change {
            Change::Create { group } => {
                let create = call("rds", "CreateDBInstance");
                let answer = aws
                    .rds
                    .create_db_instance()
                    .db_instance_identifier(&want.identifier)
                    .engine("postgres")
                    .engine_version(want.version.to_string())
                    .db_instance_class(&want.class)
                    .allocated_storage(storage)
                    .storage_type(&want.storage_type)
                    .storage_encrypted(want.encrypted)
                    .master_username(&want.master)
                    .manage_master_user_password(true)
                    .db_subnet_group_name(&want.subnet_group.address().name)
                    .vpc_security_group_ids(known.get(group)?.0)
                    .port(i32::from(want.port))
                    .publicly_accessible(want.public)
                    .backup_retention_period(backup)
                    .auto_minor_version_upgrade(true)
                    .copy_tags_to_snapshot(true)
                    .deletion_protection(want.deletion_protection)
                    .set_tags(Some(rds_tags(&named(&want.identifier, &want.mark.tags()))))
                    .send()
                    .await
                    .map_err(|error| create.failed(error));
                absent(answer, &["DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"])?;
            }
            Change::Await => {}
            Change::Modify { group } => {
                let Some(live) = Look::new(aws).instance(&want.identifier).await? else {
                    return Err(modify.unexpected("the instance is gone").into());
                };
                let live = observed(&live)?;
                let groups = match group {
                    None => None,
                    Some(group) => {
                        let mut groups = live.groups.clone();
                        groups.insert(known.get(group)?);
                        Some(groups.into_iter().map(|group| group.0).collect())
                    }
                };
                let behind = want.version.minor > live.version.minor;
                aws.rds
                    .modify_db_instance()
                    .db_instance_identifier(&want.identifier)
                    .set_engine_version(behind.then(|| want.version.to_string()))
                    .set_db_instance_class((live.class != want.class).then(|| want.class.clone()))
                    .set_allocated_storage((live.storage != want.storage).then_some(storage))
                    .set_storage_type((live.storage_type != want.storage_type).then(|| want.storage_type.clone()))
                    .publicly_accessible(want.public)
                    .backup_retention_period(backup)
                    .copy_tags_to_snapshot(true)
                    .auto_minor_version_upgrade(true)
                    .deletion_protection(want.deletion_protection)
                    .set_vpc_security_group_ids(groups)
                    // Otherwise class and version wait for the maintenance window, and the next plan would
                    // show the same change again.
                    .apply_immediately(true)
                    .send()
                    .await
                    .map_err(|error| modify.failed(error))?;
            }
            Change::SetTags { arn } => add_tags(aws, arn, &want.mark.tags()).await?,
            Change::Unprotect => {
                aws.rds
                    .modify_db_instance()
                    .db_instance_identifier(&want.identifier)
                    .deletion_protection(false)
                    .apply_immediately(true)
                    .send()
                    .await
                    .map_err(|error| modify.failed(error))?;
            }
            Change::Delete { snapshot } => return delete(aws, want, snapshot.as_deref()).await,
        }
        Ok(Applied::Accepted)
    }
}

async fn delete(aws: &Aws, want: &Desired, snapshot: Option<&str>) -> Result<Applied, LiveError> {
    let delete = call("rds", "DeleteDBInstance");
    let answer = aws
        .rds
        .delete_db_instance()
        .db_instance_identifier(&want.identifier)
        .skip_final_snapshot(snapshot.is_none())
        .set_final_db_snapshot_identifier(snapshot.map(str::to_owned))
        .send()
        .await
        .map_err(|error| delete.failed(error));
    match answer {
        // Being created, modified, or deleted already.
        Err(error) if error.is(&["InvalidDBInstanceState", "InvalidDBInstanceStateFault"]) => {
            let live = Look::new(aws).instance(&want.identifier).await?;
            match live.as_ref().and_then(|live| live.db_instance_status()) {
                None | Some("deleting") => Ok(Applied::Accepted),
                Some(status) => Ok(Applied::NotYet { saying: format!("the instance is {status}") }),
            }
        }
        answer => {
            absent(answer, &["DBInstanceNotFound", "DBInstanceNotFoundFault"])?;
            Ok(Applied::Accepted)
        }
    }
}

/// The API counts in `i32`; the config's ranges are far below.
fn as_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn observed(instance: &InstanceLook) -> Result<Observed, LiveError> {
    let describe = call("rds", "DescribeDBInstances");
    let text = |field: Option<&str>, name: &str| describe.expect(field, name).map(str::to_owned);
    let count = |field: Option<i32>| field.and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
    let version = text(instance.engine_version(), "EngineVersion")?;
    let server = instance.endpoint().and_then(|endpoint| {
        Some(Server { host: endpoint.address()?.to_owned(), port: u16::try_from(endpoint.port()?).ok()? })
    });
    let port = server.as_ref().map(|server| server.port);
    Ok(Observed {
        arn: text(instance.db_instance_arn(), "DBInstanceArn")?,
        resource_id: text(instance.dbi_resource_id(), "DbiResourceId")?,
        status: text(instance.db_instance_status(), "DBInstanceStatus")?,
        version: Version::parse(&version)
            .ok_or_else(|| describe.unexpected(format!("EngineVersion `{version}`")))?,
        class: text(instance.db_instance_class(), "DBInstanceClass")?,
        storage: count(instance.allocated_storage()),
        storage_type: instance.storage_type().unwrap_or_default().to_owned(),
        subnet_group: instance
            .db_subnet_group()
            .and_then(|group| group.db_subnet_group_name())
            .unwrap_or_default()
            .to_owned(),
        groups: instance
            .vpc_security_groups()
            .iter()
            .filter_map(|group| group.vpc_security_group_id())
            .map(|id| GroupId(id.to_owned()))
            .collect(),
        public: instance.publicly_accessible().unwrap_or(false),
        backup: count(instance.backup_retention_period()),
        // While an instance is being created only `DbInstancePort` tells the port, and may be 0.
        port: port
            .or_else(|| instance.db_instance_port().and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0))
            .unwrap_or(5432),
        master: instance.master_username().unwrap_or_default().to_owned(),
        deletion_protection: instance.deletion_protection().unwrap_or(false),
        encrypted: instance.storage_encrypted().unwrap_or(false),
        copy_tags: instance.copy_tags_to_snapshot().unwrap_or(false),
        minor_upgrades: instance.auto_minor_version_upgrade().unwrap_or(false),
        master_secret: instance.master_user_secret().and_then(|secret| {
            Some((
                MasterSecretArn(secret.secret_arn()?.to_owned()),
                secret.secret_status().unwrap_or("creating").to_owned(),
            ))
        }),
        pending: instance.pending_modified_values().is_some_and(|values| {
            values.db_instance_class().is_some()
                || values.allocated_storage().is_some()
                || values.storage_type().is_some()
                || values.engine_version().is_some()
                || values.backup_retention_period().is_some()
        }),
        tags: read_tags(instance.tag_list()),
        server,
    })
}
