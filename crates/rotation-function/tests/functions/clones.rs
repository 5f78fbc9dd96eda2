//! Clones that are equal to their base, those that AWS's function has made among them.

use crate::server::MASTER;
use crate::world::World;
use function_contract::{Duty, EnsureLogin, Fact, Owned, RoleFacts, Strategy, error_type};
use rotation_function::database::{identifier, literal};

/// As AWS's function does it, with the session of the login that rotates: no comment, no setting.
async fn made_by_aws(world: &World, by: &str, password: &str) {
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    // The function's own statements, as its login: `CREATE ROLE %s WITH LOGIN PASSWORD …; GRANT %s TO %s`.
    world
        .server
        .sql(&format!(
            "SET ROLE {}; CREATE ROLE {clone} WITH LOGIN PASSWORD {}; GRANT {user} TO {clone}; RESET ROLE",
            identifier(by),
            literal(password)
        ))
        .await;
}

async fn clone_of(world: &World) -> RoleFacts {
    let facts = world.inspect(&world.user_arn).await;
    let Fact::Known(Some(clone)) = facts.clone else { panic!("{facts:?}") };
    clone
}

fn adopting(world: &World) -> EnsureLogin {
    EnsureLogin { adopt: true, ..world.request(Duty::User) }
}

#[tokio::test]
async fn a_clone_that_awss_function_made_is_taken_over_and_what_it_owns_is_told() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    made_by_aws(&world, MASTER, "awss own").await;
    let table = format!("made by {}", world.clone_name());
    let made = world.server.application(&world.clone_name(), "awss own").await.unwrap();
    world
        .server
        .sql(&format!("CREATE SCHEMA {user} AUTHORIZATION {user}; GRANT CREATE ON SCHEMA {user} TO {user}"))
        .await;
    made.batch_execute(&format!("CREATE TABLE {user}.{} (id int)", identifier(&table))).await.unwrap();
    drop(made);

    // Not without being told so: refused, by the rotation too, with the statement that hands it over.
    for error in [world.ensure(world.request(Duty::User)).await.unwrap_err(), rotation_error(&world).await] {
        assert_eq!(error.error_type(), error_type::ROLE_NOT_OURS);
        assert!(error.to_string().contains(&format!("COMMENT ON ROLE {clone} IS")), "{error}");
    }

    let done = world.ensure(adopting(&world)).await.unwrap();
    assert!(done.notes.iter().any(|note| note.contains("took over role")), "{done:?}");
    let owns = format!("in database \"postgres\", {clone} owns 1 object");
    let told = done.notes.iter().find(|note| note.contains(&owns)).unwrap_or_else(|| panic!("{done:?}"));
    let facts = world.inspect(&world.user_arn).await;
    assert_eq!(facts.clone_owns, Fact::Known(vec![Owned { database: Some("postgres".to_owned()), objects: 1 }]));
    let taken = clone_of(&world).await;
    assert_eq!(taken.settings["role"], world.user);
    assert!(taken.administered_by.contains(&world.admin), "{taken:?}");
    // Once, and not at every run.
    let again = world.ensure(adopting(&world)).await.unwrap();
    assert!(again.notes.is_empty(), "{again:?}");

    for _ in 0..2 {
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await);
    }
    // The statement does what it says.
    let change = format!("ALTER TABLE {user}.{} ADD COLUMN name text", identifier(&table));
    world.rotate(&world.user_arn).await;
    assert_eq!(world.current(&world.user_arn)["username"], world.clone_name());
    world.as_current(&change).await.unwrap_err();
    world.server.sql(told.split("databases: ").nth(1).unwrap()).await;
    world.as_current(&change).await.unwrap();
    assert_eq!(world.inspect(&world.user_arn).await.clone_owns, Fact::Known(Vec::new()));
    world.server.sql(&format!("DROP SCHEMA {user} CASCADE")).await;
}

async fn rotation_error(world: &World) -> rotation_function::error::FunctionError {
    let token = crate::world::token();
    world.store.start_rotation(&world.user_arn, &token).unwrap();
    world.step(&world.user_arn, "createSecret", &token).await.unwrap();
    let error = world.step(&world.user_arn, "setSecret", &token).await.unwrap_err();
    world.store.with(&world.user_arn, |secret| secret.labels.remove("AWSPENDING"));
    error
}

#[tokio::test]
async fn a_role_is_adopted_with_its_comment_and_a_stranger_never() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    world.ensure(world.request(Duty::Admin)).await.unwrap();
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    let master = identifier(MASTER);
    world
        .server
        .sql(&format!(
            "SET ROLE {master}; CREATE ROLE {user} LOGIN PASSWORD 'theirs'; COMMENT ON ROLE {user} IS 'of team A'"
        ))
        .await;
    // Only called so: no member of the base.
    world.server.sql(&format!("SET ROLE {master}; CREATE ROLE {clone} LOGIN PASSWORD 'a real one'")).await;
    let error = world.ensure(adopting(&world)).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::ROLE_NOT_OURS, "{error}");
    assert!(world.server.application(&world.clone_name(), "a real one").await.is_ok());
    let comment =
        format!("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = {}", literal(&world.user));
    assert_eq!(world.server.texts(&comment).await, ["of team A"], "the base of a refused clone");
    world.server.sql(&format!("DROP ROLE {clone}")).await;
    // A superuser of RDS by a group is one.
    let group = identifier(&format!("dba {}", world.user));
    world.server.sql(&format!("CREATE ROLE {group}; GRANT rds_superuser TO {group}; GRANT {group} TO {user}")).await;
    assert_eq!(world.ensure(adopting(&world)).await.unwrap_err().error_type(), error_type::ROLE_NOT_OURS);
    world.server.sql(&format!("DROP ROLE {group}")).await;
    for (damage, back, error) in
        [("CREATEROLE", "NOCREATEROLE", error_type::ROLE_NOT_OURS), ("SUPERUSER", "NOSUPERUSER", error_type::BAD_EVENT)]
    {
        world.server.sql(&format!("COMMENT ON ROLE {user} IS 'of team A'; ALTER ROLE {user} {damage}")).await;
        let refused = world.ensure(adopting(&world)).await.unwrap_err();
        assert_eq!(refused.error_type(), error, "{damage}: {refused}");
        world.server.sql(&format!("ALTER ROLE {user} {back}")).await;
    }
    let other = "pgrotate:deployment=other pgrotate:address=login.x";
    world.server.sql(&format!("COMMENT ON ROLE {user} IS '{other}'")).await;
    assert_eq!(world.ensure(adopting(&world)).await.unwrap_err().error_type(), error_type::ROLE_NOT_OURS);

    world.server.sql(&format!("COMMENT ON ROLE {user} IS 'of team A'")).await;
    world.ensure(adopting(&world)).await.unwrap();
    let Fact::Known(Some(role)) = world.inspect(&world.user_arn).await.role else { panic!() };
    assert!(role.comment.as_deref().unwrap().ends_with(" of team A"), "{role:?}");
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}

/// What base has by its memberships the clone has through it: as base, and as itself in a session that was reset.
#[tokio::test]
async fn memberships_reach_the_clone_through_its_base_at_once() {
    for inherits in ["INHERIT", "NOINHERIT"] {
        let world = World::new(Strategy::AlternatingUsers).await;
        let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
        world.rotate(&world.user_arn).await;
        let group = identifier(&format!("{}_group", world.user));
        let table = identifier(&format!("{}_table", world.user));
        world
            .server
            .sql(&format!(
                "ALTER ROLE {user} {inherits}; CREATE ROLE {group} NOLOGIN; GRANT {group} TO {user}; \
                 CREATE TABLE {table} (id int); GRANT SELECT ON {table} TO {group}"
            ))
            .await;
        let read = format!("SELECT * FROM {table}");
        let as_group = format!("SET ROLE {group}; {read}");
        let reset = format!("SET ROLE NONE; {read}");
        for _ in 0..2 {
            let (one, other) = (world.as_current(&read).await, world.as_current(&reset).await);
            // A base that does not inherit has to become its group, and its clone is no different.
            assert_eq!((one.is_ok(), other.is_ok()), (inherits == "INHERIT", inherits == "INHERIT"), "{inherits}");
            world.as_current(&as_group).await.unwrap();
            world.as_current(&format!("SET ROLE NONE; {as_group}")).await.unwrap();
            world.rotate(&world.user_arn).await;
        }
        // Weakened by hand, the next rotation mends it.
        if world.server.version().await >= 160_000 {
            world
                .server
                .sql(&format!(
                    "GRANT {user} TO {clone} WITH INHERIT FALSE, SET FALSE GRANTED BY {}",
                    identifier(&world.admin)
                ))
                .await;
        }
        world.server.sql(&format!("ALTER ROLE {clone} NOINHERIT")).await;
        for _ in 0..2 {
            world.rotate(&world.user_arn).await;
        }
        world.as_current(&as_group).await.unwrap();
        world.rotate(&world.user_arn).await;
        world.as_current(&as_group).await.unwrap();
        assert_eq!(world.as_current(&reset).await.is_ok(), inherits == "INHERIT");
        world.server.sql(&format!("REVOKE {group} FROM {user}")).await;
        world.as_current(&as_group).await.unwrap_err();
        world.server.sql(&format!("DROP TABLE {table}; DROP ROLE {group}")).await;
    }
}

#[tokio::test]
async fn attributes_are_mirrored_as_far_as_the_admin_may_and_the_rest_is_one_note() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    let extra = identifier(&format!("{}_extra", world.user));
    world.rotate(&world.user_arn).await;
    // Before 16 only a superuser changes a role with REPLICATION, its password included: such a base is no user of ours.
    let sixteen = world.server.version().await >= 160_000;
    let flags = if sixteen { "BYPASSRLS REPLICATION" } else { "BYPASSRLS" };
    world
        .server
        .sql(&format!(
            "ALTER ROLE {user} {flags} CREATEDB; ALTER ROLE {user} SET log_statement = 'none'; \
             CREATE ROLE {extra} NOLOGIN; GRANT {extra} TO {clone}"
        ))
        .await;
    world.rotate(&world.user_arn).await;
    let reports = world.rotate(&world.user_arn).await;
    let notes: Vec<_> = reports.iter().flat_map(|report| &report.notes).collect();
    let [left, beyond] = &notes[..] else { panic!("{notes:?}") };
    for what in flags.split(' ').chain(["log_statement"]) {
        assert!(left.starts_with("not mirrored") && left.contains(what) && left.contains("42501"), "{left}");
    }
    assert!(beyond.contains(&format!("GRANT {extra} TO {user}")), "{beyond}");
    assert!(world.current_works(&world.user_arn).await);
    // Where somebody gives the admin what it takes, or takes it from base, nothing is left to tell.
    world
        .server
        .sql(&format!(
            "ALTER ROLE {user} NOBYPASSRLS NOREPLICATION NOCREATEDB; ALTER ROLE {user} RESET log_statement; \
             GRANT {extra} TO {user}; ALTER ROLE {clone} NOCREATEDB"
        ))
        .await;
    for _ in 0..2 {
        let reports = world.rotate(&world.user_arn).await;
        assert!(reports.iter().all(|report| report.notes.is_empty()), "{reports:?}");
    }
    world.server.sql(&format!("DROP ROLE {extra}")).await;
}
