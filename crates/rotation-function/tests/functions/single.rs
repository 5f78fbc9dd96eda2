use crate::fake::CURRENT;
use crate::world::{STEPS, World, token};
use function_contract::{Strategy, error_type, label};
use rotation_function::database::identifier;
use rotation_function::rotation::REPAIRED;

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
