//! What the logins of a deployment may do, and what they may not.

use crate::faults::When;
use crate::server::MASTER;
use crate::world::{STEPS, World, token};
use function_contract::{Duty, Strategy, error_type};
use rotation_function::database::{identifier, literal};

/// From this version on CREATEROLE reaches roles held WITH ADMIN OPTION only. Before, it reaches every role that is no
/// superuser and lacks REPLICATION: NOINHERIT is what then keeps the users' tables from the admin login.
const ADMIN_OPTION_COUNTS: i32 = 160_000;

/// A session of the admin login, as whoever got hold of its secret opens it.
async fn as_admin(world: &World) -> tokio_postgres::Client {
    let value = world.current(&world.config.admin_secret_arn);
    world.server.application(&world.admin, value["password"].as_str().unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_admin_login_is_no_more_than_its_task() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let admin = literal(&world.admin);
    let attributes = format!(
        "SELECT concat_ws(' ', rolcreaterole, rolinherit, rolsuper, rolcreatedb, rolreplication, rolbypassrls) \
         FROM pg_roles WHERE rolname = {admin}"
    );
    assert_eq!(world.server.texts(&attributes).await, ["t f f f f f"]);
    let held = |option: &str| {
        format!(
            "SELECT g.rolname || ' ' || {option} FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
             JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = {admin} ORDER BY 1"
        )
    };
    let (user, clone) = (&world.user, world.clone_name());
    if world.server.version().await >= ADMIN_OPTION_COUNTS {
        let options = "concat_ws(' ', m.admin_option, m.inherit_option, m.set_option)";
        assert_eq!(world.server.texts(&held(options)).await, [format!("{user} t f f"), format!("{clone} t f f")]);
    } else {
        // It made the clone, and before 16 needs nothing on a role to alter it.
        assert_eq!(world.server.texts(&held("m.admin_option")).await, [format!("{user} true")]);
    }
}

#[tokio::test]
async fn who_holds_the_admins_password_does_not_hold_the_users() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let version = world.server.version().await;
    let (user, table) = (identifier(&world.user), identifier(&format!("table of {}", world.user)));
    let foreign = identifier(&format!("foreign to {}", world.user));
    world
        .server
        .sql(&format!(
            "CREATE TABLE {table} (id int); ALTER TABLE {table} OWNER TO {user}; CREATE ROLE {foreign} LOGIN; \
             GRANT {foreign} TO {MASTER} WITH ADMIN OPTION"
        ))
        .await;
    let session = as_admin(&world).await;
    let refused = async |sql: String| {
        let error = session.batch_execute(&sql).await.expect_err(&sql);
        let state = error.code().map(|state| state.code().to_owned()).unwrap_or_default();
        assert_eq!(state, "42501", "{sql}");
    };
    refused(format!("SELECT * FROM {table}")).await;
    refused(format!("DROP TABLE {table}")).await;
    refused("ALTER ROLE postgres PASSWORD 'mine'".to_owned()).await;
    refused("CREATE ROLE other SUPERUSER".to_owned()).await;
    refused("COPY (SELECT 1) TO PROGRAM 'true'".to_owned()).await;
    if version >= ADMIN_OPTION_COUNTS {
        refused(format!("SET ROLE {user}")).await;
        refused(format!("ALTER ROLE {MASTER} PASSWORD 'mine'")).await;
        refused(format!("ALTER ROLE {foreign} PASSWORD 'mine'")).await;
        refused(format!("GRANT {foreign} TO {user}")).await;
        refused(format!("GRANT rds_superuser TO {}", identifier(&world.admin))).await;
        refused(format!("DROP ROLE {foreign}")).await;
    }
    drop(session);
    world.server.sql(&format!("DROP TABLE {table}; DROP ROLE {foreign}")).await;
}

#[tokio::test]
async fn a_user_rotates_at_every_point_of_the_admins_own_rotation() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        let (admin_arn, pending) = (world.config.admin_secret_arn.clone(), token());
        world.store.start_rotation(&admin_arn, &pending).unwrap();
        for step in STEPS {
            world.step(&admin_arn, step, &pending).await.unwrap();
            // Between setSecret and finishSecret the admin's AWSCURRENT does not log in.
            assert_eq!(world.current_works(&admin_arn).await, step == STEPS[0] || step == STEPS[3], "{step}");
            world.rotate(&world.user_arn).await;
            assert!(world.current_works(&world.user_arn).await, "{strategy:?}, {step}");
        }
    }
}

/// `rds.restrict_password_commands` is RDS's own; here it is a setting that is only read, and the refusal is put in.
#[tokio::test]
async fn where_passwords_are_restricted_the_refusal_says_what_to_grant() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        let who = if strategy == Strategy::SingleUser { &world.user } else { &world.admin };
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        world.step(&world.user_arn, STEPS[0], &pending).await.unwrap();
        world.plan.start(Some((0, When::Denied)));
        let plain = world.step(&world.user_arn, STEPS[1], &pending).await.unwrap_err();
        assert!(!plain.to_string().contains("rds_password TO"), "{plain}");

        let restrict = "SET rds.restrict_password_commands = 'on'";
        world.server.sql(&format!("ALTER ROLE {} {restrict}", identifier(who))).await;
        let error = world.step(&world.user_arn, STEPS[1], &pending).await.unwrap_err();
        assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("42501")));
        let grant = format!("GRANT rds_password TO {}", identifier(who));
        assert!(error.to_string().contains(&grant), "{error}");
        assert!(world.working_labels(&world.user_arn).await.iter().any(|label| label == "AWSCURRENT"));

        // Provisioning gives what it takes.
        world.server.sql(&format!("ALTER ROLE {MASTER} {restrict}")).await;
        for duty in [Duty::Admin, Duty::User] {
            world.ensure(world.request(duty)).await.unwrap();
        }
        world.server.sql(&format!("ALTER ROLE {MASTER} RESET rds.restrict_password_commands")).await;
        let member = format!("SELECT pg_has_role({}, 'rds_password', 'MEMBER')::text", literal(who));
        assert_eq!(world.server.texts(&member).await, ["true"]);
        world.plan.start(None);
        world.steps(&world.user_arn, &pending).await.unwrap();
        assert!(world.current_works(&world.user_arn).await);
    }
}
