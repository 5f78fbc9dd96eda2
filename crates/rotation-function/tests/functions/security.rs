//! TLS that cannot be talked down, verifiers that a server takes, locks that hold, words that never leak.

use crate::world::{World, token};
use function_contract::{Strategy, error_type};
use rotation_function::database::{Session, identifier};
use rotation_function::error::FunctionError;
use rotation_function::handler;
use std::time::Duration;

#[tokio::test]
async fn verifiers_of_odd_passwords_and_iterations_are_the_servers_own() {
    // A server's own verifier and ours must admit the same password. It is read back through the secret, as
    // in a rotation: provisioning sets the stored value where it does not log in.
    let world = World::new(Strategy::SingleUser).await;
    if world.server.version().await >= 160_000 {
        world.server.sql("ALTER DATABASE postgres SET scram_iterations = 5001").await;
    }
    for word in ["plain ASCII \u{7f}", "\u{2168} and a\u{a0}b", "é\u{7}", "\u{627}1", "soft\u{ad}hyphen", "'\"\\$1"] {
        let mut value = world.current(&world.user_arn);
        value["password"] = word.into();
        world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
        world.store.with(&world.user_arn, |secret| secret.labels.remove("AWSPREVIOUS"));
        world.ensure(world.request(function_contract::Duty::User)).await.unwrap();
        let stored = world
            .server
            .texts(&format!(
                "SELECT rolpassword FROM pg_authid WHERE rolname = {}",
                rotation_function::database::literal(&world.user)
            ))
            .await;
        let ours = world.server.application(&world.user, word).await;
        assert!(ours.is_ok(), "{word:?}: {:?}", ours.err());
        if world.server.version().await >= 160_000 {
            assert!(stored[0].starts_with("SCRAM-SHA-256$5001:"), "{}", stored[0]);
        }
        // And the server's own verifier of it admits what we log in with.
        world
            .server
            .sql(&format!(
                "ALTER ROLE {} PASSWORD {}",
                identifier(&world.user),
                rotation_function::database::literal(word)
            ))
            .await;
        assert!(world.current_works(&world.user_arn).await, "{word:?}");
        world.server.sql(&format!("ALTER ROLE {} PASSWORD NULL", identifier(&world.user))).await;
    }
    if world.server.version().await >= 160_000 {
        world.server.sql("ALTER DATABASE postgres RESET scram_iterations").await;
    }
}

#[tokio::test]
async fn two_runs_of_one_login_do_not_overlap() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
    // Any session that holds the lock makes the run wait, and then say so.
    let context = world.context();
    let current = context.read_current(&world.user_arn, &world.user).await.unwrap();
    let holder = context.log_in(&current.value, Some("postgres")).await.unwrap();
    let key = world.lock_key().await;
    holder.change("the lock", &format!("SELECT pg_advisory_lock({key})")).await.unwrap();
    let error = world.step(&world.user_arn, "setSecret", &pending).await.unwrap_err();
    assert!(matches!(error, FunctionError::Busy { .. }), "{error}");
    assert_eq!(error.error_type(), error_type::BUSY);
    holder.close().await;
    world.step(&world.user_arn, "setSecret", &pending).await.unwrap();
}

#[tokio::test]
async fn two_runs_at_once_end_with_one_truth() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        for _ in 0..3 {
            let pending = token();
            world.store.start_rotation(&world.user_arn, &pending).unwrap();
            let (one, two) =
                tokio::join!(world.steps(&world.user_arn, &pending), world.steps(&world.user_arn, &pending));
            assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
            assert!(world.current_works(&world.user_arn).await);
        }
        let world = World::unprovisioned(strategy);
        world.ensure(world.request(function_contract::Duty::Admin)).await.unwrap();
        let request = || world.ensure(world.request(function_contract::Duty::User));
        let (one, two) = tokio::join!(request(), request());
        let stored = [one.unwrap(), two.unwrap()].iter().filter(|done| done.value_stored).count();
        assert_eq!(stored, 1);
        assert!(world.current_works(&world.user_arn).await);
    }
}

#[tokio::test]
async fn no_error_holds_a_password() {
    let world = World::new(Strategy::SingleUser).await;
    let password = world.current(&world.user_arn)["password"].as_str().unwrap().to_owned();
    let user = identifier(&world.user);
    let mut texts = Vec::new();
    for damage in ["PASSWORD 'lost'", "NOLOGIN", "VALID UNTIL '2000-01-01'"] {
        world.server.sql(&format!("ALTER ROLE {user} {damage}")).await;
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        let error = world.step(&world.user_arn, "testSecret", &pending).await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
        let payload =
            serde_json::json!({"Step": "testSecret", "SecretId": world.user_arn, "ClientRequestToken": pending});
        let remaining = Duration::from_secs(20);
        let error =
            handler::handle(&world.config, &world.store, &world.database, payload, remaining).await.unwrap_err();
        texts.push(format!("{error} {error:?} {}", error.error_type()));
        world.store.with(&world.user_arn, |secret| secret.labels.remove("AWSPENDING"));
    }
    world.store.put_by_hand(&world.user_arn, &token(), &format!("not JSON: {password}"));
    let facts = world.inspect(&world.user_arn).await;
    texts.push(format!("{facts:?}"));
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    for step in crate::world::STEPS {
        texts.push(format!("{:?}", world.step(&world.user_arn, step, &pending).await.unwrap_err()));
    }
    for text in texts {
        assert!(!text.contains(&password), "{text}");
    }
}
