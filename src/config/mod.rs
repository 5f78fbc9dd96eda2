//! The config file: one deployment, as declared. Parsing is strict and tells everything it finds wrong
//! at once, each with its line; what needs no AWS is checked here, what needs AWS in the plan.

mod alerts;
mod attributes;
mod check;
mod cron;
mod declares;
mod error;
mod files;
mod keys;
mod limits;
mod lints;
mod logins;
mod overlay;
mod passwords;
mod read;
mod rhythm;
mod roles;
mod schedule;
mod schema;
mod schema_rules;
mod source;
mod tables;
mod tags;
#[cfg(test)]
mod tests;
mod users;
mod variables;

pub use declares::{Folder, folder};
pub use error::{ConfigError, Errors};
pub use files::{Machine, Outside, extended, load, load_text, parse, read};
pub use keys::{Key, keys};
pub use limits::Limits;
pub use lints::{Allowed, LintCode, Lints};
pub use rhythm::{Rhythm, Traps};
pub use schema::schema;
pub use source::{Line, Source};
pub use tables::OF_MANAGED;

use function_contract::{PasswordPolicy, RoleAttributes, Strategy};
use std::collections::BTreeMap;
use std::ops::Range;

/// A declared deployment. Every field is checked; defaults are filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// 1-40 characters of `a-z`, `0-9` and `-`, starting with a letter: it becomes part of bucket, stack
    /// and group names.
    pub deployment: String,
    pub aws: Aws,
    pub network: Network,
    pub database: Database,
    pub function: Function,
    /// Who is told of rotations that fail; None: the alarms show it, and nobody is told.
    pub alerts: Option<Alerts>,
    pub limits: Limits,
    pub lint: Lints,
    /// Tags of everything that is made here and takes tags, key to value.
    pub tags: BTreeMap<String, String>,
    /// Of every login: a removed one's own table is gone.
    pub on_remove: OnRemove,
    pub admin: Login,
    /// In the file's order; at least one.
    pub users: Vec<Login>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aws {
    pub region: String,
    /// Twelve digits; any other account is refused.
    pub account: Option<String>,
    /// ARN of a role that is assumed for everything; None: the credentials that were found do it themselves.
    pub assume_role: Option<String>,
}

impl Aws {
    /// The only account that anything is done in, where the file says so: the guard's, or the role's.
    pub fn declared_account(&self) -> Option<&str> {
        let of_role = || self.assume_role.as_deref().and_then(|role| role.split(':').nth(4));
        self.account.as_deref().or_else(of_role)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// By its id.
    pub vpc: Located<Choice<String>>,
    /// By their ids, at least two.
    pub subnets: Located<Choice<Vec<Located<String>>>>,
    /// Located at the VPC where it is not said.
    pub secrets_manager: Located<SecretsManagerPath>,
    /// Who else may reach the database port.
    pub allow: Vec<Allow>,
    /// CIDRs that may use the endpoint; None: all CIDRs of the VPC, since its private DNS captures every
    /// client in it.
    pub endpoint_clients: Option<Vec<String>>,
    /// Rules in our security groups that pgrotate did not make are revoked; otherwise they are reported.
    pub revoke_unmanaged_rules: bool,
    /// Whether an endpoint, and groups of our names, that others have made are taken over.
    pub adopt: bool,
}

/// What is named, or what has all of some tags; which that is, AWS has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<T> {
    These(T),
    /// One tag at least.
    Tagged(BTreeMap<String, String>),
}

impl Network {
    /// None: it has not been looked up.
    pub fn vpc_id(&self) -> Option<&str> {
        match &self.vpc.value {
            Choice::These(id) => Some(id),
            Choice::Tagged(_) => None,
        }
    }

    /// None: they have not been looked up.
    pub fn subnet_ids(&self) -> Option<&[Located<String>]> {
        match &self.subnets.value {
            Choice::These(ids) => Some(ids),
            Choice::Tagged(_) => None,
        }
    }
}

/// How the functions reach Secrets Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretsManagerPath {
    /// An interface endpoint that this deployment makes.
    Endpoint,
    /// An interface endpoint with private DNS that is there already.
    ExistingEndpoint,
    /// The subnets have a NAT gateway.
    Nat,
}

impl SecretsManagerPath {
    /// As the config writes it.
    pub fn text(self) -> &'static str {
        tables::PATHS.iter().find(|(_, path)| *path == self).map_or("", |(text, _)| text)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Allow {
    pub from: Client,
    pub description: String,
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq)]
pub enum Client {
    /// As AWS spells it.
    Cidr(Located<String>),
    /// Whatever is in this security group, by its id.
    Group(Located<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Of the instance, or of the cluster.
    pub identifier: Located<String>,
    /// It is a DB cluster, of Aurora PostgreSQL say: only referred to, never made or changed.
    pub is_cluster: bool,
    pub port: u16,
    /// Name of a security group that exists and that the instance has or shall have; our rules come and go in
    /// it, and nothing else of it is changed. None: one of our own is made.
    pub security_group: Option<Located<String>>,
    /// What is declared of the instance (`manage = true`); None: it exists, is only referred to, never changed. None of a
    /// cluster.
    pub instance: Option<Instance>,
}

impl Database {
    /// The DB instance's identifier, unless it is a cluster.
    pub fn instance_identifier(&self) -> Option<&str> {
        (!self.is_cluster).then_some(self.identifier.value.as_str())
    }
}

/// An instance that pgrotate makes and keeps as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub subnet_group: SubnetGroup,
    /// `16` (any minor version) or `16.8` (at least that one).
    pub engine_version: Located<String>,
    /// Instance class, such as `db.t3.micro`.
    pub class: String,
    pub storage: Storage,
    /// Retention of automated backups, 0-35 days.
    pub backup_days: Located<u32>,
    pub public: Located<bool>,
    /// Name of the master user; RDS keeps its password.
    pub master: String,
    pub deletion_protection: Located<bool>,
    /// Whether `destroy` leaves a final snapshot.
    pub final_snapshot: Located<bool>,
    pub encrypted: Located<bool>,
    /// Whether an instance and a subnet group of these names that others have made are taken over.
    pub adopt: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SubnetGroup {
    pub name: Located<String>,
    /// It is there, and only referred to; otherwise it is made.
    pub existing: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// 20-65536 GiB.
    pub gib: u32,
    /// `gp2` or `gp3`; provisioned IOPS are not offered yet.
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Name of the rotation function; the others add `-provisioning` and `-inspection` to it.
    pub name: Located<String>,
    /// A bucket that exists and is only written to; None: one of our own is made.
    pub bucket: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// ARN of an SNS topic that is there: it is never made, changed or deleted. Of the deployment's region.
    pub topic: Located<String>,
}

/// A login that rotates: the admin or a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    pub login: Located<String>,
    pub secret: Located<String>,
    pub database: String,
    /// The admin's is always single user.
    pub strategy: Strategy,
    /// Located where its rule is written.
    pub schedule: Located<Schedule>,
    /// Days in which a deleted secret can be restored, 7-30.
    pub recovery_days: Located<u32>,
    /// How its passwords are made, from the next rotation on.
    pub passwords: PasswordPolicy,
    /// Whether what is there already may be taken over: the secret with what it holds, the role and its clone. The
    /// admin's role never is.
    pub adopt: bool,
    /// What is declared of the role beside its name.
    pub attributes: RoleAttributes,
    pub declared: Declared,
}

/// The table that declares a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    Admin,
    /// A `[[user]]`, by its place among them.
    User(usize),
    /// A `[[users]]`, by its place among them.
    Group(usize),
}

impl Declared {
    /// As it is headed in the file.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Admin => "[admin]",
            Self::User(_) => "[[user]]",
            Self::Group(_) => "[[users]]",
        }
    }

    /// The path of its keys, as [`Key`] has them.
    pub fn path(self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::User(place) => format!("user[{place}]"),
            Self::Group(place) => format!("users[{place}]"),
        }
    }
}

/// What becomes of the roles of a login that is no longer declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRemove {
    /// They stay, and may not log in.
    Keep,
    /// They are dropped, where nothing depends on them.
    Drop,
}

/// When Secrets Manager rotates a secret (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schedule {
    pub rule: Rule,
    /// Hours in which a rotation may start, counted from the schedule's time; None: AWS's default.
    pub window_hours: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rule {
    /// 1-1000 days after the last rotation.
    Days(u32),
    /// 4-23 hours after the last rotation.
    Hours(u32),
    /// AWS's six-field `cron(…)`.
    Cron(String),
}

/// A value and the bytes of the file it came from, so that what AWS later says of it can be shown at
/// its line.
#[derive(Debug, Clone)]
pub struct Located<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// Where it stands is not part of what it is.
impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Located<T> {}
