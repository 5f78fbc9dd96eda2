//! `db_instance`: the PostgreSQL instance. Settled means available, with an address, and the master's
//! secret active.

mod fit;
pub(super) mod health;
mod live;
mod standing;

pub use live::{Tagged, tagged};
pub(super) use live::{certificate, server};
pub(super) use standing::of_status;

pub use super::database::{MasterSecretArn, Outputs, Server, Servers};
pub use super::postgres_version::Version;
pub use health::{Age, Certificate};

use standing::{is_optimizing, is_outgrown, is_ready, is_unmanaged, standing};
use super::db_subnet_group::DbSubnetGroup;
use super::tagging::{Lack, declared};
use super::security_group::{GroupId, SecurityGroup};
use crate::code::Code;
use crate::drift::DriftCode;
use crate::model::{Address, Facts, Kind, Mark, Ref, Seen, Shown, Tags, Val};
use crate::resource::{
    AWAIT, Claim, Diff, Known, NotProduced, Refusal, Resource, Risk, Settled, Step, Verb, made_up_id,
    unobservable,
};
use fit::{claimed, referred, refuse_the_impossible};
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct DbInstance;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub identifier: String,
    /// The group by which the functions and other clients get in.
    pub group: Ref<SecurityGroup>,
    /// Rules of that group: an instance that moves into it finds its clients let in.
    pub entrances: Vec<Address>,
    /// Groups of ours that go, and that the instance must leave first.
    pub former_groups: BTreeSet<GroupId>,
    pub port: u16,
    /// Whether one that others have made is taken over.
    pub adopt: bool,
    /// None: it exists, is only referred to and never changed.
    pub spec: Option<Spec>,
}

/// What is declared of an instance that we make.
#[derive(Debug, Clone)]
pub struct Spec {
    pub version: Version,
    /// Versions of that major that RDS offers for new instances.
    pub offered: Vec<Version>,
    pub class: String,
    /// GiB.
    pub storage: u32,
    pub storage_type: String,
    pub subnet_group: Ref<DbSubnetGroup>,
    pub public: bool,
    /// Days.
    pub backup: u32,
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
    /// `postgres`
    pub engine: String,
    /// The cluster that it is a member of.
    pub cluster: Option<String>,
    pub status: String,
    pub server: Option<Server>,
    /// Its read replicas in this region, and theirs, as far as they have an address; by name.
    pub replicas: Vec<Server>,
    pub version: Version,
    pub class: String,
    pub storage: u32,
    pub storage_type: String,
    pub subnet_group: String,
    pub groups: BTreeSet<GroupId>,
    pub public: bool,
    pub backup: u32,
    /// None while it is being created, and RDS does not tell.
    pub port: Option<u16>,
    pub master: String,
    pub deletion_protection: bool,
    pub encrypted: bool,
    pub copy_tags: bool,
    pub minor_upgrades: bool,
    pub master_secret: Option<(MasterSecretArn, String)>,
    /// Of the server; None where RDS does not tell.
    pub certificate: Option<Certificate>,
    /// RDS has taken changes that it has not made yet.
    pub pending: bool,
    pub tags: Tags,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create { group: Val<GroupId>, version: Version },
    /// Waits for what somebody has begun.
    Await,
    /// `group` is joined, where the instance is not in it yet, and `version` is taken up, where it is behind; RDS is to
    /// `keep_password` of the master, where it was told to keep it no longer.
    Modify { group: Option<Val<GroupId>>, version: Option<Version>, keep_password: bool },
    SetTags { arn: String },
    Unprotect,
    Delete { snapshot: Option<String> },
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
        let subnet_group = want.spec.as_ref().map(|spec| spec.subnet_group.address().clone());
        subnet_group.into_iter().chain([want.group.address().clone()]).collect()
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        if let Seen::Present(live) = live {
            health::tell(cx, want, live);
        }
        let Some(spec) = &want.spec else { return referred(cx, want, live) };
        let live = match live {
            Seen::Absent => return Ok(vec![create(cx, want, spec)?]),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        let claim = claimed(want, live)?;
        refuse_the_impossible(want, spec, live)?;
        let mut steps = Vec::new();
        if claim == Claim::ToAdopt {
            let change = Change::SetTags { arn: live.arn.clone() };
            steps.push(cx.adopt(change, &live.arn, &want.mark.tags()));
        }
        match standing(live) {
            Settled::Yes(_) => {}
            // What ends these is the change below.
            _ if is_outgrown(spec, live) || (is_ready(live) && is_unmanaged(live)) => {}
            // Also with a change to make: RDS takes none until the instance is available.
            Settled::NotYet { saying: why } | Settled::Never { because: why } => steps.push(wait(cx, why)),
        }
        steps.extend(modify(cx, want, spec, live)?);
        if claim == Claim::Ours {
            steps.extend(Lack::of(&want.mark, &live.tags).step(cx, || Change::SetTags { arn: live.arn.clone() }));
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let Some(spec) = &want.spec else { return Ok(Vec::new()) };
        let Some(live) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        if spec.deletion_protection {
            return Err(Refusal::new(
                Code::Protected,
                format!("the DB instance `{}` is declared with deletion protection", want.identifier),
                "set `deletion_protection = false` in [database], and destroy again",
            ));
        }
        // The resource id is in the name, so that the snapshot of a later instance of the same
        // identifier does not collide with it.
        let snapshot =
            spec.final_snapshot.then(|| format!("{}-final-{}", want.identifier, live.resource_id.to_lowercase()));
        let mut steps = Vec::new();
        if live.deletion_protection {
            steps.push(cx.step("unprotect", Verb::Update, DriftCode::NoLongerDeclared, Change::Unprotect).attribute(
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
            .step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete { snapshot })
            .risk(Risk::Irreversible)
            .set("final_snapshot", shown);
        step.leaves = leaves;
        steps.push(step);
        Ok(steps)
    }

    fn settled(want: &Desired, live: &Observed) -> Settled<Outputs> {
        let differing = want.spec.as_ref().map(|spec| differences(spec, live)).unwrap_or_default();
        match standing(live) {
            // RDS says `available` for a moment before it begins with a change.
            Settled::Yes(_) if !differing.is_empty() => {
                Settled::NotYet { saying: format!("not yet changed: {}", differing.join(", ")) }
            }
            Settled::Never { .. } if want.spec.as_ref().is_some_and(|spec| is_outgrown(spec, live)) => {
                Settled::NotYet { saying: format!("the instance is {}, and its storage has not grown yet", live.status) }
            }
            standing => standing,
        }
    }

    fn outputs(_want: &Desired, live: &Observed) -> Option<Outputs> {
        let (master_secret, _) = live.master_secret.clone()?;
        let server = live.server.clone()?;
        Some(Outputs { servers: Servers::of(&server, &live.replicas), server, master_secret })
    }

    fn leaving(_want: &Desired, live: &Observed) -> Settled<()> {
        Settled::NotYet { saying: format!("the instance is {}", live.status) }
    }

    fn facts(live: &Observed) -> Facts {
        let Observed {
            arn,
            resource_id,
            engine,
            cluster,
            // They come and go with maintenance.
            status: _,
            server: _,
            port: _,
            master_secret: _,
            pending: _,
            // RDS renews it.
            certificate: _,
            // Somebody else's, and no reason not to change the instance.
            replicas: _,
            // Minor upgrades happen by themselves.
            version: Version { major, minor: _ },
            class,
            storage,
            storage_type,
            subnet_group,
            groups,
            public,
            backup,
            master,
            deletion_protection,
            encrypted,
            copy_tags,
            minor_upgrades,
            tags,
        } = live;
        Facts::default()
            .with("arn", arn)
            .with("resource id", resource_id)
            .with("engine", engine)
            .maybe("cluster", cluster.as_ref())
            .with("major version", major)
            .with("class", class)
            .with("storage, GiB", storage)
            .with("storage type", storage_type)
            .with("subnet group", subnet_group)
            .list("security groups", groups)
            .with("public", public)
            .with("backup, days", backup)
            .with("master", master)
            .with("deletion protection", deletion_protection)
            .with("encrypted", encrypted)
            .with("tags to snapshots", copy_tags)
            .with("minor upgrades", minor_upgrades)
            .tags(tags)
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:::{rest}");
        let spec = want.spec.as_ref();
        let version = spec.map_or(Version { major: 16, minor: Some(9) }, |spec| {
            let offered = spec.offered.iter().filter_map(|version| version.minor).min();
            let least = Version { minor: spec.version.minor.or(offered).or(Some(1)), ..spec.version };
            target(spec).map_or(least, |target| Version { minor: target.minor.or(least.minor), ..target })
        });
        Ok(Observed {
            arn: arn("rds", &format!("db:{}", want.identifier)),
            resource_id: made_up_id("db", &want.mark.address).to_uppercase(),
            engine: ENGINE.to_owned(),
            cluster: None,
            status: "available".to_owned(),
            replicas: Vec::new(),
            server: Some(Server { host: format!("{}.example.rds.amazonaws.com", want.identifier), port: want.port }),
            version,
            class: spec.map_or("db.t3.micro", |spec| &spec.class).to_owned(),
            storage: spec.map_or(20, |spec| spec.storage),
            storage_type: spec.map_or("gp3", |spec| &spec.storage_type).to_owned(),
            subnet_group: spec.map_or("default", |spec| &spec.subnet_group.address().name).to_owned(),
            groups: BTreeSet::from([known.output::<GroupId>(&want.group)?]),
            public: spec.is_some_and(|spec| spec.public),
            backup: spec.map_or(1, |spec| spec.backup),
            port: Some(want.port),
            master: spec.map_or("postgres", |spec| &spec.master).to_owned(),
            deletion_protection: spec.is_none_or(|spec| spec.deletion_protection),
            encrypted: spec.is_none_or(|spec| spec.encrypted),
            copy_tags: true,
            minor_upgrades: true,
            master_secret: Some((MasterSecretArn(arn("secretsmanager", "secret:rds!db-master")), "active".to_owned())),
            certificate: None,
            pending: false,
            // An instance that is only referred to is not tagged.
            tags: spec.map(|_| want.mark.tags()).unwrap_or_default(),
        })
    }
}

/// What RDS calls PostgreSQL.
pub const ENGINE: &str = "postgres";

/// Waits for what somebody has begun.
fn wait(cx: &mut Diff<'_>, saying: String) -> Step<Change> {
    cx.step(AWAIT, Verb::Ensure, DriftCode::UnderWay.found(&saying), Change::Await).because(saying)
}

/// The version to make or to take up: the least that is offered and wanted. A bare major is left to RDS, which
/// takes its default minor.
fn target(spec: &Spec) -> Result<Version, Refusal> {
    let least = spec.offered.iter().filter(|version| version.minor >= spec.version.minor).min();
    let target = least.map(|least| if spec.version.minor.is_none() { spec.version } else { *least });
    target.ok_or_else(|| {
        let offered: Vec<_> = spec.offered.iter().map(ToString::to_string).collect();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        Refusal::new(
            Code::NotOffered,
            format!("RDS offers no PostgreSQL {} or later of that major here; it offers {offered}", spec.version),
            format!("set `engine_version = \"{}\"` in [database], or one of those", spec.version.major),
        )
    })
}

fn create(cx: &mut Diff<'_>, want: &Desired, spec: &Spec) -> Result<Step<Change>, Refusal> {
    cx.after(spec.subnet_group.address());
    let group = cx.output(&want.group);
    let shown = group.shown();
    let version = target(spec)?;
    Ok(cx
        .step("create", Verb::Create, DriftCode::Missing, Change::Create { group, version })
        .set("identifier", Shown::text(&want.identifier))
        .set("engine", Shown::text(format!("postgres {version}")))
        .set("class", Shown::text(&spec.class))
        .set("storage", Shown::text(format!("{} GiB {}", spec.storage, spec.storage_type)))
        .set("subnet_group", Shown::text(&spec.subnet_group.address().name))
        .set("group", shown)
        .set("public", Shown::text(spec.public))
        .set("backup_days", Shown::text(spec.backup))
        .set("encrypted", Shown::text(spec.encrypted))
        .set("deletion_protection", Shown::text(spec.deletion_protection))
        .set("declared_tags", declared(&want.mark))
        .set("master_password", Shown::Withheld))
}

/// What a modification would change, by name.
fn differences(spec: &Spec, live: &Observed) -> Vec<&'static str> {
    [
        ("engine", spec.version.minor > live.version.minor),
        ("class", spec.class != live.class),
        ("storage", spec.storage != live.storage && !is_optimizing(live)),
        ("storage_type", spec.storage_type != live.storage_type && !is_optimizing(live)),
        ("public", spec.public != live.public),
        ("backup_days", spec.backup != live.backup),
        ("deletion_protection", spec.deletion_protection != live.deletion_protection),
        ("copy_tags_to_snapshot", !live.copy_tags),
        ("auto_minor_version_upgrade", !live.minor_upgrades),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn modify(
    cx: &mut Diff<'_>,
    want: &Desired,
    spec: &Spec,
    live: &Observed,
) -> Result<Option<Step<Change>>, Refusal> {
    let group = cx.output(&want.group);
    let group_is_right = match &group {
        // Further groups, added by hand, are somebody else's decision.
        Val::Known(group) => live.groups.contains(group) && live.groups.is_disjoint(&want.former_groups),
        Val::After(_) => false,
    };
    if !group_is_right {
        for rule in &want.entrances {
            cx.after(rule);
        }
    }
    let behind = spec.version.minor > live.version.minor;
    let version = if behind { target(spec)? } else { live.version };
    let (storage, storage_type) = match is_optimizing(live) {
        true => (live.storage, &live.storage_type),
        false => (spec.storage, &spec.storage_type),
    };
    if (storage, storage_type) != (spec.storage, &spec.storage_type) {
        let what = format!("{} GiB {} → {} GiB {}", live.storage, live.storage_type, spec.storage, spec.storage_type);
        let why = "an earlier change of the storage is not finished, and RDS takes no other until it is, which takes hours";
        cx.defer(format!("storage {what}"), why);
        let found = DriftCode::Changed.found(format!("the storage is not as declared: {what}"));
        cx.drift(found, "pgrotate apply FILE, once RDS has finished the earlier change");
    }
    let keep_password = is_unmanaged(live);
    // A new master password shuts out who logs in with the old one.
    let interrupts = behind || live.class != spec.class || keep_password;
    let shown = group.shown();
    let (group, version_to) = ((!group_is_right).then_some(group), behind.then_some(version));
    let change = Change::Modify { group, version: version_to, keep_password };
    let step = cx
        .step("modify", Verb::Update, DriftCode::Changed, change)
        .risk(if interrupts { Risk::Interrupts } else { Risk::None })
        .attribute("engine", Shown::text(live.version), Shown::text(version))
        .attribute("class", Shown::text(&live.class), Shown::text(&spec.class))
        .attribute("storage", Shown::text(live.storage), Shown::text(storage))
        .attribute("storage_type", Shown::text(&live.storage_type), Shown::text(storage_type))
        .attribute("public", Shown::text(live.public), Shown::text(spec.public))
        .attribute("backup_days", Shown::text(live.backup), Shown::text(spec.backup))
        .attribute("copy_tags_to_snapshot", Shown::text(live.copy_tags), Shown::text(true))
        .attribute("auto_minor_version_upgrade", Shown::text(live.minor_upgrades), Shown::text(true))
        .attribute(
            "deletion_protection",
            Shown::text(live.deletion_protection),
            Shown::text(spec.deletion_protection),
        );
    let step = if group_is_right { step } else { step.attribute("group", Shown::list(&live.groups), shown) };
    let step = match keep_password {
        true => step
            .attribute("master_password", Shown::text("set by hand"), Shown::text("made and kept by RDS"))
            .because(format!("the password by which `{}` logs in now ends: RDS makes another at once", live.master)),
        false => step,
    };
    Ok((!step.attributes.is_empty()).then_some(step))
}
