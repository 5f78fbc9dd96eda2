//! What a failover or a restart does to a connection, and that a step gets over it.

use crate::world::{STEPS, World, token};
use function_contract::Strategy;
use rotation_function::config::{Config, Hosts};
use rotation_function::database::literal;
use rotation_function::error::FunctionError;
use std::time::Duration;

/// A real failover: what takes the writes is a reader at first, and is promoted while the step tries.
#[tokio::test]
async fn a_reader_that_becomes_the_writer_is_waited_for() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        let replica = world.server.start_replica();
        let user = literal(&world.user);
        replica.until(&format!("SELECT EXISTS (SELECT FROM pg_authid WHERE rolname = {user})")).await;
        let hosts = format!("127.0.0.3:{}", replica.port);
        for arn in [&world.user_arn, &world.config.admin_secret_arn] {
            let mut value = world.current(arn);
            value["host"] = "127.0.0.3".into();
            value["port"] = replica.port.into();
            world.store.put_by_hand(arn, &token(), &value.to_string());
        }
        let database = crate::world::postgres(&world.server.ca, &hosts);
        let config = Config { hosts: Hosts::parse(&hosts).unwrap(), ..world.config.clone() };
        let world = World { database, config, ..world };
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
        let promoted = async {
            // Once the step has met the reader.
            while !replica.log().contains("25006") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(replica.texts("SELECT pg_promote()::text").await, ["true"]);
        };
        let (result, ()) = tokio::join!(world.step(&world.user_arn, "setSecret", &pending), promoted);
        result.unwrap();
        for step in &STEPS[2..] {
            world.step(&world.user_arn, step, &pending).await.unwrap();
        }
        assert!(world.current_works(&world.user_arn).await);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
    // The step waits for the login's lock when its session is ended (57P01).
    let context = world.context();
    let current = context.read_current(&world.user_arn, &world.user).await.unwrap();
    let holder = context.log_in(&current.value, Some("postgres")).await.unwrap();
    let key = world.lock_key().await;
    use rotation_function::database::Session;
    holder.change("the lock", &format!("SELECT pg_advisory_lock({key})")).await.unwrap();
    let cut = async {
        let kill = format!(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE usename = {} AND wait_event_type = 'Lock'",
            literal(&world.admin)
        );
        // PostgreSQL tells nobody that a session waits; one has to look.
        while world.server.texts(&kill).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        holder.close().await;
    };
    let (result, ()) = tokio::join!(world.step(&world.user_arn, "setSecret", &pending), cut);
    result.unwrap();
    for step in &STEPS[2..] {
        world.step(&world.user_arn, step, &pending).await.unwrap();
    }
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn an_invocation_without_time_says_so() {
    let world = World::new(Strategy::SingleUser).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
    let context = world.context();
    let current = context.read_current(&world.user_arn, &world.user).await.unwrap();
    let holder = context.log_in(&current.value, Some("postgres")).await.unwrap();
    use rotation_function::database::Session;
    holder.change("the lock", &format!("SELECT pg_advisory_lock({})", world.lock_key().await)).await.unwrap();
    let payload = serde_json::json!({"Step": "setSecret", "SecretId": world.user_arn, "ClientRequestToken": pending});
    let remaining = Duration::from_secs(4);
    let began = std::time::Instant::now();
    let result =
        rotation_function::handler::handle(&world.config, &world.store, &world.database, payload, remaining).await;
    let Err(FunctionError::OutOfTime { step, waiting_for }) = result else { panic!("{result:?}") };
    // The step, and what stood in its way.
    let lock = format!("the login's lock by 127.0.0.1:{}", world.server.port);
    assert_eq!((step, waiting_for), ("setSecret", lock));
    assert!(began.elapsed() < remaining);
    holder.close().await;
    for step in &STEPS[1..] {
        world.step(&world.user_arn, step, &pending).await.unwrap();
    }
    assert!(world.current_works(&world.user_arn).await);
}
