//! Why an invocation failed, as the CLI gets to see it.

use crate::config::ConfigError;
use crate::database::{DatabaseError, identifier};
use crate::roles::ServerFacts;
use crate::secret::SecretError;
use crate::store::StoreError;
use function_contract::error_type;

/// A failed invocation. [`error_type`](FunctionError::error_type) is what the CLI matches on; the message
/// says what to do next, and holds no secret: nothing here can be built from a password.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The environment does not say what this function is.
    #[error("the function's environment is not usable: {0}")]
    Config(#[from] ConfigError),
    /// The event is malformed, out of turn, or names something the function never touches.
    #[error("{0}")]
    BadEvent(String),
    /// The CLI is of another version.
    #[error(
        "this function does not understand the request ({0}): it is of another version than the pgrotate that sent it"
    )]
    NotUnderstood(serde_json::Error),
    /// The secret is not this deployment's, or names another host, user or engine than it may.
    #[error("secret {secret} is refused: {because}")]
    SecretRefused { secret: String, because: String },
    /// The JSON of a secret's version cannot be used.
    #[error("secret {secret} is refused: {source}")]
    SecretValue { secret: String, source: SecretError },
    /// A role of that name exists without this deployment's mark.
    #[error(
        "role \"{role}\" is not this deployment's: its comment does not begin with '{mark}'. If it may be taken over, \
         say so on it: COMMENT ON ROLE {quoted} IS '{mark}'{grant}",
        grant = .grant.as_deref().map(|grant| format!("; and, on PostgreSQL 16 or later: {grant}")).unwrap_or_default()
    )]
    RoleNotOurs { role: String, quoted: String, mark: String, grant: Option<String> },
    /// The login that does the work lacks ADMIN OPTION, without which it reaches no role since PostgreSQL 16.
    #[error("{source}; what is missing, on PostgreSQL 16 or later: {grant}")]
    MissingGrant { source: DatabaseError, grant: String },
    /// A setting that only a superuser gives: since PostgreSQL 15, also those of extensions that are not loaded,
    /// which any name with a dot may become.
    #[error(
        "{source}; since PostgreSQL 15 only a superuser gives a role this setting, or who was granted it: \
         {grant}. Where nobody can grant that, take it out of the login's settings"
    )]
    SettingDenied { source: DatabaseError, grant: String },
    /// The server lets a role of ours not in, for a reason that the catalogue shows.
    #[error(
        "{source}: {why}. What is declared of the login is made so by apply; all else by: pgrotate recover FILE {login}"
    )]
    Barred { why: String, login: String, source: Box<DatabaseError> },
    /// The role whose turn it is would not be let in with any password, for a reason that the catalogue shows. Nothing was
    /// changed: what keeps it out must not reach the role in use.
    #[error(
        "role {quoted}, whose turn it is, is not let in: {why}. Nothing was changed. What is declared of the login is made so \
         by apply; all else by: pgrotate recover FILE {login}"
    )]
    NotLetIn { quoted: String, why: String, login: String },
    /// A login of ours may not connect to the database in which logins are locked.
    #[error(
        "login \"{login}\" may not connect to the database in which pgrotate takes its locks. As the owner of that database: \
         {grant}"
    )]
    LockDatabaseClosed { login: String, grant: String, source: Option<Box<DatabaseError>> },
    /// RDS asks a member of rds_iam for a token, and refuses whatever password it has.
    #[error(
        "role {quoted} is a member of rds_iam, directly or by way of a group: RDS lets it in with IAM tokens and refuses every \
         password. Nothing was changed. Where it is to have a password, as the master: REVOKE rds_iam FROM the role or the \
         group; otherwise take the login out of the deployment"
    )]
    UsesIam { quoted: String },
    /// RDS's `rds.restrict_password_commands` keeps passwords to the members of rds_password.
    #[error(
        "{source}; the server restricts password commands (rds.restrict_password_commands): on it, as the master: \
         GRANT rds_password TO {quoted}"
    )]
    PasswordsRestricted { source: DatabaseError, quoted: String },
    /// Since the caller has looked, the login has changed.
    #[error("login \"{login}\" is no longer as it was when it was looked at: {because}")]
    Moved { login: String, because: String },
    /// Roles that are to be dropped are still of use to somebody.
    #[error("{0}")]
    InUse(crate::provisioning::InUse),
    /// The invocation's time is nearly up.
    #[error(
        "the time of this invocation ran out in {step}, while it waited for {waiting_for}: nothing is broken by it, and the \
         same again goes on from here"
    )]
    OutOfTime { step: &'static str, waiting_for: String },
    /// Another run holds the login's lock.
    #[error("another run holds the lock of login \"{login}\": try again when it has ended")]
    Busy { login: String },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

impl FunctionError {
    pub(crate) fn refused(secret: &str, because: impl Into<String>) -> Self {
        Self::SecretRefused { secret: secret.to_owned(), because: because.into() }
    }

    /// Says what to grant, where `login` was not let into the database in which logins are locked.
    pub(crate) fn or_lock_database_closed(self, login: &str, database: &str) -> Self {
        match self {
            Self::Database(source) if source.is_not_permitted() => Self::LockDatabaseClosed {
                login: login.to_owned(),
                grant: crate::roles::connect_grant(database, login),
                source: Some(Box::new(source)),
            },
            other => other,
        }
    }

    pub(crate) fn value(secret: &str) -> impl FnOnce(SecretError) -> Self + '_ {
        move |source| Self::SecretValue { secret: secret.to_owned(), source }
    }

    /// Says what to grant, where `login` was refused for want of ADMIN OPTION on `role`.
    pub(crate) fn or_missing_grant(self, role: &str, login: &str) -> Self {
        match self {
            Self::Database(source) if source.is_not_permitted() => {
                Self::MissingGrant { source, grant: crate::roles::admin_grant(role, login) }
            }
            other => other,
        }
    }

    /// Says what to grant, where `login`, whose session it was, was refused a password that RDS keeps to the members
    /// of rds_password. The documentation has RDS's words and not its SQLSTATE, so a member is taken to have been
    /// refused for another reason.
    pub(crate) fn or_passwords_restricted(self, server: ServerFacts, login: &str) -> Self {
        match self {
            Self::Database(source)
                if source.is_not_permitted() && server.restricts_passwords && !server.in_rds_password =>
            {
                Self::PasswordsRestricted { source, quoted: identifier(login) }
            }
            other => other,
        }
    }

    /// One of [`function_contract::error_type`].
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::Random(_) => error_type::CONFIGURATION,
            Self::BadEvent(_) => error_type::BAD_EVENT,
            Self::NotUnderstood(_) => error_type::NOT_UNDERSTOOD,
            Self::SecretRefused { .. } | Self::SecretValue { .. } => error_type::SECRET_REFUSED,
            Self::RoleNotOurs { .. } => error_type::ROLE_NOT_OURS,
            Self::Busy { .. } => error_type::BUSY,
            Self::OutOfTime { .. } | Self::Database(DatabaseError::Unreachable { .. }) => error_type::UNREACHABLE,
            Self::MissingGrant { .. }
            | Self::SettingDenied { .. }
            | Self::Barred { .. }
            | Self::NotLetIn { .. }
            | Self::LockDatabaseClosed { .. }
            | Self::UsesIam { .. }
            | Self::PasswordsRestricted { .. } => error_type::DATABASE_REFUSED,
            Self::Moved { .. } => error_type::MOVED,
            Self::InUse(_) => error_type::IN_USE,
            Self::Database(
                DatabaseError::Refused { .. } | DatabaseError::ReadOnly { .. } | DatabaseError::Unexpected { .. },
            ) => error_type::DATABASE_REFUSED,
            Self::Store(_) => error_type::SECRETS_MANAGER,
        }
    }

    /// The SQLSTATE, where a server answered.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Database(error)
            | Self::MissingGrant { source: error, .. }
            | Self::SettingDenied { source: error, .. }
            | Self::PasswordsRestricted { source: error, .. } => error.sqlstate(),
            Self::Barred { source, .. } => source.sqlstate(),
            Self::LockDatabaseClosed { source, .. } => source.as_ref()?.sqlstate(),
            _ => None,
        }
    }

    /// Whether the same thing tried again, on a new connection, may well succeed.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_passing())
    }
}
