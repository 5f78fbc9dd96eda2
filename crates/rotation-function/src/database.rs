//! PostgreSQL: connections that are always verified, always bounded, and say why they failed.

use crate::config::{Hosts, address, unbracketed};
use crate::lock;
use crate::password::Password;
use crate::session::RoleSession;
use function_contract::FUNCTION_TIMEOUT_SECONDS;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A TCP connection within a VPC takes milliseconds; one that a security group drops takes forever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// All of connecting: name lookup, TCP, TLS and the password exchange.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(8);

/// How long one statement may take, by the server's own clock: what we run takes milliseconds.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(8);

/// One login, the wait for the login's lock and one statement, each at its longest, are at most half of an invocation: a
/// server that does not answer, or a lock that is not let go of, is told as such. A try of a step has more logins,
/// statements and calls of Secrets Manager than these; that they are not all at their longest, nobody can promise. What
/// bounds them together is `in_time` of the handler, which says what was being waited for when the time was up.
const _: () = assert!(
    2 * (LOGIN_TIMEOUT.as_secs() + lock::WAIT.as_secs() + STATEMENT_TIMEOUT.as_secs())
        <= FUNCTION_TIMEOUT_SECONDS as u64
);

/// Round trips in a session. Beyond the statement's own limit and beyond the longest wait for the login's
/// lock, so that the server's own, more telling error comes first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const _: () =
    assert!(ANSWER_TIMEOUT.as_secs() > lock::WAIT.as_secs() && ANSWER_TIMEOUT.as_secs() > STATEMENT_TIMEOUT.as_secs());

/// How long a session may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Start-up options; they outrank what ALTER ROLE … SET says.
/// - timeouts: nothing we run takes longer than milliseconds unless it waits;
/// - idle_session_timeout (which PostgreSQL has since 14): a frozen Lambda must not hold an advisory lock for as long as it stays frozen;
/// - search_path: a function or operator in someone's schema must not be run by the admin login;
/// - role: a clone logs in as its base (`ALTER ROLE … SET role`), which may not change the clone's password;
/// - default_transaction_read_only: a login that only reads, as `ALTER ROLE … SET` says, still changes its own
///   password; a standby refuses it all the same;
/// - the rest pins how values are read and printed.
const SESSION_SETTINGS: &str = "-c lock_timeout=4000 \
    -c idle_in_transaction_session_timeout=20000 -c idle_session_timeout=60000 -c search_path=pg_catalog -c role=none \
    -c default_transaction_read_only=off -c standard_conforming_strings=on -c TimeZone=UTC -c DateStyle=ISO";

/// PostgreSQL's SQLSTATE for a write where none is taken, `read_only_sql_transaction`
/// (postgresql.org/docs/current/errcodes-appendix.html).
const READ_ONLY: &str = "25006";

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No answer: the name, the network or TLS. Also a server that is not on the list.
    #[error("{server}: {because}")]
    Unreachable {
        server: String,
        because: String,
        /// Whether waiting may help: not for a certificate that does not verify.
        passing: bool,
    },
    /// The server's own no.
    #[error("{server} refused {what}: {message} (SQLSTATE {sqlstate})")]
    Refused { server: String, what: &'static str, sqlstate: String, message: String },
    /// It takes no writes: a replica, or a writer that has just become one in a failover.
    #[error(
        "{server} refused {what}: this server is a read-only replica (SQLSTATE {READ_ONLY}), and a password is only set on \
         the writer: the host in the secret must be the writer, or a replica of it that the deployment knows; apply \
         the deployment, which tells its functions the servers of now"
    )]
    ReadOnly { server: String, what: &'static str },
    /// The driver does not understand the answer.
    #[error("{server} gave an unexpected answer to {what}: {because}")]
    Unexpected { server: String, what: &'static str, because: String },
}

impl DatabaseError {
    /// The server's SQLSTATE, where it answered.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Refused { sqlstate, .. } => Some(sqlstate),
            Self::ReadOnly { .. } => Some(READ_ONLY),
            Self::Unreachable { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// Whether it is one of the errors a failover, a restart or a short outage makes.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { passing, .. } => *passing,
            // Administrator's shutdown, still starting, connection exceptions. (57P02, a crash of another
            // backend, ends connections likewise.)
            Self::Refused { sqlstate, .. } => {
                matches!(sqlstate.as_str(), "57P01" | "57P02" | "57P03") || sqlstate.starts_with("08")
            }
            // In a failover a writer becomes a reader, and its name then leads to the new writer.
            Self::ReadOnly { .. } => true,
            Self::Unexpected { .. } => false,
        }
    }

    /// Whether the server refused the login itself: a wrong password, an unknown or expired role
    /// (28P01), no LOGIN or no matching pg_hba line (28000).
    pub fn is_bad_login(&self) -> bool {
        self.sqlstate().is_some_and(|state| state.starts_with("28"))
    }

    /// Whether it was the password that the server refused, or an expiry, which it does not tell from one. Nothing
    /// else that it says of a login would be different with another password.
    pub fn is_wrong_password(&self) -> bool {
        self.sqlstate() == Some(SqlState::INVALID_PASSWORD.code())
    }

    /// Whether no more sessions are let in: a limit of the role's, the database's or the server's.
    pub fn is_too_many(&self) -> bool {
        self.sqlstate() == Some(SqlState::TOO_MANY_CONNECTIONS.code())
    }

    /// Whether the server refused for lack of privilege.
    pub fn is_not_permitted(&self) -> bool {
        self.sqlstate() == Some(SqlState::INSUFFICIENT_PRIVILEGE.code())
    }

    /// Whether a lock was not to be had in time.
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate() == Some(SqlState::LOCK_NOT_AVAILABLE.code())
    }
}

/// Where and as whom to log in.
pub struct Login<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub username: &'a str,
    pub password: &'a Password,
}

/// Something one can log in to. The product has one implementation, [`Postgres`]; tests wrap it to fail at
/// chosen points.
pub trait Database: Sync {
    type Session: RoleSession;

    /// Logs in, once.
    fn connect(&self, login: &Login<'_>) -> impl Future<Output = Result<Self::Session, DatabaseError>> + Send;
}

/// A logged-in session that takes SQL. A rotation asks for no more than [`RoleSession`]; provisioning and inspection
/// need this.
pub trait Session: Send + Sync {
    /// Rows of a query that changes nothing.
    fn query(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> impl Future<Output = Result<Vec<Row>, DatabaseError>> + Send;

    /// Runs statements that change something, together: all or nothing.
    fn change(&self, what: &'static str, sql: &str) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// Says goodbye and waits for it to be sent. A session that is only dropped may keep its locks: Lambda
    /// freezes the process the moment it has answered.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What the functions' sessions call themselves, for whoever looks at `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "pgrotate";

/// PostgreSQL over verified TLS.
#[derive(Clone)]
pub struct Postgres {
    tls: MakeRustlsConnect,
    hosts: Arc<Hosts>,
}

impl Postgres {
    /// Connects only to `hosts`, only as `tls` verifies.
    pub fn new(tls: rustls::ClientConfig, hosts: Hosts) -> Self {
        Self { tls: MakeRustlsConnect::new(tls), hosts: Arc::new(hosts) }
    }
}

impl Database for Postgres {
    type Session = PostgresSession;

    async fn connect(&self, login: &Login<'_>) -> Result<PostgresSession, DatabaseError> {
        let server = address(login.host, login.port);
        let host = unbracketed(login.host);
        if !self.hosts.allow(login.host, login.port) {
            let because =
                "it is not among the servers this function may talk to: apply the deployment again".to_owned();
            return Err(DatabaseError::Unreachable { server, because, passing: false });
        }
        let mut config = Config::new();
        config
            .host(host)
            .port(login.port)
            .dbname(login.database)
            .user(login.username)
            .password(login.password.expose())
            .application_name(APPLICATION_NAME)
            .options(format!("-c statement_timeout={} {SESSION_SETTINGS}", STATEMENT_TIMEOUT.as_millis()))
            .connect_timeout(CONNECT_TIMEOUT)
            // Anything less would fall back to plain text.
            .ssl_mode(SslMode::Require);
        if let Ok(address) = host.parse::<IpAddr>() {
            config.hostaddr(address);
        }
        let connecting = tokio::time::timeout(LOGIN_TIMEOUT, config.connect(self.tls.clone()));
        let (client, connection) = match connecting.await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(failed(&server, "the login", &error)),
            Err(_) => return Err(silent(&server, LOGIN_TIMEOUT)),
        };
        // What the connection's end was, the failing statement reports.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(PostgresSession { client, driver, server })
    }
}

/// A session of [`Postgres`].
pub struct PostgresSession {
    client: Client,
    driver: JoinHandle<()>,
    server: String,
}

impl Session for PostgresSession {
    async fn query(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, DatabaseError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.query_typed(sql, parameters)).await {
            Ok(answer) => answer.map_err(|error| failed(&self.server, what, &error)),
            Err(_) => Err(silent(&self.server, ANSWER_TIMEOUT)),
        }
    }

    async fn change(&self, what: &'static str, sql: &str) -> Result<(), DatabaseError> {
        // Several statements in one simple query are one transaction.
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.batch_execute(sql)).await {
            Ok(answer) => answer.map_err(|error| failed(&self.server, what, &error)),
            Err(_) => Err(silent(&self.server, ANSWER_TIMEOUT)),
        }
    }

    async fn close(self) {
        let Self { client, mut driver, server: _ } = self;
        drop(client);
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

fn silent(server: &str, limit: Duration) -> DatabaseError {
    let because = format!("no answer within {} seconds", limit.as_secs());
    DatabaseError::Unreachable { server: server.to_owned(), because, passing: true }
}

fn failed(server: &str, what: &'static str, error: &tokio_postgres::Error) -> DatabaseError {
    let server = server.to_owned();
    if let Some(answer) = error.as_db_error() {
        let (sqlstate, message) = (answer.code().code().to_owned(), answer.message().to_owned());
        // Our sessions ask for read and write, so that it is the server that will not.
        if sqlstate == READ_ONLY {
            return DatabaseError::ReadOnly { server, what };
        }
        return DatabaseError::Refused { server, what, sqlstate, message };
    }
    let mut because = error.to_string();
    let mut tls: Option<&rustls::Error> = None;
    let mut io = error.is_closed();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        because = format!("{because}: {inner}");
        if let Some(failure) = inner.downcast_ref::<std::io::Error>() {
            io = true;
            tls = tls.or_else(|| failure.get_ref().and_then(|inner| inner.downcast_ref()));
        }
        tls = tls.or_else(|| inner.downcast_ref());
        cause = inner.source();
    }
    if let Some(tls) = tls {
        because.push_str(advice(tls));
        DatabaseError::Unreachable { server, because, passing: false }
    } else if io {
        DatabaseError::Unreachable { server, because, passing: true }
    } else if what == "the login" {
        // Among others a server that does not speak TLS, which no repetition changes.
        DatabaseError::Unreachable { server, because, passing: false }
    } else {
        DatabaseError::Unexpected { server, what, because }
    }
}

/// What to do about a server that does not verify, as a continuation of the error. Never to do without.
fn advice(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else { return "" };
    match bad {
        // A bad signature: of an authority that calls itself by the name of one we know.
        Bad::UnknownIssuer | Bad::BadSignature => {
            "; where the server's authority is not one of Amazon RDS, add it to the deployment's CA bundle (--ca-bundle) \
             and apply"
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "; the host in the secret must be a name that the server's certificate holds: of RDS the endpoint's own, no \
             alias of it"
        }
        Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "; the server needs a certificate that is valid now: of RDS, change the instance's certificate authority"
        }
        _ => "",
    }
}

/// A column of a row. Text that is not UTF-8, as a database of encoding SQL_ASCII may hold it, is an error here and
/// not a panic.
pub fn column<'r, T: FromSql<'r>>(row: &'r Row, index: usize) -> Result<T, DatabaseError> {
    row.try_get(index).map_err(|error| DatabaseError::Unexpected {
        server: "the server".to_owned(),
        what: "a query of the catalogue",
        because: error.to_string(),
    })
}

/// A name as SQL wants it, whatever is in it. PostgreSQL has no way to write a NUL in a name; callers
/// refuse such names before.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string as SQL wants it under `standard_conforming_strings`, which [`SESSION_SETTINGS`] pins.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sqlstate: &str) -> DatabaseError {
        DatabaseError::Refused { server: "s".into(), what: "it", sqlstate: sqlstate.into(), message: "m".into() }
    }

    #[test]
    fn failover_errors_pass_and_refusals_do_not() {
        for state in ["57P01", "57P03", "08006", "08001"] {
            assert!(refused(state).is_passing(), "{state}");
        }
        assert!(DatabaseError::ReadOnly { server: "s".into(), what: "it" }.is_passing());
        for state in ["28P01", "28000", "42501", "53300", "55P03", "57014"] {
            assert!(!refused(state).is_passing(), "{state}");
        }
    }

    #[test]
    fn names_and_strings_cannot_end_early() {
        assert_eq!(identifier("a\"; DROP ROLE x; --"), "\"a\"\"; DROP ROLE x; --\"");
        assert_eq!(literal("it's\\"), "'it''s\\'");
    }
}
