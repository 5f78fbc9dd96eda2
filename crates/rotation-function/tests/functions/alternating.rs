use crate::fake::PENDING;
use crate::world::World;
use function_contract::{Duty, Fact, Strategy, error_type};
use rotation_function::database::identifier;
use rotation_function::rotation::{PASSWORD_SET, REPAIRED};

#[tokio::test]
async fn five_rotations_take_turns_and_both_versions_work_throughout() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let mut passwords = vec![world.current(&world.user_arn)["password"].clone()];
    for turn in 0..5 {
        let reports = world.rotate(&world.user_arn).await;
        assert_eq!(reports[1].outcome, PASSWORD_SET);
        let name = if turn % 2 == 0 { world.clone_name() } else { world.user.clone() };
        let current = world.current(&world.user_arn);
        assert_eq!(current["username"], name.as_str());
        assert!(!passwords.contains(&current["password"]));
        passwords.push(current["password"].clone());
        assert_eq!(world.working_labels(&world.user_arn).await, ["AWSCURRENT", "AWSPREVIOUS"], "turn {turn}");
        assert!(!world.store.with(&world.user_arn, |secret| secret.labels.contains_key(PENDING)));
        let notes: Vec<&String> = reports.iter().flat_map(|report| &report.notes).collect();
        assert_eq!(notes.len(), usize::from(turn == 0), "{notes:?}");
    }
    let log = world.server.log();
    for password in &passwords {
        assert!(!log.contains(password.as_str().unwrap()), "a password reached the server's log");
    }
}

#[tokio::test]
async fn what_the_clone_makes_belongs_to_the_base_and_settings_are_mirrored() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    let schema = identifier(&format!("schema of {}", world.user));
    world
        .server
        .sql(&format!(
            "CREATE SCHEMA {schema} AUTHORIZATION {user}; \
             ALTER ROLE {user} SET search_path = {schema}, \"$user\", public; \
             ALTER ROLE {user} SET statement_timeout = '61s'; \
             ALTER ROLE {user} IN DATABASE postgres SET application_name = 'it''s, \"quoted\"'; \
             ALTER ROLE {user} CONNECTION LIMIT 17 VALID UNTIL '2100-01-02 03:04:05+00'"
        ))
        .await;
    let reports = world.rotate(&world.user_arn).await;
    assert_eq!(reports[1].notes.len(), 1, "{:?}", reports[1].notes);
    let facts = world.inspect(&world.user_arn).await;
    let (Fact::Known(Some(role)), Fact::Known(Some(copy))) = (facts.role, facts.clone) else { panic!() };
    assert_eq!((copy.connection_limit, &copy.valid_until), (17, &Some("2100-01-02 03:04:05+00".to_owned())));
    assert_eq!(copy.member_of, std::slice::from_ref(&world.user));
    let mut settings = copy.settings.clone();
    assert_eq!(settings.remove("role"), Some(world.user.clone()));
    assert_eq!(settings, role.settings);
    assert_eq!(copy.comment, role.comment);

    // AWSCURRENT is the clone: its table is the base's, and the next turn can use it.
    let name =
        "DO $$ BEGIN IF current_setting('application_name') <> 'it''s, \"quoted\"' THEN RAISE 'name'; END IF; END $$";
    world.as_current(&format!("{name}; CREATE TABLE made_by_clone (id int)")).await.unwrap();
    let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'made_by_clone'";
    assert_eq!(world.server.texts(owner).await, std::slice::from_ref(&world.user));
    // What base loses, the clone loses.
    world.server.sql(&format!("ALTER ROLE {user} RESET ALL; ALTER ROLE {user} IN DATABASE postgres RESET ALL")).await;
    world.server.sql(&format!("ALTER ROLE {user} CONNECTION LIMIT -1 VALID UNTIL 'infinity'")).await;
    world.rotate(&world.user_arn).await;
    let facts = world.inspect(&world.user_arn).await;
    let Fact::Known(Some(copy)) = facts.clone else { panic!() };
    assert_eq!(copy.settings.into_iter().collect::<Vec<_>>(), [("role".to_owned(), world.user.clone())]);
    assert_eq!((copy.connection_limit, copy.valid_until.as_deref()), (-1, Some("infinity")));
    world.as_current("INSERT INTO made_by_clone VALUES (1)").await.unwrap_err();
    world.as_current(&format!("INSERT INTO {schema}.made_by_clone VALUES (1)")).await.unwrap();
    world.server.sql(&format!("DROP SCHEMA {schema} CASCADE; DROP ROLE {clone}")).await;
}

#[tokio::test]
async fn what_the_admin_may_not_mirror_is_noted_and_fails_nothing() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let user = identifier(&world.user);
    world
        .server
        .sql(&format!(
            "ALTER ROLE {user} SET log_statement = 'none'; ALTER ROLE {user} SET my.setting = 'not for a log'"
        ))
        .await;
    let reports = world.rotate(&world.user_arn).await;
    // A setting may be a secret of the application's: its name is told, and never what it is set to.
    assert!(!reports.iter().flat_map(|report| &report.notes).any(|note| note.contains("not for a log")), "{reports:?}");
    for setting in ["log_statement", "my.setting"] {
        assert!(reports[1].notes.iter().any(|note| note.contains("42501") && note.contains(setting)), "{reports:?}");
    }
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn a_broken_current_is_repaired_and_said_so() {
    let world = World::new(Strategy::AlternatingUsers).await;
    // The base and its clone in turn, the base first; what keeps the base out, a rotation does not mend.
    for (damage, mended) in [
        ("PASSWORD 'lost'", true),
        ("PASSWORD NULL", true),
        ("VALID UNTIL '2000-01-01'", false),
        ("CONNECTION LIMIT 0", true),
    ] {
        let name = world.current(&world.user_arn)["username"].as_str().unwrap().to_owned();
        world.server.sql(&format!("ALTER ROLE {} {damage}", identifier(&name))).await;
        assert!(!world.current_works(&world.user_arn).await, "{damage}");
        let token = crate::world::token();
        world.store.start_rotation(&world.user_arn, &token).unwrap();
        world.step(&world.user_arn, "createSecret", &token).await.unwrap();
        let set = world.step(&world.user_arn, "setSecret", &token).await;
        if mended {
            let report = set.unwrap();
            assert!(
                report.notes.iter().any(|note| note.starts_with("repaired: AWSCURRENT did not log in")),
                "{damage}: {report:?}"
            );
            assert_eq!(report.outcome, REPAIRED, "{damage}: what the metric counts");
        } else {
            let error = set.unwrap_err();
            assert_eq!(error.error_type(), error_type::DATABASE_REFUSED, "{damage}: {error}");
            assert!(error.to_string().contains("pgrotate recover FILE"), "{damage}: {error}");
            // Lifted, it goes on.
            world.server.sql(&format!("ALTER ROLE {} VALID UNTIL 'infinity'", identifier(&world.user))).await;
            world.step(&world.user_arn, "setSecret", &token).await.unwrap();
        }
        for step in ["testSecret", "finishSecret"] {
            world.step(&world.user_arn, step, &token).await.unwrap();
        }
        assert!(world.current_works(&world.user_arn).await, "{damage}");
    }
}

/// What somebody has shut the base out with is not for the role that AWSCURRENT names, by no way to it.
#[tokio::test]
async fn what_shuts_out_the_base_never_reaches_the_role_in_use() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    for (bar, lift) in [
        ("NOLOGIN", "LOGIN"),
        ("CONNECTION LIMIT 0", "CONNECTION LIMIT -1"),
        ("VALID UNTIL '2000-01-01'", "VALID UNTIL 'infinity'"),
    ] {
        assert_eq!(world.current(&world.user_arn)["username"], world.clone_name());
        world.server.sql(&format!("ALTER ROLE {user} {bar}")).await;
        let token = crate::world::token();
        world.store.start_rotation(&world.user_arn, &token).unwrap();
        world.step(&world.user_arn, "createSecret", &token).await.unwrap();
        let error = world.step(&world.user_arn, "setSecret", &token).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::DATABASE_REFUSED, "{bar}: {error}");
        assert!(error.to_string().contains("pgrotate recover FILE"), "{bar}: {error}");
        assert!(world.current_works(&world.user_arn).await, "{bar}");
        // An adoption mirrors too, where the clone works as nobody else yet; LOGIN is what it gives back.
        world.server.sql(&format!("ALTER ROLE {clone} RESET role")).await;
        let done = world.ensure(world.request(Duty::User)).await;
        assert!(world.current_works(&world.user_arn).await, "{bar}: {done:?}");
        world.server.sql(&format!("ALTER ROLE {user} {lift}")).await;
        for step in ["setSecret", "testSecret", "finishSecret"] {
            world.step(&world.user_arn, step, &token).await.unwrap();
        }
        assert!(world.current_works(&world.user_arn).await, "{bar}");
        world.rotate(&world.user_arn).await;
    }
}

#[tokio::test]
async fn calls_and_connections_of_a_rotation_are_few() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let counts = world.counted_rotation().await;
    // AWS calls and connections of createSecret, setSecret, testSecret, finishSecret.
    assert_eq!(counts, [(3, 0), (5, 2), (2, 1), (4, 2)]);
}

#[tokio::test]
async fn a_lock_database_that_is_closed_to_the_user_is_the_admins_affair() {
    let mut world = World::unprovisioned(Strategy::AlternatingUsers);
    let locks = format!("locks of {}", world.user);
    world.config.lock_database.clone_from(&locks);
    let (locks, admin, master) = (identifier(&locks), identifier(&world.admin), identifier(crate::server::MASTER));
    world.server.sql(&format!("CREATE DATABASE {locks}")).await;
    world.ensure_all().await;
    world
        .server
        .sql(&format!(
            "REVOKE CONNECT ON DATABASE {locks} FROM PUBLIC; GRANT CONNECT ON DATABASE {locks} TO {admin}, {master}"
        ))
        .await;
    for _ in 0..2 {
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await);
    }
}

#[tokio::test]
async fn one_session_is_enough_for_a_role_to_rotate() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        world.server.sql(&format!("ALTER ROLE {} CONNECTION LIMIT 1", identifier(&world.user))).await;
        for _ in 0..2 {
            world.rotate(&world.user_arn).await;
            assert!(world.current_works(&world.user_arn).await, "{strategy:?}");
        }
    }
    // Where PGROTATE_SETTING is not on the version that is tried first, which of the two is in force is looked up under
    // the lock: once more, a login of the same role.
    let world = World::new(Strategy::SingleUser).await;
    world.server.sql(&format!("ALTER ROLE {} CONNECTION LIMIT 1", identifier(&world.user))).await;
    world.rotate(&world.user_arn).await;
    for restated in [true, false] {
        let mut value = world.current(&world.user_arn);
        if !restated {
            value["password"] = "typed by hand".into();
        }
        value["note"] = crate::world::token().into();
        world.store.put_by_hand(&world.user_arn, &crate::world::token(), &value.to_string());
        assert_eq!(world.current_works(&world.user_arn).await, restated);
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await, "{restated}");
    }
}
