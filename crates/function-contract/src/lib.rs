//! What the CLI and the deployed functions say to each other, and the marks both leave behind.
//!
//! The CLI links this crate and never the function itself: no PostgreSQL driver, and no type that
//! can hold a password, is reachable from it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod names;
mod obstacle;
mod password;
pub use names::{
    CLONE_SUFFIX, IDENTIFIER_BYTES, RoleComment, alternate, clone_of, decode_tag, encode_tag, name_list, same_setting,
    setting,
};
pub use obstacle::{Obstacle, obstacles, told};
pub use password::{PasswordPolicy, PolicyError};

/// Environment variables by which one binary is told which function it is and what it may touch.
pub mod env {
    /// `rotation`, `provisioning` or `inspection`.
    pub const FUNCTION: &str = "PGROTATE_FUNCTION";
    /// The deployment's name; a secret or role that carries another one is refused.
    pub const DEPLOYMENT: &str = "PGROTATE_DEPLOYMENT";
    /// `host:port,…`: the only servers the function may talk to. Empty until the CLI knows them:
    /// in a VPC whose only endpoint is Secrets Manager's the function could not look them up.
    pub const HOSTS: &str = "PGROTATE_HOSTS";
    /// ARN of the admin login's secret.
    pub const ADMIN_SECRET_ARN: &str = "PGROTATE_ADMIN_SECRET_ARN";
    /// ARN of the secret RDS keeps for the master user. Provisioning only.
    pub const MASTER_SECRET_ARN: &str = "PGROTATE_MASTER_SECRET_ARN";
    /// The database in which every advisory lock is taken. Advisory locks are per database, so all
    /// functions must agree on one.
    pub const LOCK_DATABASE: &str = "PGROTATE_LOCK_DATABASE";
}

/// Tags on secrets, read by CLI and functions alike.
pub mod tag {
    /// The deployment that owns the resource.
    pub const DEPLOYMENT: &str = "pgrotate:deployment";
    /// The resource's address in that deployment.
    pub const ADDRESS: &str = "pgrotate:address";
    /// The base login of a secret, [`encode_tag`](crate::encode_tag)d: the clone's suffix alone cannot
    /// tell `x_clone` the clone from a role that is really called so.
    pub const LOGIN: &str = "pgrotate:login";
    /// How the secret's passwords are made: [`PasswordPolicy::tag`](crate::PasswordPolicy::tag). The rotation
    /// function learns no more of a login than its secret tells. Absent on a secret of before there was a choice,
    /// whose passwords are made as by default.
    pub const PASSWORDS: &str = "pgrotate:passwords";
}

/// What the rotation function measures: the names that its log lines and the stack's alarms agree on.
///
/// A metric costs by each combination of its dimensions, so a login is none of them: the log line names it.
pub mod metric {
    pub const NAMESPACE: &str = "pgrotate";
    /// A key of every log line, and the dimension of all metrics.
    pub const DEPLOYMENT: &str = "deployment";
    /// A key of every log line, and the second dimension of [`STEP_MILLISECONDS`].
    pub const STEP: &str = "step";
    /// 1 where a step failed, 0 where it did not.
    pub const ROTATION_FAILED: &str = "RotationFailed";
    /// 1 where AWSCURRENT did not log in and the step mended that, 0 otherwise.
    pub const LOGIN_REPAIRED: &str = "LoginRepaired";
    /// How long a step took.
    pub const STEP_MILLISECONDS: &str = "StepMilliseconds";
}

/// Labels of ours on secret versions, beside AWS's. Only single-user rotation needs them: they name every
/// version whose password the database may hold, so that a crash between database and secret can lock
/// nobody out.
pub mod label {
    /// The version whose password was last being set. In everyday running it is AWSCURRENT's too.
    pub const SETTING: &str = "PGROTATE_SETTING";
    /// A version that was found to log in although it is not AWSCURRENT: an earlier rotation died
    /// half-way. Removed when a later rotation finishes.
    pub const IN_FORCE: &str = "PGROTATE_IN_FORCE";
}

/// File name, at the zip's root, of the user's own certificate authorities (PEM).
pub const CA_BUNDLE_FILE: &str = "ca-bundle.pem";

/// How the password of a login is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Two equal roles take turns; the one in use keeps its password for a whole period.
    AlternatingUsers,
    /// One role changes its own password.
    SingleUser,
}

impl Strategy {
    /// The spelling used in config, tags and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlternatingUsers => "alternating-users",
            Self::SingleUser => "single-user",
        }
    }
}

/// What a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Rotates the others: CREATEROLE, with ADMIN OPTION on exactly them.
    Admin,
    /// Used by an application.
    User,
}

/// What the secret's JSON names the database by, beside its address. AWS's console finds by it the network in which a
/// rotation function belongs, and takes either key
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseId {
    Instance(String),
    /// A DB cluster: of Aurora PostgreSQL, or a Multi-AZ DB cluster.
    Cluster(String),
}

impl DatabaseId {
    /// Its key in the secret's JSON.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Instance(_) => "dbInstanceIdentifier",
            Self::Cluster(_) => "dbClusterIdentifier",
        }
    }

    /// The identifier itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(name) | Self::Cluster(name) => name,
        }
    }
}

/// The server a login lives on, as it goes into the secret's JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address of the instance's endpoint, or of the cluster's that leads to its writer; never a CNAME of it, which
    /// would fail certificate verification.
    pub host: String,
    pub port: u16,
    pub id: DatabaseId,
}

/// What the provisioning function is asked. There is no operation that carries SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProvisioningRequest {
    /// Makes the role and the first version of its secret agree. Safe to repeat after any failure: a
    /// value that is stored is never replaced, it is set in the database again.
    EnsureLogin(EnsureLogin),
    /// Takes LOGIN from the role and its clone. Nothing is dropped.
    DisableLogin { login: String, address: String },
    /// Drops the role and its clone, where nothing in any database depends on them.
    DropLogin { login: String, address: String },
    /// Puts a login right that does not log in, or whose rotation is stuck: one of the two ways of [`Recovery`].
    RecoverLogin(RecoverLogin),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsureLogin {
    pub login: String,
    /// `login.NAME`, written into the role's comment as the mark of ownership.
    pub address: String,
    pub duty: Duty,
    pub strategy: Strategy,
    pub secret_arn: String,
    /// The database the secret names (`dbname`).
    pub database: String,
    pub server: Server,
    #[serde(default)]
    pub attributes: RoleAttributes,
    /// Whether a role of that name that nobody has marked, and a clone of it that is a member of it, are taken over: as
    /// AWS's own rotation function makes both. One with another deployment's mark never is.
    #[serde(default)]
    pub adopt: bool,
}

/// Asked by `pgrotate recover`, of a login whose state a person has seen and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverLogin {
    pub login: String,
    /// `login.NAME`, as in the role's comment.
    pub address: String,
    pub duty: Duty,
    pub strategy: Strategy,
    pub secret_arn: String,
    #[serde(default)]
    pub attributes: RoleAttributes,
    /// The version that carried AWSCURRENT when that state was seen. Another one under the login's lock is refused
    /// ([`error_type::MOVED`]), and nothing is done.
    pub current: String,
    pub recovery: Recovery,
}

/// How a login is put right. Neither takes a password away that logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Gives AWSCURRENT to a labelled version that logs in, where AWSCURRENT does not, or where that version is the
    /// AWSPENDING of a rotation that lacks nothing but its last step.
    MakeCurrent { version: String },
    /// Makes the database agree with the secret: the roles exist, may log in, and have the passwords of AWSCURRENT
    /// and, under alternating users, AWSPREVIOUS. NOLOGIN, a CONNECTION LIMIT of 0 and a VALID UNTIL that has passed
    /// are taken back, to what is declared or to none. A password that logs in is never set again.
    SetAgain,
}

/// What a deployment declares of a role beside its name. What is not declared is left alone; rotation
/// mirrors all of it to the clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleAttributes {
    /// Roles it must be a member of.
    pub member_of: BTreeSet<String>,
    /// Settings for all databases, as `ALTER ROLE … SET` takes them.
    pub settings: BTreeMap<String, String>,
    /// -1: no limit.
    pub connection_limit: Option<i32>,
    /// RFC 3339, UTC.
    pub valid_until: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    pub login: String,
    /// The secret version whose password the database now holds. None after `disable_login` and `drop_login`.
    pub version: Option<String>,
    pub role_created: bool,
    pub value_stored: bool,
    /// What a person should know; never a secret.
    pub notes: Vec<String>,
}

/// What the inspection function is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectionRequest {
    pub logins: Vec<InspectLogin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectLogin {
    pub login: String,
    pub secret_arn: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionReport {
    /// In the order of the request.
    pub logins: Vec<LoginFacts>,
}

/// A fact, or why it could not be had. Absence is a fact; being unable to look is not absence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    Known(T),
    Unknown(String),
}

/// Of a function that is older than what it is asked.
fn not_looked_at<T>() -> Fact<T> {
    Fact::Unknown("the function does not look at it".to_owned())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFacts {
    pub login: String,
    /// None inside: the role does not exist.
    pub role: Fact<Option<RoleFacts>>,
    pub clone: Fact<Option<RoleFacts>>,
    /// What the clone owns: its base can change none of it. One of ours works as its base and makes nothing of its own.
    #[serde(default = "not_looked_at")]
    pub clone_owns: Fact<Vec<Owned>>,
    /// Sessions that are open as the role or its clone at this moment, by role; those of our own functions are left out. A
    /// role with none is left out too.
    #[serde(default = "not_looked_at")]
    pub sessions: Fact<BTreeMap<String, i64>>,
    /// Every labelled version that holds a value, newest label first (AWSCURRENT, AWSPENDING,
    /// AWSPREVIOUS, others).
    pub versions: Vec<VersionFacts>,
}

/// Objects of one role in one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// None: what all databases share, such as a database itself.
    pub database: Option<String>,
    pub objects: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFacts {
    pub comment: Option<String>,
    pub can_login: bool,
    pub create_role: bool,
    pub superuser: bool,
    /// -1: no limit.
    pub connection_limit: i32,
    /// As PostgreSQL prints it in UTC; None: no expiry.
    pub valid_until: Option<String>,
    /// Whether that has passed, by the server's own clock.
    #[serde(default)]
    pub expired: bool,
    /// Roles it is a member of.
    pub member_of: Vec<String>,
    /// Roles that hold ADMIN OPTION on it.
    pub administered_by: Vec<String>,
    /// Settings for all databases.
    pub settings: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionFacts {
    pub version: String,
    pub labels: Vec<String>,
    /// The user name the version holds.
    pub username: Option<String>,
    /// Keys that AWS's tools need and this version lacks.
    pub missing_keys: Vec<String>,
    /// `host:port` the version names.
    pub host: Option<String>,
    /// The database it names.
    pub database: Option<String>,
    /// The instance it names.
    pub instance: Option<String>,
    /// The cluster it names.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Whether it names the admin login's secret, as those of alternating users do.
    pub alternating: bool,
    pub login: LoginAttempt,
}

/// What came of logging in with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginAttempt {
    Succeeded,
    /// The server answered no: [`obstacles`] tells why.
    Refused {
        sqlstate: String,
        message: String,
    },
    /// No answer: network, TLS or a host that is not allowed.
    Unreachable {
        message: String,
    },
    /// The version holds no usable value.
    NoValue,
}

/// Time of one invocation, in seconds: what the stack gives each function, and what a function's own limits are
/// measured against.
pub const FUNCTION_TIMEOUT_SECONDS: u32 = 60;

/// `errorType` of a failed invocation. The CLI matches on these, never on a message.
pub mod error_type {
    /// The request is not of a kind that this version of the function knows.
    pub const NOT_UNDERSTOOD: &str = "RequestNotUnderstood";
    /// The event is malformed or names something the function never touches.
    pub const BAD_EVENT: &str = "BadEvent";
    /// The secret is not this deployment's, or names another host, user or engine than it may.
    pub const SECRET_REFUSED: &str = "SecretRefused";
    /// A role of that name exists without this deployment's comment.
    pub const ROLE_NOT_OURS: &str = "RoleNotOurs";
    /// The server could not be reached, or TLS verification failed.
    pub const UNREACHABLE: &str = "DatabaseUnreachable";
    /// The server refused a login or a statement; the message holds the SQLSTATE.
    pub const DATABASE_REFUSED: &str = "DatabaseRefused";
    /// Secrets Manager refused a call; the message holds AWS's code.
    pub const SECRETS_MANAGER: &str = "SecretsManagerError";
    /// The function's environment or its CA bundle is not usable: the deployment is to be repaired.
    pub const CONFIGURATION: &str = "BadConfiguration";
    /// Another run holds the login's lock.
    pub const BUSY: &str = "LoginBusy";
    /// The login is no longer as it was when the request was made: look again.
    pub const MOVED: &str = "LoginMoved";
    /// A role to be dropped owns objects, holds grants, or is logged in.
    pub const IN_USE: &str = "RoleInUse";

    /// All of them, for tests that none is forgotten.
    pub const ALL: &[&str] = &[
        NOT_UNDERSTOOD,
        BAD_EVENT,
        SECRET_REFUSED,
        ROLE_NOT_OURS,
        UNREACHABLE,
        DATABASE_REFUSED,
        SECRETS_MANAGER,
        CONFIGURATION,
        BUSY,
        MOVED,
        IN_USE,
    ];
}
