//! The codes by which every error can be looked up in `docs/errors.md`. They are stable: scripts match on
//! them, and on nothing else of an error's text.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// Exit codes, as documented for scripts.
pub mod exit {
    /// Done, or nothing to do.
    pub const CLEAN: u8 = 0;
    /// It did not work, and nothing was done.
    pub const ERROR: u8 = 1;
    /// Changes are pending, where the caller asked to be told so.
    pub const PENDING: u8 = 2;
    /// A target moved after the plan was made.
    pub const STALE: u8 = 3;
    /// pgrotate will not do it.
    pub const REFUSED: u8 = 4;
    /// Some of the plan is done, some is not.
    pub const PARTLY: u8 = 5;
}

/// Writes the enum, its list and its texts, so that no code lacks one of them.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal, $kind:ident;)+) => {
        /// What kind of error it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $code),+ }

        impl Code {
            /// All of them, in the order of the list below.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// As it is written: in messages, in JSON and in the documentation.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$code => $text),+ }
            }

            /// How the command ends that fails with nothing else. (An `apply` that has carried out a part of its
            /// plan ends with [`exit::PARTLY`], whatever stopped it.)
            pub const fn exit(self) -> u8 {
                match self { $(Self::$code => exit::$kind),+ }
            }
        }
    };
}

codes! {
    /// The command line is not one that pgrotate knows.
    Usage = "usage", ERROR;
    /// Standard output cannot be written, or the terminal not be read.
    Io = "io", ERROR;
    /// The journal cannot be written.
    JournalUnwritable = "journal-unwritable", ERROR;
    /// The journal cannot be read, or tells of no run of this deployment.
    JournalUnreadable = "journal-unreadable", ERROR;
    /// A mistake of pgrotate's own.
    Internal = "internal", ERROR;

    /// The config file cannot be read, or is far too long.
    ConfigUnreadable = "config-unreadable", ERROR;
    /// A directory has no file that declares a deployment.
    NoDeployment = "no-deployment", ERROR;
    /// The config file is not text.
    NotUtf8 = "not-utf-8", ERROR;
    /// The config file is not TOML.
    TomlSyntax = "toml-syntax", ERROR;
    /// A key that no table of that name has.
    UnknownKey = "unknown-key", ERROR;
    /// A key or table that must be there is not.
    MissingKey = "missing-key", ERROR;
    /// The config uses a variable that the environment does not have.
    MissingVariable = "missing-variable", ERROR;
    /// A value of another type than its key takes.
    WrongType = "wrong-type", ERROR;
    /// A value that its key cannot have.
    BadValue = "bad-value", ERROR;
    /// A name that AWS or PostgreSQL does not take.
    BadName = "bad-name", ERROR;
    /// A name that belongs to AWS, RDS or PostgreSQL themselves.
    ReservedName = "reserved-name", ERROR;
    /// A schedule that Secrets Manager does not take.
    BadSchedule = "bad-schedule", ERROR;
    /// Keys that exclude each other.
    ConflictingKeys = "conflicting-keys", ERROR;
    /// The same thing declared twice, or one role or secret for two logins.
    Duplicate = "duplicate", ERROR;
    /// A good value that this release cannot handle.
    NotSupported = "not-supported", ERROR;
    /// The config names a VPC or subnet that AWS does not have.
    NotThere = "not-there", ERROR;
    /// The VPC or its subnets do not fit the deployment.
    UnfitNetwork = "unfit-network", ERROR;
    /// The deployment has nothing at that address.
    NoSuchAddress = "no-such-address", ERROR;
    /// The deployment has no such login.
    NoSuchLogin = "no-such-login", ERROR;

    /// No zip of the functions to deploy.
    ZipMissing = "zip-missing", ERROR;
    /// A file named on the command line cannot be read.
    FileUnreadable = "file-unreadable", ERROR;
    /// The CA bundle holds no certificate.
    NoCertificate = "no-certificate", ERROR;
    /// The zip of the functions cannot be used.
    ZipUnusable = "zip-unusable", ERROR;

    /// No credentials were found.
    NoCredentials = "no-credentials", ERROR;
    /// The session of the credentials has ended.
    CredentialsExpired = "credentials-expired", ERROR;
    /// AWS does not know the credentials.
    CredentialsUnknown = "credentials-unknown", ERROR;
    /// The credentials may not be the role that the config names.
    RoleNotAssumed = "role-not-assumed", ERROR;
    /// The credentials may not do it.
    AccessDenied = "access-denied", ERROR;
    /// AWS gets too many calls.
    Throttled = "throttled", ERROR;
    /// AWS does not answer.
    AwsUnreachable = "aws-unreachable", ERROR;
    /// AWS refuses a call for another reason, which its own code tells.
    AwsRefused = "aws-refused", ERROR;
    /// AWS answered what its API does not promise.
    AwsUnexpected = "aws-unexpected", ERROR;

    /// A function was asked what it does not understand, or answered what this pgrotate does not.
    FunctionOutdated = "function-outdated", ERROR;
    /// A function never touches what it was asked to touch.
    FunctionRefused = "function-refused", ERROR;
    /// A function refuses a secret that is not the deployment's, or says what it may not say.
    SecretRefused = "secret-refused", ERROR;
    /// A function refuses a role without this deployment's comment.
    RoleNotOurs = "role-not-ours", ERROR;
    /// A function cannot reach the database.
    DatabaseUnreachable = "database-unreachable", ERROR;
    /// The database refused a login or a statement.
    DatabaseRefused = "database-refused", ERROR;
    /// Secrets Manager refused a call of a function.
    SecretsManagerRefused = "secrets-manager-refused", ERROR;
    /// A function's environment or CA bundle is not usable.
    FunctionMisconfigured = "function-misconfigured", ERROR;
    /// Another run is at the login.
    LoginBusy = "login-busy", ERROR;
    /// Roles that are to be dropped own or may something, or are logged in.
    RoleInUse = "role-in-use", ERROR;
    /// A function ended without an answer of its own.
    FunctionCrashed = "function-crashed", ERROR;

    /// An action's target did not settle in time.
    TimedOut = "timed-out", ERROR;
    /// An action's target reached a state that it cannot leave by itself.
    Stuck = "stuck", ERROR;
    /// A rotation has failed or not finished.
    RotationFailed = "rotation-failed", ERROR;
    /// A saved plan is cut short, was changed, or is of a form that this pgrotate does not know.
    PlanDamaged = "plan-damaged", REFUSED;
    /// A saved plan is for another command, another pgrotate or other functions.
    PlanUnfit = "plan-unfit", REFUSED;
    /// An action's target moved after the plan was made.
    Stale = "stale", STALE;

    /// The credentials are of another account than the config allows.
    WrongAccount = "wrong-account", REFUSED;
    /// Two files declare the same deployment.
    DeclaredTwice = "declared-twice", REFUSED;
    /// GitHub starts no job for each of so many deployments.
    TooManyJobs = "too-many-jobs", REFUSED;
    /// A login is broken by what pgrotate does not change.
    NotRecoverable = "not-recoverable", REFUSED;
    /// Nobody said yes.
    NotConfirmed = "not-confirmed", REFUSED;
    /// It exists, and pgrotate did not make it.
    NotOurs = "not-ours", REFUSED;
    /// Things of its kind are not taken over by their address.
    NeverAdopted = "never-adopted", REFUSED;
    /// The config refers to what AWS does not have.
    NoSuchResource = "no-such-resource", REFUSED;
    /// A cluster of somebody else is not such that its logins can rotate.
    UnfitCluster = "unfit-cluster", REFUSED;
    /// An instance of somebody else is not such that its logins can rotate.
    UnfitInstance = "unfit-instance", REFUSED;
    /// RDS does not offer the version.
    NotOffered = "not-offered", REFUSED;
    /// It could not be looked at.
    Unobservable = "unobservable", REFUSED;
    /// AWS cannot change it in place, or pgrotate does not.
    CannotChange = "cannot-change", REFUSED;
    /// A plan removes more than it may without being told so.
    TooManyDeletes = "too-many-deletes", REFUSED;
    /// The config has lints that it does not allow, and was asked to have none.
    Linted = "linted", REFUSED;
    /// A plan takes away an instance that nobody has named.
    MustBeNamed = "must-be-named", REFUSED;
    /// It is declared with deletion protection.
    Protected = "protected", REFUSED;
    /// The VPC has an endpoint of the same private name.
    EndpointExists = "endpoint-exists", REFUSED;
    /// A login's secret was given another name.
    SecretRenamed = "secret-renamed", REFUSED;
    /// CloudFormation cannot leave the stack's state by itself.
    StackStuck = "stack-stuck", REFUSED;
}

impl Code {
    /// What stands before an error's message: `error[unknown-key]`, `refused[not-ours]`.
    pub fn heading(self) -> Heading {
        Heading(self)
    }
}

/// A code as the start of a message.
#[derive(Debug, Clone, Copy)]
pub struct Heading(Code);

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.0.exit() == exit::REFUSED { "refused" } else { "error" };
        write!(f, "{word}[{}]", self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<_> = Self::ALL.iter().map(|code| code.text()).collect();
        json_schema!({ "description": "Which error it is: docs/errors.md.", "type": "string", "enum": all })
    }
}

/// Target of all that `--verbose` tells: of what goes on in this process, nothing else is told.
pub const LOG: &str = "pgrotate";

/// An error that can be looked up, and says what to do about it.
pub trait Coded: Error {
    /// Under which code it is documented.
    fn code(&self) -> Code;
    /// The next command, or what else to do.
    fn hint(&self) -> String;
}

/// What to do about a mistake of ours.
pub const REPORT_IT: &str = "a mistake of pgrotate's own: please report it, with the command and what it printed";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_code_is_short_and_its_own() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for text in texts {
            let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(plain && text.len() <= 24, "{text}");
        }
    }
}
