//! The config's keys as a JSON Schema, for editors: what each is for, its type and what it may hold.
//!
//! The tables below are never filled: [`super::tables`] reads the file key by key, since an error of it is told at its line
//! and with advice. Words and ranges are the reader's own; that both know the same keys, need the same ones and take the
//! same types is shown by a test, which changes every key of a whole file in every way and asks both.

#![allow(dead_code, reason = "its types are read by the derive alone")]

use super::LintCode;
use super::passwords::PRESETS;
use super::schema_rules::{of_whole_files, with_variables};
use super::tables::{
    BACKUP_DAYS, GIB, OF_MANAGED, ON_REMOVE, PATHS, PORTS, RECOVERY, STORAGE_TYPES, STRATEGIES, UNMANAGED,
};
use function_contract::PasswordPolicy;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The JSON Schema (draft 2020-12) of a config file, as TOML's values are in JSON.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    schema.insert("title".to_owned(), json!("pgrotate's config: one deployment"));
    let mut schema = schema.to_value();
    with_variables(&mut schema);
    of_whole_files(&mut schema);
    schema
}

/// TOML has no null: what may be left out is an Option in the tables below, and no more than that.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|of| of != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|of| of["type"] != "null");
        if let [Value::Object(one)] = any.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            object.extend(one);
        }
    }
}

/// One of the reader's words.
fn one_of<T>(words: &[(&str, T)]) -> Schema {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    json_schema!({ "type": "string", "enum": words })
}

fn within(range: &std::ops::RangeInclusive<u32>) -> Schema {
    json_schema!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
}

/// Types whose schema is written out, at each place where they stand.
macro_rules! values {
    ($($name:ident = $schema:expr;)+) => {
        $(struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })+
    };
}

values! {
    Path = one_of(&PATHS);
    UnmanagedRules = one_of(&UNMANAGED);
    StorageType = one_of(&STORAGE_TYPES);
    Strategy = one_of(&STRATEGIES);
    OnRemove = one_of(&ON_REMOVE);
    Preset = one_of(&PRESETS);
    Gib = within(&GIB);
    BackupDays = within(&BACKUP_DAYS);
    Port = within(&PORTS);
    RecoveryDays = within(&RECOVERY);
    PasswordLength = json_schema!({
        "type": "integer", "minimum": PasswordPolicy::SHORTEST, "maximum": PasswordPolicy::LONGEST,
    });
    Code = {
        // What allows nothing is never meant.
        let meant = LintCode::ALL.iter().filter(|code| **code != LintCode::UnusedAllow);
        json_schema!({ "type": "string", "enum": meant.map(|code| code.text()).collect::<Vec<_>>() })
    };
    Every = json_schema!({
        "type": "string", "pattern": r"^\s*[0-9]+\s+(days?|hours?)\s*$", "examples": ["10 days", "6 hours"],
    });
    CronText = json_schema!({ "type": "string", "examples": ["cron(0 4 ? * SUN *)"] });
    Window = json_schema!({ "type": "string", "pattern": r"^[0-9]+h$", "examples": ["2h"] });
    SecretName = json_schema!({ "type": "string", "pattern": r"^[A-Za-z0-9/_+=.@-]+$" });
    Setting = json_schema!({ "type": ["string", "number", "boolean"] });
    TagValue = json_schema!({ "type": "string", "pattern": r"^[A-Za-z0-9 +=._:/@-]{1,256}$" });
    Moment = json_schema!({ "type": "string", "format": "date-time" });
}

/// A deployment: the database, its users, and how their passwords rotate.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct File {
    /// Another file, by its path from this one's folder, whose keys hold where this one says nothing else: tables are merged key by key, users by their `login`; everything else is replaced whole. In any string, ${env.NAME} is a variable of the environment.
    #[schemars(regex(pattern = r"\.toml$"))]
    extends: Option<String>,
    /// Names this whole. It becomes part of the names of groups, stack and bucket, and of the tags by which pgrotate knows what is its own.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,39}$"))]
    deployment: String,
    aws: Aws,
    network: Network,
    database: Database,
    function: Option<Function>,
    alerts: Option<Alerts>,
    limits: Option<Limits>,
    /// Tags, key to value, of everything that is made here and takes tags, and of nothing that is only referred to. One that is taken out of the file stays on what has it, since nothing tells it from those of others.
    #[schemars(extend("maxProperties" = 40))]
    tags: Option<BTreeMap<String, TagValue>>,
    lint: Option<Lint>,
    rotation: Option<Rotation>,
    admin: Admin,
    /// One for each login of an application, which reads its name and password from the secret.
    user: Option<Vec<User>>,
    /// Many such logins that have all but their names in common.
    users: Option<Vec<Users>>,
}

/// Where the deployment stands.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Aws {
    /// The region, such as "eu-north-1".
    region: String,
    /// A guard: any other account is refused. Twelve digits.
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    account: Option<String>,
    /// ARN of an IAM role that is assumed for every call, unless the credentials are a session of it already. Of the same account, where that is given.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([!-~]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64}$"))]
    assume_role: Option<String>,
}

/// The VPC that database and functions are in, and who reaches what there.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Network {
    /// The VPC: its id, or tags that it alone has.
    vpc: Vpc,
    /// Two or more of its subnets, in different availability zones: their ids, or tags that they all have.
    subnets: Subnets,
    /// How the functions reach Secrets Manager: by an endpoint that is made here, by one that the VPC has, or through a NAT gateway.
    #[schemars(extend("default" = "endpoint"))]
    secrets_manager: Option<Path>,
    /// CIDRs that may use the endpoint; left out, all of the VPC, whose every call to Secrets Manager it takes.
    #[schemars(length(min = 1))]
    endpoint_clients: Option<Vec<String>>,
    /// Who else may reach the database port.
    allow: Option<Vec<Allow>>,
    /// What becomes of rules in the deployment's security groups that pgrotate did not make.
    #[schemars(extend("default" = "report"))]
    unmanaged_rules: Option<UnmanagedRules>,
    /// Whether an endpoint, and groups of the deployment's names, that others have made are taken over.
    #[schemars(extend("default" = false))]
    adopt: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Vpc {
    /// Its id.
    Id(#[schemars(regex(pattern = r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$"))] String),
    Tagged(ByTags),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Subnets {
    /// Their ids.
    Ids(#[schemars(length(min = 2), inner(regex(pattern = r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")))] Vec<String>),
    Tagged(ByTags),
}

/// What has all of these tags. Which that is, is looked up by each command; a saved plan is for what was found.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ByTags {
    /// Key to value, each as it is on it.
    #[schemars(extend("minProperties" = 1))]
    tags: BTreeMap<String, String>,
}

/// One client of the database: a CIDR or a security group.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [{ "required": ["cidr"] }, { "required": ["group"] }]))]
struct Allow {
    /// IPv4 or IPv6.
    cidr: Option<String>,
    /// Whatever is in this security group, by its id.
    #[schemars(regex(pattern = r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$"))]
    group: Option<String>,
    /// Who it is: the rule carries it.
    description: String,
}

/// The instance, or a cluster. With `manage = false`, as always with a cluster, it exists, is only referred to, and never changed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = managed)]
struct Database {
    /// The instance's identifier in RDS.
    #[schemars(regex(pattern = r"^[a-z]([a-z0-9]|-[a-z0-9]){0,62}$"))]
    identifier: Option<String>,
    /// In the place of `identifier`: a DB cluster, of Aurora PostgreSQL say.
    #[schemars(regex(pattern = r"^[a-z]([a-z0-9]|-[a-z0-9]){0,62}$"))]
    cluster: Option<String>,
    /// Whether it is made here and kept as declared. A cluster never is.
    #[schemars(extend("default" = true))]
    manage: Option<bool>,
    /// The port it listens on.
    #[schemars(extend("default" = 5432))]
    port: Option<Port>,
    /// A security group that is there already and that the instance has or shall have; left out, one is made.
    security_group: Option<Existing>,
    /// The DB subnet group: its name where it is made here, or one that is there already.
    subnet_group: Option<SubnetGroup>,
    /// A major version, whose minor ones RDS keeps up, or the least minor one: "16" or "16.8".
    #[schemars(regex(pattern = r"^[0-9]{1,3}(\.[0-9]{1,3})?$"))]
    engine_version: Option<String>,
    /// The instance class, such as "db.t3.micro".
    #[schemars(regex(pattern = r"^db\.[a-z0-9-]+(\.[a-z0-9-]+)+$"))]
    class: Option<String>,
    storage: Option<Storage>,
    /// For how many days automated backups are kept.
    #[schemars(extend("default" = 7))]
    backup_days: Option<BackupDays>,
    /// Whether it has a public address.
    #[schemars(extend("default" = false))]
    public: Option<bool>,
    /// Name of the master user; RDS keeps its password.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_]{0,62}$"), extend("default" = "postgres"))]
    master: Option<String>,
    /// Whether RDS refuses to delete it.
    #[schemars(extend("default" = true))]
    deletion_protection: Option<bool>,
    /// Whether `destroy` leaves a last snapshot.
    #[schemars(extend("default" = true))]
    final_snapshot: Option<bool>,
    /// Whether the storage is encrypted; it cannot be changed once the instance exists.
    #[schemars(extend("default" = true))]
    encrypted: Option<bool>,
    /// Whether an instance and a subnet group of these names that others have made are taken over.
    #[schemars(extend("default" = false))]
    adopt: Option<bool>,
}

/// Keys of an instance that is made, of one that is only referred to, and of a cluster, which always is.
fn managed(schema: &mut Schema) {
    let never: Map<String, Value> = OF_MANAGED.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    let mut of_cluster = never.clone();
    of_cluster.insert("identifier".to_owned(), json!(false));
    of_cluster.insert("manage".to_owned(), json!({ "const": false }));
    schema.insert("if".to_owned(), json!({ "required": ["cluster"] }));
    schema.insert("then".to_owned(), json!({ "properties": of_cluster, "required": ["security_group"] }));
    schema.insert(
        "else".to_owned(),
        json!({
            "required": ["identifier"],
            "if": { "properties": { "manage": { "const": false } }, "required": ["manage"] },
            "then": { "properties": never, "required": ["security_group"] },
            "else": { "required": ["subnet_group", "engine_version", "class", "storage"] },
        }),
    );
}

/// What is there already, by its name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Existing {
    /// Its name.
    existing: String,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum SubnetGroup {
    /// It is made.
    Made(String),
    Existing(Existing),
}

/// The instance's storage.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Storage {
    /// Its size in GiB; it can only grow.
    gib: Gib,
    /// Its kind.
    #[schemars(rename = "type", extend("default" = "gp3"))]
    kind: Option<StorageType>,
}

/// The functions that rotate.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Function {
    /// The rotation function; its two helpers add -provisioning and -inspection. Left out: the deployment's name with -rotation.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    name: Option<String>,
    /// A bucket for its code that is there already; left out, one is made.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"))]
    bucket: Option<String>,
}

/// Who is told when a rotation fails. Left out, the stack's alarms show it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Alerts {
    /// ARN of an SNS topic that is there already, in this region and account: docs/alerts.md.
    #[schemars(regex(pattern = r"^arn:[^:]*:sns:[^:]*:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"))]
    topic: String,
}

/// What one plan may take away without being told so.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Limits {
    /// So many things may be removed or made anew unsaid; left out, three, or a tenth of those there are.
    #[schemars(range(min = 0, max = 100_000))]
    deletes: Option<u32>,
    /// Whether `destroy` is refused, and whatever else does not come back.
    #[schemars(extend("default" = false))]
    prevent_destroy: Option<bool>,
}

/// What of the lints (docs/lint.md) is meant.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Lint {
    /// Each with its reason.
    allow: Option<Vec<Allowed>>,
    /// More days than these between two rotations are told.
    #[schemars(range(min = 1, max = 1000), extend("default" = 90))]
    slow_after_days: Option<u32>,
}

/// A lint that is meant.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Allowed {
    /// Which lint.
    code: Code,
    /// Whose: a login, a CIDR, a proxy; left out, anybody's.
    of: Option<String>,
    /// Why it is meant.
    #[schemars(regex(pattern = r"\S"))]
    reason: String,
}

/// Defaults for every user, each of whom may set these keys for itself.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rotation {
    /// Whether a user and its clone take turns, or one role changes its own password.
    #[schemars(extend("default" = "alternating-users"))]
    strategy: Option<Strategy>,
    /// How long after one rotation the next is due: 1 day to 1000 days, or 4 to 23 hours.
    every: Option<Every>,
    /// Instead of `every`: at given times (UTC), in AWS's six fields.
    cron: Option<CronText>,
    /// The hours within which a rotation may start.
    window: Option<Window>,
    /// For how many days a deleted secret can be restored.
    #[schemars(extend("default" = 30))]
    recovery_days: Option<RecoveryDays>,
    /// How passwords are made, from the next rotation on; the admin's too.
    passwords: Option<Passwords>,
    /// What becomes of the roles of a user that is taken out of the file.
    #[schemars(extend("default" = "keep"))]
    on_remove: Option<OnRemove>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Passwords {
    /// AWS's own, or letters, digits and -._~ only.
    Preset(Preset),
    Rules(PasswordRules),
}

/// Length, and what is left out.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("not" = { "required": ["preset", "exclude"] }))]
struct PasswordRules {
    /// Characters.
    #[schemars(extend("default" = 32))]
    length: Option<PasswordLength>,
    /// What is left out, by its name.
    #[schemars(extend("default" = "default"))]
    preset: Option<Preset>,
    /// Characters that are left out.
    exclude: Option<String>,
}

/// The login that rotates the others, and itself.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Admin {
    /// Its name in PostgreSQL.
    login: String,
    /// Name of its secret.
    secret: SecretName,
    /// The database it connects to.
    #[schemars(extend("default" = "postgres"))]
    database: Option<String>,
    /// How long after one rotation the next is due: 1 day to 1000 days, or 4 to 23 hours.
    #[schemars(extend("default" = "30 days"))]
    every: Option<Every>,
    /// Instead of `every`: at given times (UTC), in AWS's six fields.
    cron: Option<CronText>,
    /// The hours within which a rotation may start.
    window: Option<Window>,
    /// For how many days its deleted secret can be restored.
    recovery_days: Option<RecoveryDays>,
    /// How its passwords are made.
    passwords: Option<Passwords>,
    /// Whether a secret of that name that is there already is taken over, with its value.
    #[schemars(extend("default" = false))]
    adopt: Option<bool>,
}

/// Logins that have all but their names in common.
struct Users;

impl JsonSchema for Users {
    fn schema_name() -> Cow<'static, str> {
        "Users".into()
    }

    /// What a user has, but for its name.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = User::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            json!("Logins that have all but their names in common: each is as if written out."),
        );
        schema.insert("required".to_owned(), json!(["logins", "secret"]));
        let Some(Value::Object(keys)) = schema.get_mut("properties") else { return schema };
        let of_users = Map::from_iter([
            (
                "logins".to_owned(),
                json!({
                    "description": "Their names in PostgreSQL.",
                    "type": "array",
                    "items": { "type": "string" },
                    "minItems": 1,
                }),
            ),
            (
                "secret".to_owned(),
                json!({
                    "description": "Names of their secrets, each with a login's name in the place of {login}.",
                    "type": "string",
                    "pattern": r"^[A-Za-z0-9/_+=.@-]*\{login\}([A-Za-z0-9/_+=.@-]|\{login\})*$",
                }),
            ),
        ]);
        let shared = std::mem::take(keys).into_iter().filter(|(key, _)| key != "login" && key != "secret");
        *keys = of_users.into_iter().chain(shared).collect();
        schema
    }
}

/// A login of an application.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct User {
    /// Its name in PostgreSQL.
    login: String,
    /// Name of its secret.
    secret: SecretName,
    /// The database it connects to.
    #[schemars(extend("default" = "postgres"))]
    database: Option<String>,
    /// Whether it and its clone take turns, or it changes its own password.
    strategy: Option<Strategy>,
    /// How long after one rotation the next is due: 1 day to 1000 days, or 4 to 23 hours.
    every: Option<Every>,
    /// Instead of `every`: at given times (UTC), in AWS's six fields.
    cron: Option<CronText>,
    /// The hours within which a rotation may start.
    window: Option<Window>,
    /// For how many days its deleted secret can be restored.
    recovery_days: Option<RecoveryDays>,
    /// How its passwords are made.
    passwords: Option<Passwords>,
    /// Whether a secret or a role of that name that is there already is taken over.
    #[schemars(extend("default" = false))]
    adopt: Option<bool>,
    /// Roles it shall be a member of.
    member_of: Option<Vec<String>>,
    /// PostgreSQL's settings of the role.
    settings: Option<BTreeMap<String, Setting>>,
    /// Connections it may have at once.
    #[schemars(range(min = 1, max = 262_143))]
    connection_limit: Option<u32>,
    /// Until when it may log in, with the offset from UTC.
    valid_until: Option<Moment>,
}
