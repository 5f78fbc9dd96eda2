//! What the admin login may do and what it may not, and passwords that RDS keeps to the members of rds_password.

use crate::server::MASTER;
use crate::world::{World, token};
use function_contract::{Duty, ProvisioningRequest, Strategy, error_type};
use rotation_function::database::{Database, DatabaseError, Login, Postgres, Session, identifier, literal};
use rotation_function::error::FunctionError;
use rotation_function::event::RotationEvent;
use rotation_function::rotation::Report;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// From here on CREATEROLE reaches only what is held WITH ADMIN OPTION
/// (postgresql.org/docs/16/release-16.html, "Restrict the privileges of CREATEROLE").
const ADMIN_OPTION_COUNTS: i32 = 160_000;
const NOT_PERMITTED: &str = "42501";

#[tokio::test]
async fn the_admin_login_is_made_with_no_more_than_createrole() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    // Once more, now that there is a clone and AWSCURRENT names it.
    world.ensure_all().await;
    let admin = literal(&world.admin);
    let sql = format!(
        "SELECT concat_ws(' ', rolcanlogin, rolcreaterole, rolinherit, rolsuper, rolcreatedb, rolreplication, rolbypassrls) \
         FROM pg_roles WHERE rolname = {admin}"
    );
    assert_eq!(world.server.texts(&sql).await, ["t t f f f f f"]);
    // pg_auth_members has the last two since 16.
    let sql = format!(
        "SELECT DISTINCT concat_ws(' ', g.rolname, m.admin_option, to_jsonb(m) ->> 'inherit_option', \
         to_jsonb(m) ->> 'set_option') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
         JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = {admin}"
    );
    let mut held = world.server.texts(&sql).await;
    held.sort();
    let options = if world.server.version().await >= ADMIN_OPTION_COUNTS { "t false false" } else { "t" };
    let mut expected = [&world.user, &world.clone_name()].map(|role| format!("{role} {options}"));
    expected.sort();
    assert_eq!(held, expected);
}

/// What the server says to a statement of the admin login's, in a session and a transaction that it opens for it.
async fn as_admin(world: &World, sql: &str) -> Result<(), String> {
    let value = world.current(&world.config.admin_secret_arn);
    let session = world.server.application(&world.admin, value["password"].as_str().unwrap()).await.unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    let result = session.batch_execute(sql).await;
    session.batch_execute("ROLLBACK").await.unwrap();
    result.map_err(|error| error.code().expect("an answer").code().to_owned())
}

#[tokio::test]
async fn the_admin_login_reaches_nothing_that_it_has_no_use_for() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let (admin, user) = (identifier(&world.admin), identifier(&world.user));
    let (table, foreign) = (format!("{user}.kept"), identifier(&format!("foreign to {}", world.user)));
    let made = identifier(&format!("made by {}", world.admin));
    world
        .server
        .sql(&format!(
            "CREATE ROLE {foreign} LOGIN PASSWORD 'its own'; CREATE SCHEMA {user} AUTHORIZATION {user}; \
             CREATE TABLE {table} (id int); ALTER TABLE {table} OWNER TO {user}; GRANT USAGE ON SCHEMA {user} TO {admin}"
        ))
        .await;
    let never = [
        format!("SELECT * FROM {table}"),
        format!("INSERT INTO {table} VALUES (1)"),
        format!("DROP TABLE {table}"),
        "ALTER ROLE postgres PASSWORD 'taken'".to_owned(),
        "SET ROLE postgres".to_owned(),
        format!("SET ROLE {foreign}"),
        format!("ALTER ROLE {admin} SUPERUSER"),
        format!("ALTER ROLE {admin} BYPASSRLS"),
        format!("ALTER ROLE {admin} REPLICATION"),
        format!("GRANT postgres TO {admin}"),
        format!("CREATE ROLE {made} SUPERUSER"),
    ];
    for sql in &never {
        assert_eq!(as_admin(&world, sql).await, Err(NOT_PERMITTED.to_owned()), "{sql}");
    }
    // Before 16, CREATEROLE reaches every role that is no superuser, and ADMIN OPTION is membership: these can
    // only be refused from 16 on.
    let limited = [
        format!("SET ROLE {user}"),
        format!("ALTER ROLE {foreign} PASSWORD 'taken'"),
        format!("ALTER ROLE {MASTER} CONNECTION LIMIT 7"),
        format!("ALTER ROLE {MASTER} PASSWORD 'taken'"),
        format!("GRANT rds_superuser TO {admin}"),
        format!("GRANT pg_read_all_data TO {admin}"),
        format!("GRANT {foreign} TO {admin}"),
        format!("DROP ROLE {foreign}"),
        format!("CREATE ROLE {made} CREATEDB"),
    ];
    let expected =
        if world.server.version().await >= ADMIN_OPTION_COUNTS { Err(NOT_PERMITTED.to_owned()) } else { Ok(()) };
    for sql in &limited {
        assert_eq!(as_admin(&world, sql).await, expected, "{sql}");
    }
    // Two that it must be able to, by the same way of asking.
    for role in [&world.user, &world.clone_name()] {
        let sql = format!("ALTER ROLE {} PASSWORD 'new'", identifier(role));
        assert_eq!(as_admin(&world, &sql).await, Ok(()), "{sql}");
    }
}

/// A server with `rds.restrict_password_commands`, which only RDS has: every session sees the setting, and whoever is
/// no member of rds_password is refused what the user guide lists.
struct Restricted<'a> {
    database: &'a Postgres,
    /// Which role counts for rds_password: the master of all tests at once is a member of the real one.
    members_of: &'static str,
}

impl<'a> Restricted<'a> {
    fn new(database: &'a Postgres) -> Self {
        Self { database, members_of: "rds_password" }
    }
}

struct RestrictedSession<T> {
    session: T,
    members_of: &'static str,
}

impl Database for Restricted<'_> {
    type Session = RestrictedSession<<Postgres as Database>::Session>;

    async fn connect(&self, login: &Login<'_>) -> Result<Self::Session, DatabaseError> {
        let session = self.database.connect(login).await?;
        session.change("the setting", "SET rds.restrict_password_commands = 'on'").await?;
        Ok(RestrictedSession { session, members_of: self.members_of })
    }
}

impl<T: Session> Session for RestrictedSession<T> {
    async fn query(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, DatabaseError> {
        self.session.query(what, &sql.replace("rds_password", self.members_of), parameters).await
    }

    async fn change(&self, what: &'static str, sql: &str) -> Result<(), DatabaseError> {
        if sql.contains(" PASSWORD ") || sql.contains(" VALID UNTIL ") {
            let member = format!("SELECT pg_has_role(session_user, '{}', 'MEMBER')", self.members_of);
            if !self.session.query("a membership", &member, &[]).await?[0].get::<_, bool>(0) {
                return Err(DatabaseError::Refused {
                    server: "the server".to_owned(),
                    what,
                    sqlstate: NOT_PERMITTED.to_owned(),
                    message: "must be a member of rds_password to alter passwords".to_owned(),
                });
            }
        }
        self.session.change(what, sql).await
    }

    async fn close(self) {
        self.session.close().await;
    }
}

async fn restricted_set(world: &World, arn: &str, pending: &str) -> Result<Report, FunctionError> {
    let event = serde_json::json!({"Step": "setSecret", "SecretId": arn, "ClientRequestToken": pending});
    let mut report = Report::default();
    let database = Restricted::new(&world.database);
    world.context_over(&world.store, &database).rotate(&RotationEvent::parse(event)?, &mut report).await?;
    Ok(report)
}

async fn restricted_ensure(world: &World, duty: Duty) {
    let request = ProvisioningRequest::EnsureLogin(world.request(duty));
    let database = Restricted::new(&world.database);
    let done = world.context_over(&world.store, &database).provision(&request).await.unwrap();
    assert!(done.notes.is_empty(), "{done:?}");
}

/// The switch was turned on after the deployment was made: what is told helps, and so does the next apply.
#[tokio::test]
async fn a_login_that_may_not_set_passwords_is_told_what_to_grant() {
    for strategy in [Strategy::SingleUser, Strategy::AlternatingUsers] {
        for by_apply in [false, true] {
            let world = World::new(strategy).await;
            let who = if strategy == Strategy::SingleUser { &world.user } else { &world.admin };
            let pending = token();
            world.store.start_rotation(&world.user_arn, &pending).unwrap();
            world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
            let error = restricted_set(&world, &world.user_arn, &pending).await.unwrap_err();
            assert!(matches!(error, FunctionError::PasswordsRestricted { .. }), "{error:?}");
            assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some(NOT_PERMITTED)));
            let grant = format!("GRANT rds_password TO {}", identifier(who));
            assert!(error.to_string().ends_with(&grant), "{error}");
            assert!(world.current_works(&world.user_arn).await);
            if by_apply {
                restricted_ensure(&world, Duty::Admin).await;
                restricted_ensure(&world, Duty::User).await;
            } else {
                world.server.sql(&format!("SET ROLE {MASTER}; {grant}")).await;
            }
            restricted_set(&world, &world.user_arn, &pending).await.unwrap();
            for step in ["testSecret", "finishSecret"] {
                world.step(&world.user_arn, step, &pending).await.unwrap();
            }
            assert!(world.current_works(&world.user_arn).await);
        }
    }
}

/// The way back by the admin login names the admin login, whose session it is, and a member is refused for another
/// reason: then the missing ADMIN OPTION is told.
#[tokio::test]
async fn whose_session_it_is_decides_what_is_to_be_granted() {
    let world = World::new(Strategy::SingleUser).await;
    let (user, admin) = (identifier(&world.user), identifier(&world.admin));
    world.server.sql(&format!("ALTER ROLE {user} PASSWORD 'lost'")).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
    let error = restricted_set(&world, &world.user_arn, &pending).await.unwrap_err();
    assert!(error.to_string().ends_with(&format!("GRANT rds_password TO {admin}")), "{error}");
    world.server.sql(&format!("GRANT rds_password TO {admin}")).await;
    if world.server.version().await >= ADMIN_OPTION_COUNTS {
        world.server.sql(&format!("SET ROLE {MASTER}; REVOKE {user} FROM {admin}")).await;
        let error = restricted_set(&world, &world.user_arn, &pending).await.unwrap_err();
        assert!(matches!(error, FunctionError::MissingGrant { .. }), "{error:?}");
    }
}

/// VALID UNTIL is among what the switch restricts; the role is within the master's reach, and no ADMIN OPTION is
/// missing.
#[tokio::test]
async fn an_expiry_that_rds_keeps_to_some_is_told_as_such() {
    let world = World::new(Strategy::SingleUser).await;
    // A role of whose like the master is no member.
    let database = Restricted { database: &world.database, members_of: "rds_iam" };
    let mut request = world.request(Duty::User);
    request.attributes.valid_until = Some("2099-01-01 00:00:00+00".to_owned());
    let request = ProvisioningRequest::EnsureLogin(request);
    let error = world.context_over(&world.store, &database).provision(&request).await.unwrap_err();
    assert!(matches!(error, FunctionError::PasswordsRestricted { .. }), "{error:?}");
    assert!(error.to_string().ends_with(&format!("GRANT rds_password TO {}", identifier(MASTER))), "{error}");
    world.context_over(&world.store, &Restricted::new(&world.database)).provision(&request).await.unwrap();
}

/// AWSCURRENT names the clone, and it is the base that the master does not reach.
#[tokio::test]
async fn what_is_to_be_granted_names_the_role_that_is_out_of_reach() {
    let world = World::new(Strategy::AlternatingUsers).await;
    if world.server.version().await < ADMIN_OPTION_COUNTS {
        return;
    }
    world.rotate(&world.user_arn).await;
    assert_eq!(world.current(&world.user_arn)["username"], world.clone_name());
    let (user, master) = (identifier(&world.user), identifier(MASTER));
    world.server.sql(&format!("ALTER ROLE {user} NOLOGIN; REVOKE {user} FROM {master} CASCADE")).await;
    let error = world.ensure(world.request(Duty::User)).await.unwrap_err();
    assert!(matches!(error, FunctionError::MissingGrant { .. }), "{error:?}");
    let grant = error.to_string().split("16 or later: ").nth(1).unwrap().to_owned();
    assert!(grant.starts_with(&format!("GRANT {user} TO {master} ")), "{grant}");
    // The hint works.
    world.server.sql(&grant).await;
    world.ensure(world.request(Duty::User)).await.unwrap();
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}
