//! The tables of a config file: their keys, defaults, and what each key is checked for.

use super::alerts;
use super::check;
use super::error::ConfigError;
use super::files::EXTENDS;
use super::limits;
use super::lints;
use super::logins::{self, Draft};
use super::read::{Problems, Table};
use super::roles;
use super::tags;
use super::users::{self, Read};
use super::{
    Allow, Aws, Choice, Client, Config, Database, Declared, Function, Instance, Located, Network, OnRemove,
    SecretsManagerPath, Storage, SubnetGroup,
};
use crate::code::Code;
use function_contract::Strategy;
use std::ops::RangeInclusive;
use toml::de::DeTable;

/// AWS's own default, and its longest: nothing is lost sooner unless asked for.
pub(super) const RECOVERY_DAYS: u32 = 30;

pub(super) const STRATEGIES: [(&str, Strategy); 2] =
    [("alternating-users", Strategy::AlternatingUsers), ("single-user", Strategy::SingleUser)];

pub(super) const ON_REMOVE: [(&str, OnRemove); 2] = [("keep", OnRemove::Keep), ("drop", OnRemove::Drop)];

pub(super) const PATHS: [(&str, SecretsManagerPath); 3] = [
    ("endpoint", SecretsManagerPath::Endpoint),
    ("existing-endpoint", SecretsManagerPath::ExistingEndpoint),
    ("nat", SecretsManagerPath::Nat),
];

pub(super) const UNMANAGED: [(&str, bool); 2] = [("report", false), ("revoke", true)];

pub(super) const STORAGE_TYPES: [(&str, &str); 2] = [("gp2", "gp2"), ("gp3", "gp3")];

/// Sizes that RDS offers for these types.
pub(super) const GIB: RangeInclusive<u32> = 20..=65536;

/// Days of automated backups that RDS keeps; 0 is none.
pub(super) const BACKUP_DAYS: RangeInclusive<u32> = 0..=35;

/// The ports that RDS offers.
pub(super) const PORTS: RangeInclusive<u32> = 1150..=65535;

/// Recovery windows that Secrets Manager offers, in days.
pub(super) const RECOVERY: RangeInclusive<u32> = 7..=RECOVERY_DAYS;

/// Reads the whole file. Where it is None, the problems say why.
pub(super) fn config(problems: &Problems<'_>, entries: &DeTable<'_>) -> Option<Config> {
    let mut root = Table::root(problems, entries);
    // Followed before any of this is read.
    root.optional_string(EXTENDS, "\"base.toml\"");
    let deployment = root.string("deployment", "\"article\"");
    check::deployment(problems, &deployment);

    // Everything is read before anything is given up, so that all problems are told at once.
    let aws = aws(problems, root.table("aws", "[aws]\nregion = \"eu-north-1\""));
    let network =
        network(problems, root.table("network", "[network]\nvpc = \"vpc-…\"\nsubnets = [\"subnet-…\", \"subnet-…\"]"));
    let (database, master) = database(
        problems,
        root.table(
            "database",
            "[database]\nidentifier = \"my-postgres-instance\"\nsubnet_group = \"my-db-subnet-group\"\n\
             engine_version = \"16\"\nclass = \"db.t3.micro\"\nstorage = { gib = 20 }",
        ),
    );
    let function = function(problems, root.optional_table("function", "[function]"), deployment.as_ref());
    let has_alerts = root.has("alerts");
    let alerts = root.optional_table("alerts", "[alerts]\ntopic = \"arn:aws:sns:…\"");
    let alerts = alerts::read(problems, alerts, has_alerts, aws.as_ref());
    let limits = limits::read(root.optional_table("limits", "[limits]\ndeletes = 3"));
    let lint = lints::read(problems, root.optional_table("lint", "[lint]\nallow = []"));
    let tags = tags::read(problems, &mut root);
    let defaults = users::rotation(problems, root.optional_table("rotation", "[rotation]"));
    let admin = users::login(
        problems,
        root.table("admin", "[admin]\nlogin = \"rotator_admin\"\nsecret = \"rotator_admin_secret\""),
        &defaults,
        Declared::Admin,
    );
    let users = users::users(problems, &mut root, &defaults);
    root.finish();

    // An unreadable master means no comparison with it, not one with the default.
    let master = master.as_ref().map(|master| master.value.as_str());
    let drafts: Vec<Draft<'_>> = [&admin].into_iter().chain(&users).map(Read::draft).collect();
    logins::check(problems, &drafts, master);

    Some(Config {
        deployment: deployment?.value,
        aws: aws?,
        network: network?,
        database: database?,
        function: function?,
        alerts: alerts?,
        limits: limits?,
        lint: lint?,
        tags: tags?,
        on_remove: defaults.on_remove?,
        admin: admin.finish()?,
        users: users.into_iter().map(Read::finish).collect::<Option<_>>()?,
    })
}

fn aws(problems: &Problems<'_>, mut table: Table<'_, '_>) -> Option<Aws> {
    let region = table.string("region", "\"eu-north-1\"");
    check::region(problems, &region);
    let account = table.optional_string("account", "\"123456789012\"");
    check::account(problems, &account);
    let assume_role = table.optional_string("assume_role", roles::EXAMPLE);
    roles::check(problems, &assume_role, &account);
    table.finish();
    Some(Aws {
        region: region?.value,
        account: account.map(|account| account.value),
        assume_role: assume_role.map(|role| role.value),
    })
}

fn network(problems: &Problems<'_>, mut table: Table<'_, '_>) -> Option<Network> {
    let vpc = match by_tags(problems, &mut table, "vpc", "{ tags = { Name = \"prod\" } }") {
        Some(tags) => tags,
        None => {
            let vpc = table.string("vpc", "\"vpc-0123456789abcdef0\"");
            if let Some(vpc) = &vpc {
                check::ec2_id(problems, vpc, "vpc-");
            }
            vpc.map(|vpc| Located { value: Choice::These(vpc.value), span: vpc.span })
        }
    };
    let subnets = match by_tags(problems, &mut table, "subnets", "{ tags = { Tier = \"private\" } }") {
        Some(tags) => tags,
        None => {
            let subnets = table.strings("subnets", "[\"subnet-0123456789abcdef0\", \"subnet-0fedcba9876543210\"]");
            check::subnets(problems, &subnets);
            subnets.map(|subnets| Located { value: Choice::These(subnets.value), span: subnets.span })
        }
    };
    let path = table.optional_string("secrets_manager", "\"endpoint\"");
    let said_at = path.as_ref().map(|path| path.span.clone()).or(vpc.as_ref().map(|vpc| vpc.span.clone()));
    let secrets_manager = match path {
        Some(path) => check::choice(problems, "secrets_manager", &path, &PATHS),
        None => Some(SecretsManagerPath::Endpoint),
    };

    let mut allow = Vec::new();
    for mut rule in table.tables("allow", "allow = [{ cidr = \"203.0.113.7/32\", description = \"office\" }]") {
        let client = client(problems, &mut rule);
        let description = rule.string("description", "\"office\"");
        check::description(problems, &description);
        rule.finish();
        if let (Some((from, span)), Some(description)) = (client, description) {
            allow.push((Allow { from, description: description.value }, span));
        }
    }
    check::distinct_clients(problems, &allow);

    let clients = table.optional_strings("endpoint_clients", "[\"10.0.0.0/16\"]");
    let endpoint_clients = clients.map(|clients| endpoint_clients(problems, &clients, secrets_manager));
    let revoke_unmanaged_rules = match table.optional_string("unmanaged_rules", "\"report\"") {
        Some(what) => check::choice(problems, "unmanaged_rules", &what, &UNMANAGED),
        None => Some(false),
    };
    let adopt = table.optional_bool("adopt", false);
    table.finish();
    Some(Network {
        vpc: vpc?,
        subnets: subnets?,
        secrets_manager: Located { value: secrets_manager?, span: said_at? },
        allow: allow.into_iter().map(|(rule, _)| rule).collect(),
        endpoint_clients,
        revoke_unmanaged_rules: revoke_unmanaged_rules?,
        adopt,
    })
}

/// What `{ tags = { … } }` means; None: something else stands there.
fn by_tags<T>(
    problems: &Problems<'_>,
    table: &mut Table<'_, '_>,
    key: &'static str,
    example: &str,
) -> Option<Option<Located<Choice<T>>>> {
    if !table.is_table(key) {
        return None;
    }
    let mut inner = table.optional_table(key, example);
    let (span, before) = (inner.span().clone(), problems.count());
    let there = inner.has("tags");
    inner.required("tags", "{ Name = \"prod\" }");
    let tags = inner.named_strings("tags", "{ Name = \"prod\" }");
    if there && tags.is_empty() && problems.count() == before {
        let message = format!("the tags of `{key}` are empty: they would mean all there are");
        problems
            .add(ConfigError::at(Code::BadValue, &span, message).hint(format!("write for example: {key} = {example}")));
    }
    inner.finish();
    let tags = tags.into_iter().map(|(key, value)| (key.value, value.value)).collect();
    Some((there && problems.count() == before).then_some(Located { value: Choice::Tagged(tags), span }))
}

/// Who an entry of `allow` lets in, and where that is said.
fn client(problems: &Problems<'_>, entry: &mut Table<'_, '_>) -> Option<(Client, std::ops::Range<usize>)> {
    if !entry.has("group") {
        let written = entry.string("cidr", "\"203.0.113.7/32\"");
        // Asked for, so that it is known here.
        entry.optional_string("group", "\"sg-0123456789abcdef0\"");
        let cidr = written.as_ref().and_then(|cidr| check::cidr(problems, cidr));
        let (cidr, span) = (cidr?, written?.span);
        return Some((Client::Cidr(Located { value: cidr, span: span.clone() }), span));
    }
    let group = entry.optional_string("group", "\"sg-0123456789abcdef0\"")?;
    check::ec2_id(problems, &group, "sg-");
    entry.refuse("cidr", "an entry lets in a `cidr` or a `group`, and this one names a group");
    let span = group.span.clone();
    Some((Client::Group(group), span))
}

fn endpoint_clients(
    problems: &Problems<'_>,
    clients: &Located<Vec<Located<String>>>,
    path: Option<SecretsManagerPath>,
) -> Vec<String> {
    if matches!(path, Some(SecretsManagerPath::ExistingEndpoint | SecretsManagerPath::Nat)) {
        let message = "`endpoint_clients` narrows the endpoint that this deployment makes, and it makes none";
        problems.add(
            ConfigError::at(Code::ConflictingKeys, &clients.span, message)
                .hint("remove it, or write: secrets_manager = \"endpoint\""),
        );
    } else if clients.value.is_empty() {
        // Private DNS sends the whole VPC to the endpoint: an empty list would cut everybody off.
        let message = "`endpoint_clients` is empty: no client in the VPC could reach Secrets Manager any more";
        problems.add(
            ConfigError::at(Code::BadValue, &clients.span, message)
                .hint("list CIDRs, or remove it to admit the whole VPC"),
        );
    }
    let mut cidrs: Vec<String> = Vec::with_capacity(clients.value.len());
    for client in &clients.value {
        let Some(cidr) = check::cidr(problems, client) else { continue };
        if cidrs.contains(&cidr) {
            let error = ConfigError::at(Code::Duplicate, &client.span, format!("\"{cidr}\" is listed twice"));
            problems.add(error.hint("list each CIDR once"));
        }
        cidrs.push(cidr);
    }
    cidrs
}

/// Keys of an instance that is only referred to: they describe one that is made.
pub const OF_MANAGED: [&str; 11] = [
    "adopt",
    "subnet_group",
    "engine_version",
    "class",
    "storage",
    "backup_days",
    "public",
    "master",
    "deletion_protection",
    "final_snapshot",
    "encrypted",
];

/// The database, and beside it the master, which is needed to check the logins, whatever else is wrong.
fn database(problems: &Problems<'_>, mut table: Table<'_, '_>) -> (Option<Database>, Option<Located<String>>) {
    let is_cluster = table.has("cluster");
    let cluster = table.optional_string("cluster", "\"my-cluster\"");
    let identifier = if is_cluster {
        table.refuse("identifier", "it names a single DB instance, and `cluster` a DB cluster");
        cluster
    } else {
        table.string("identifier", "\"my-postgres-instance\"")
    };
    check::database_identifier(problems, &identifier, if is_cluster { "cluster" } else { "identifier" });
    let manage = table.optional_bool("manage", !is_cluster);
    if is_cluster && manage {
        makes_no_cluster(problems, &table.located("manage", ()));
    }
    let manage = manage && !is_cluster;
    let port = table.integer("port", PORTS, "", Some(5432));
    let security_group = existing(&mut table, "security_group", "{ existing = \"my-rds-sg\" }");
    if !manage && !table.has("security_group") {
        // Without it the functions' way to the instance could not be opened, or would be guessed.
        let (with, of) = if is_cluster { ("`cluster`", "cluster") } else { ("`manage = false`", "instance") };
        let message = format!("`security_group` is missing in [database]: with {with} it is how the functions get in");
        problems.add(
            ConfigError::at(Code::MissingKey, table.span(), message)
                .hint(format!("add: security_group = {{ existing = \"a group of the {of}\" }}")),
        );
    }
    let (instance, master) = if manage {
        instance(problems, &mut table)
    } else {
        for key in OF_MANAGED {
            table.refuse(
                key,
                match is_cluster {
                    true => "it describes an instance that is made, and a cluster is only referred to",
                    false => "it describes an instance that is made, and `manage = false` only refers to one",
                },
            );
        }
        (None, None)
    };
    table.finish();
    let rest = || {
        Some(Database {
            identifier: identifier?,
            is_cluster,
            port: u16::try_from(port?).ok()?,
            security_group,
            instance: if manage { Some(instance?) } else { None },
        })
    };
    (rest(), master)
}

/// Making and changing clusters is out of scope: their members, storage and failovers are a subject of their own.
fn makes_no_cluster(problems: &Problems<'_>, manage: &Located<()>) {
    let message = "`manage = true` cannot stand beside `cluster`: pgrotate makes and changes no DB cluster, it only refers to one";
    problems.add(ConfigError::at(Code::NotSupported, &manage.span, message).hint(
        "remove this line, and have the cluster made by something else, RDS keeping its master password: aws rds \
         create-db-cluster --manage-master-user-password …",
    ));
}

/// The name in `{ existing = "…" }`.
fn existing(table: &mut Table<'_, '_>, key: &'static str, example: &str) -> Option<Located<String>> {
    let there = table.has(key);
    let mut inner = table.optional_table(key, example);
    if !there || inner.is_unread() {
        return None;
    }
    let name = inner.string("existing", "\"my-group\"");
    inner.finish();
    name
}

fn instance(problems: &Problems<'_>, table: &mut Table<'_, '_>) -> (Option<Instance>, Option<Located<String>>) {
    let referred = table.is_table("subnet_group");
    let subnet_group = if referred {
        existing(table, "subnet_group", "{ existing = \"my-db-subnet-group\" }")
    } else {
        table.string("subnet_group", "\"my-db-subnet-group\"")
    };
    check::subnet_group(problems, &subnet_group, !referred);
    let engine_version = table.string("engine_version", "\"16\"");
    check::engine_version(problems, &engine_version);
    let class = table.string("class", "\"db.t3.micro\"");
    check::class(problems, &class);
    let storage = storage(problems, table.table("storage", "{ gib = 20, type = \"gp3\" }"));
    let backup_days = table.integer("backup_days", BACKUP_DAYS, " days", Some(7));
    let backup_days = backup_days.map(|days| table.located("backup_days", days));
    let public = located_bool(table, "public", false);
    let master = match table.optional_string("master", "\"postgres\"") {
        None if table.has("master") => None,
        None => Some(Located { value: "postgres".into(), span: table.span().clone() }),
        given => given,
    };
    check::master(problems, &master);
    let deletion_protection = located_bool(table, "deletion_protection", true);
    let final_snapshot = located_bool(table, "final_snapshot", true);
    let encrypted = located_bool(table, "encrypted", true);
    let adopt = table.optional_bool("adopt", false);
    let name = master.clone();
    let instance = || {
        Some(Instance {
            subnet_group: SubnetGroup { name: subnet_group?, existing: referred },
            engine_version: engine_version?,
            class: class?.value,
            storage: storage?,
            backup_days: backup_days?,
            public,
            master: name?.value,
            deletion_protection,
            final_snapshot,
            encrypted,
            adopt,
        })
    };
    (instance(), master)
}

fn located_bool(table: &mut Table<'_, '_>, key: &'static str, default: bool) -> Located<bool> {
    let value = table.optional_bool(key, default);
    table.located(key, value)
}

fn storage(problems: &Problems<'_>, mut table: Table<'_, '_>) -> Option<Storage> {
    let gib = table.integer("gib", GIB, " GiB", None);
    let kind = match table.optional_string("type", "\"gp3\"") {
        Some(kind) => check::choice(problems, "type", &kind, &STORAGE_TYPES),
        None => Some("gp3"),
    };
    table.finish();
    Some(Storage { gib: gib?, kind: kind?.into() })
}

fn function(
    problems: &Problems<'_>,
    mut table: Table<'_, '_>,
    deployment: Option<&Located<String>>,
) -> Option<Function> {
    let name = match table.optional_string("name", "\"my-rotation\"") {
        None if table.has("name") => None,
        // Nothing of it is the user's but the deployment: that is where an error of it is shown.
        None => deployment.map(|deployment| Located {
            value: format!("{}-rotation", deployment.value),
            span: deployment.span.clone(),
        }),
        given => {
            check::function_name(problems, &given);
            given
        }
    };
    let bucket = table.optional_string("bucket", "\"my-bucket\"");
    check::bucket(problems, &bucket);
    table.finish();
    Some(Function { name: name?, bucket: bucket.map(|bucket| bucket.value) })
}
