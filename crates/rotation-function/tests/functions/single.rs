use crate::fake::CURRENT;
use crate::server::MASTER;
use crate::world::{STEPS, World, token};
use function_contract::{Duty, Strategy, error_type, label};
use rotation_function::database::{Database, DatabaseError, Login, Postgres, identifier, literal};
use rotation_function::event::RotationEvent;
use rotation_function::rotation::{REPAIRED, Report};

#[tokio::test]
async fn five_rotations_of_a_user_and_of_the_admin_itself() {
    let world = World::new(Strategy::SingleUser).await;
    for arn in [&world.user_arn, &world.config.admin_secret_arn] {
        let mut passwords = vec![world.current(arn)["password"].clone()];
        for turn in 0..5 {
            let reports = world.rotate(arn).await;
            assert!(reports.iter().all(|report| report.notes.is_empty()), "{reports:?}");
            let current = world.current(arn);
            assert!(!passwords.contains(&current["password"]));
            passwords.push(current["password"].clone());
            assert_eq!(world.working_labels(arn).await, [CURRENT, label::SETTING], "turn {turn}");
        }
        let log = world.server.log();
        for password in &passwords {
            assert!(!log.contains(password.as_str().unwrap()), "a password reached the server's log");
        }
    }
    // The admin still can do its work.
    let world = World { strategy: Strategy::AlternatingUsers, ..World::new(Strategy::AlternatingUsers).await };
    world.rotate(&world.config.admin_secret_arn).await;
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn users_rotate_while_the_admins_own_rotation_is_half_done() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        for done in 0..STEPS.len() {
            let world = World::new(strategy).await;
            let (admin, pending) = (world.config.admin_secret_arn.clone(), token());
            world.store.start_rotation(&admin, &pending).unwrap();
            for step in &STEPS[..done] {
                world.step(&admin, step, &pending).await.unwrap();
            }
            // Between setSecret and finishSecret it is not AWSCURRENT that logs in.
            assert_eq!(world.current_works(&admin).await, done < 2, "{strategy:?}, {done}");
            world.rotate(&world.user_arn).await;
            for step in &STEPS[done..] {
                world.step(&admin, step, &pending).await.unwrap();
            }
            world.rotate(&world.user_arn).await;
            for arn in [&world.user_arn, &admin] {
                assert!(world.current_works(arn).await, "{strategy:?}, {done}: {arn}");
            }
        }
    }
}

#[tokio::test]
async fn the_admin_rotates_while_a_users_rotation_is_half_done() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        for done in 0..STEPS.len() {
            let world = World::new(strategy).await;
            let pending = token();
            world.store.start_rotation(&world.user_arn, &pending).unwrap();
            for step in &STEPS[..done] {
                world.step(&world.user_arn, step, &pending).await.unwrap();
            }
            let before = world.working_labels(&world.user_arn).await;
            world.rotate(&world.config.admin_secret_arn).await;
            assert_eq!(world.working_labels(&world.user_arn).await, before, "{strategy:?}, {done}");
            for step in &STEPS[done..] {
                world.step(&world.user_arn, step, &pending).await.unwrap();
            }
            for arn in [&world.user_arn, &world.config.admin_secret_arn] {
                assert!(world.current_works(arn).await, "{strategy:?}, {done}: {arn}");
            }
        }
    }
}

#[tokio::test]
async fn a_login_whose_role_setting_makes_it_another_role_changes_its_own_password() {
    let world = World::new(Strategy::SingleUser).await;
    let (user, group) = (identifier(&world.user), identifier(&format!("group of {}", world.user)));
    world
        .server
        .sql(&format!(
            "CREATE ROLE {group}; GRANT {group} TO {user}; ALTER ROLE {user} SET role = {}",
            group.replace('"', "'")
        ))
        .await;
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn a_login_none_of_whose_versions_works_is_repaired_by_the_admin() {
    let world = World::new(Strategy::SingleUser).await;
    world.server.sql(&format!("ALTER ROLE {} PASSWORD 'lost'", identifier(&world.user))).await;
    let reports = world.rotate(&world.user_arn).await;
    assert!(reports[1].notes[0].starts_with("repaired by the admin login"), "{reports:?}");
    assert!(world.current_works(&world.user_arn).await);
    // Not where the role has lost its mark, and never the admin itself.
    world
        .server
        .sql(&format!(
            "ALTER ROLE {user} PASSWORD 'lost'; COMMENT ON ROLE {user} IS 'mine'",
            user = identifier(&world.user)
        ))
        .await;
    let error = set(&world, &world.user_arn).await;
    assert_eq!(error.error_type(), error_type::ROLE_NOT_OURS);
    world.server.sql(&format!("ALTER ROLE {} PASSWORD 'lost'", identifier(&world.admin))).await;
    let error = set(&world, &world.config.admin_secret_arn).await;
    assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("28P01")));
}

/// Whatever RDS asks a login for instead, and whoever is not let in from here, its password may be right.
#[tokio::test]
async fn a_refusal_that_is_no_wrong_password_is_no_reason_for_a_new_one() {
    let world = World::new(Strategy::SingleUser).await;
    let rows = format!("SELECT rolpassword FROM pg_authid WHERE rolname = {}", literal(&world.user));
    let before = world.server.texts(&rows).await;
    for in_iam in [false, true] {
        if in_iam {
            world.server.sql(&format!("GRANT rds_iam TO {}", identifier(&world.user))).await;
        }
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
        let event = serde_json::json!({
            "Step": "setSecret", "SecretId": world.user_arn, "ClientRequestToken": pending,
        });
        let event = RotationEvent::parse(event).unwrap();
        let database = Refusing { database: &world.database, user: &world.user };
        let context = world.context_over(&world.store, &database);
        let error = context.rotate(&event, &mut Report::default()).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::DATABASE_REFUSED);
        let told = if in_iam { "REVOKE rds_iam FROM" } else { "no pg_hba.conf entry" };
        assert!(error.to_string().contains(told), "{error}");
        world.store.with(&world.user_arn, |secret| drop(secret.labels.remove(crate::fake::PENDING)));
        assert_eq!(world.server.texts(&rows).await, before);
        assert!(world.current_works(&world.user_arn).await);
    }
    // Of two that take turns likewise, and before anything is done.
    let world = World::new(Strategy::AlternatingUsers).await;
    world.server.sql(&format!("GRANT rds_iam TO {}", identifier(&world.user))).await;
    let error = set(&world, &world.user_arn).await;
    assert!(error.to_string().contains("REVOKE rds_iam FROM"), "{error}");
}

/// A database that lets everybody in but one.
struct Refusing<'a> {
    database: &'a Postgres,
    user: &'a str,
}

impl Database for Refusing<'_> {
    type Session = <Postgres as Database>::Session;

    async fn connect(&self, login: &Login<'_>) -> Result<Self::Session, DatabaseError> {
        if login.username != self.user {
            return self.database.connect(login).await;
        }
        Err(DatabaseError::Refused {
            server: login.host.to_owned(),
            what: "the login",
            sqlstate: "28000".to_owned(),
            message: "no pg_hba.conf entry for it".to_owned(),
        })
    }
}

/// Where PUBLIC may not connect to the database of the locks, provisioning lets in who takes them.
#[tokio::test]
async fn a_lock_database_that_was_closed_is_opened_to_who_takes_locks() {
    for strategy in [Strategy::SingleUser, Strategy::AlternatingUsers] {
        let mut world = World::unprovisioned(strategy);
        let locks = format!("locks of {}", world.user);
        world.config.lock_database.clone_from(&locks);
        let (locks, master) = (identifier(&locks), identifier(MASTER));
        let connect = |verb: &str, role: &str| format!("{verb} CONNECT ON DATABASE {locks} {role}");
        world.server.sql(&format!("CREATE DATABASE {locks} OWNER {master}")).await;
        world.server.sql(&connect("REVOKE", "FROM PUBLIC")).await;
        world.ensure_all().await;
        for _ in 0..2 {
            for arn in [&world.user_arn, &world.config.admin_secret_arn] {
                world.rotate(arn).await;
                assert!(world.current_works(arn).await, "{strategy:?}");
            }
        }
        // Closed later, the admin login takes a single user's lock; its own way in is named by the error, which helps.
        world.server.sql(&connect("REVOKE", &format!("FROM {}", identifier(&world.user)))).await;
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await, "{strategy:?}");
        world.server.sql(&connect("REVOKE", &format!("FROM {}", identifier(&world.admin)))).await;
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
        let error = world.step(&world.user_arn, "setSecret", &pending).await.unwrap_err();
        assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("42501")));
        let grant = connect("GRANT", &format!("TO {}", identifier(&world.admin)));
        assert!(error.to_string().ends_with(&grant), "{error}");
        // Nor can a master that does not own the database let anybody in, and says whom to let in.
        world
            .server
            .sql(&format!("ALTER DATABASE {locks} OWNER TO postgres; {}", connect("GRANT", &format!("TO {master}"))))
            .await;
        let error = world.ensure(world.request(Duty::Admin)).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::DATABASE_REFUSED);
        assert!(error.to_string().ends_with(&grant), "{error}");
        world.server.sql(&grant).await;
        for step in &STEPS[1..] {
            world.step(&world.user_arn, step, &pending).await.unwrap();
        }
        assert!(world.current_works(&world.user_arn).await, "{strategy:?}");
    }
}

/// What the first try has found out is told by the second as well, which finds its work done.
#[tokio::test]
async fn a_repair_whose_answer_was_lost_is_told_by_the_next_try() {
    let world = World::new(Strategy::SingleUser).await;
    world.rotate(&world.user_arn).await;
    let mut value = world.current(&world.user_arn);
    value["password"] = "typed by hand".into();
    world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
    for _ in 0..2 {
        let report = world.step(&world.user_arn, "setSecret", &pending).await.unwrap();
        assert_eq!(report.outcome, REPAIRED);
        assert!(report.notes[0].contains("AWSCURRENT did not log in"), "{report:?}");
    }
    for step in &STEPS[2..] {
        world.step(&world.user_arn, step, &pending).await.unwrap();
    }
    // And where there was nothing to repair, a repetition says no such thing.
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    for step in ["createSecret", "setSecret"] {
        world.step(&world.user_arn, step, &pending).await.unwrap();
    }
    let report = world.step(&world.user_arn, "setSecret", &pending).await.unwrap();
    assert_eq!((report.outcome, report.notes.len()), ("password was set", 0));
}

#[tokio::test]
async fn a_role_that_is_kept_out_keeps_its_password() {
    let world = World::new(Strategy::SingleUser).await;
    for (damage, cure) in [("NOLOGIN", "LOGIN"), ("VALID UNTIL '2000-01-01'", "VALID UNTIL 'infinity'")] {
        let alter = |what: &str| format!("ALTER ROLE {} {what}", identifier(&world.user));
        world.server.sql(&alter(damage)).await;
        let error = set(&world, &world.user_arn).await;
        assert!(error.to_string().contains("pgrotate recover"), "{damage}: {error}");
        world.server.sql(&alter(cure)).await;
        assert!(world.current_works(&world.user_arn).await, "{damage}: its password was right all along");
        world.store.with(&world.user_arn, |secret| drop(secret.labels.remove(crate::fake::PENDING)));
    }
}

async fn set(world: &World, arn: &str) -> rotation_function::error::FunctionError {
    let pending = token();
    world.store.start_rotation(arn, &pending).unwrap();
    world.step(arn, "createSecret", &pending).await.unwrap();
    world.step(arn, "setSecret", &pending).await.unwrap_err()
}

#[tokio::test]
async fn a_value_put_by_hand_does_not_lock_the_login_out() {
    let world = World::new(Strategy::SingleUser).await;
    world.rotate(&world.user_arn).await;
    // Twice, so that even AWSPREVIOUS does not log in: the label of the last rotation still does.
    for _ in 0..2 {
        let mut value = world.current(&world.user_arn);
        value["password"] = "typed by hand".into();
        value["note"] = token().into();
        world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
    }
    assert_eq!(world.working_labels(&world.user_arn).await, [label::SETTING]);
    let reports = world.rotate(&world.user_arn).await;
    assert!(reports[1].notes[0].contains("AWSCURRENT did not log in"), "{reports:?}");
    assert_eq!(reports[1].outcome, REPAIRED);
    assert!(world.current_works(&world.user_arn).await);
    assert!(!world.store.with(&world.user_arn, |secret| secret.labels.contains_key(label::IN_FORCE)), "tidied up");
}

#[tokio::test]
async fn a_normal_rotation_makes_few_calls() {
    let world = World::new(Strategy::SingleUser).await;
    world.rotate(&world.user_arn).await;
    let counts = world.counted_rotation().await;
    // AWS calls and connections of createSecret, setSecret, testSecret, finishSecret.
    assert_eq!(counts, [(3, 0), (5, 1), (2, 1), (4, 2)]);
}
