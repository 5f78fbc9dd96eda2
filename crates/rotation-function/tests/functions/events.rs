//! Events out of turn, secrets that are not ours, and what never appears in an error.

use crate::fake::CURRENT;
use crate::world::{STEPS, World, token};
use function_contract::{Strategy, error_type, tag};
use rotation_function::event::RotationEvent;
use rotation_function::rotation::Report;

#[tokio::test]
async fn the_gate_lets_through_what_is_in_turn() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let arn = &world.user_arn;
    let pending = token();
    world.store.start_rotation(arn, &pending).unwrap();
    for step in STEPS {
        let error = world.step(arn, step, &token()).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::BAD_EVENT, "an unknown token");
    }
    let current = world.store.with(arn, |secret| secret.labels[CURRENT].clone());
    // Provisioning's tokens are UUIDs, so AWSCURRENT can be named in an event.
    for step in STEPS {
        world.step(arn, step, &current).await.unwrap();
    }
    world.store.with(arn, |secret| secret.labels.insert("OTHER".into(), "00000000-0000-4000-8000-000000000000".into()));
    let error = world.step(arn, "createSecret", "00000000-0000-4000-8000-000000000000").await.unwrap_err();
    assert_eq!(error.error_type(), error_type::BAD_EVENT, "a version that is not AWSPENDING");
    world.store.with(arn, |secret| secret.rotation_enabled = Some(false));
    for step in STEPS {
        let error = world.step(arn, step, &pending).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::SECRET_REFUSED, "rotation is switched off");
    }
}

/// What is refused is logged with the login it is about, as soon as the secret has told it.
#[tokio::test]
async fn a_refused_step_is_told_with_its_login() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let arn = &world.user_arn;
    let refused = async |token: &str| {
        let event = serde_json::json!({"Step": "createSecret", "SecretId": arn, "ClientRequestToken": token});
        let mut report = Report::default();
        let event = RotationEvent::parse(event).unwrap_or_else(|error| panic!("{error}"));
        world.context().rotate(&event, &mut report).await.unwrap_err();
        report.login
    };
    assert_eq!(refused(&token()).await.as_ref(), Some(&world.user), "an unknown version");
    let pending = token();
    world.store.start_rotation(arn, &pending).unwrap();
    world.store.with(arn, |secret| secret.rotation_enabled = Some(false));
    assert_eq!(refused(&pending).await.as_ref(), Some(&world.user), "rotation is switched off");
    world.store.with(arn, |secret| secret.tags.insert(tag::DEPLOYMENT.into(), "other".into()));
    assert_eq!(refused(&pending).await, None, "another deployment's is none of ours");
}

#[tokio::test]
async fn a_secret_that_is_not_ours_is_refused_in_every_step() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let arn = &world.user_arn;
    let pending = token();
    world.store.start_rotation(arn, &pending).unwrap();
    for (key, value) in [(tag::DEPLOYMENT, "other"), (tag::LOGIN, "=zz")] {
        let old = world.store.with(arn, |secret| secret.tags.insert(key.into(), value.into())).unwrap();
        for step in STEPS {
            let error = world.step(arn, step, &pending).await.unwrap_err();
            assert_eq!(error.error_type(), error_type::SECRET_REFUSED, "{key}");
        }
        world.store.with(arn, |secret| secret.tags.insert(key.into(), old));
    }
    world.store.with(arn, |secret| secret.tags.clear());
    let error = world.step(arn, "createSecret", &pending).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::SECRET_REFUSED);
}

#[tokio::test]
async fn a_value_that_points_elsewhere_is_refused() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let arn = &world.user_arn;
    let good = world.current(arn);
    for (key, value) in [
        ("host", "evil.example".into()),
        ("port", serde_json::json!(1)),
        ("username", "postgres".into()),
        ("username", world.admin.as_str().into()),
        ("engine", "mysql".into()),
        ("masterarn", "arn:other".into()),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        let pending = token();
        world.store.put_by_hand(arn, &token(), &bad.to_string());
        world.store.start_rotation(arn, &pending).unwrap();
        let error = world.step(arn, "createSecret", &pending).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::SECRET_REFUSED, "{key}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(good["password"].as_str().unwrap()), "{text}");

        // The same in AWSPENDING, with a good AWSCURRENT.
        world.store.put_by_hand(arn, &token(), &good.to_string());
        bad["password"] = "pending's".into();
        world.store.with(arn, |secret| secret.values.insert(pending.clone(), Some(bad.to_string())));
        let error = world.step(arn, "setSecret", &pending).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::SECRET_REFUSED, "{key}");
        world.store.with(arn, |secret| secret.labels.remove("AWSPENDING"));
    }
}

#[tokio::test]
async fn finish_refuses_a_version_without_a_value() {
    let world = World::new(Strategy::SingleUser).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    let error = world.step(&world.user_arn, "finishSecret", &pending).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::SECRET_REFUSED);
    let error = world.step(&world.user_arn, "setSecret", &pending).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::SECRET_REFUSED);
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn a_test_without_a_value_is_a_rehearsal_that_writes_nothing() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        world.store.calls();
        let report = world.step(&world.user_arn, "testSecret", &pending).await.unwrap();
        assert_eq!(report.outcome, "rehearsed with AWSCURRENT");
        let calls = world.store.calls();
        assert!(calls.iter().all(|call| ["DescribeSecret", "GetSecretValue"].contains(call)), "{calls:?}");
    }
}

#[tokio::test]
async fn a_long_login_is_refused_before_a_version_is_stored() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let arn = &world.user_arn;
    let long = "l".repeat(58);
    world.store.with(arn, |secret| secret.tags.insert(tag::LOGIN.into(), long.clone()));
    let mut value = world.current(arn);
    value["username"] = long.into();
    world.store.put_by_hand(arn, &token(), &value.to_string());
    let pending = token();
    world.store.start_rotation(arn, &pending).unwrap();
    let error = world.step(arn, "createSecret", &pending).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::BAD_EVENT);
    assert!(world.store.with(arn, |secret| secret.values[&pending].is_none()));
}
