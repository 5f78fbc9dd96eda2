//! Secrets that name a read-only replica: written on the writer, tested where they say, and told where there is no
//! writer to be had. The replica is a real one that streams from the tests' server.

use crate::fake::CURRENT;
use crate::server::{Server, server};
use crate::world::{World, postgres, token};
use function_contract::{Strategy, error_type};
use rotation_function::config::{Config, Hosts};
use std::sync::LazyLock;

static REPLICA: LazyLock<Server> = LazyLock::new(|| server().start_replica());

/// The world, its user's secret naming the replica; the function knows `hosts`.
async fn on_replica(strategy: Strategy, hosts: &str) -> World {
    let world = World::new(strategy).await;
    REPLICA.until("SELECT pg_is_in_recovery()").await;
    let mut value = world.current(&world.user_arn);
    value["host"] = "127.0.0.3".into();
    value["port"] = REPLICA.port.into();
    world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
    let database = postgres(&world.server.ca, hosts);
    let config = Config { hosts: Hosts::parse(hosts).unwrap(), ..world.config.clone() };
    let world = World { database, config, ..world };
    let user = rotation_function::database::literal(&world.user);
    REPLICA.until(&format!("SELECT EXISTS (SELECT FROM pg_authid WHERE rolname = {user} AND rolpassword <> '')")).await;
    world
}

#[tokio::test]
async fn written_on_the_writer_and_tested_on_the_replica() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let hosts = format!("127.0.0.1:{},127.0.0.3:{}", server().port, REPLICA.port);
        let world = on_replica(strategy, &hosts).await;
        for _ in 0..3 {
            let connections = || {
                let log = REPLICA.log();
                log.lines().filter(|line| line.contains("connection authorized") && line.contains(&world.user)).count()
            };
            let before = connections();
            world.rotate(&world.user_arn).await;
            assert!(connections() > before, "the test login went to the replica");
            assert!(world.current_works(&world.user_arn).await);
            let current = world.current(&world.user_arn);
            assert_eq!((&current["host"], &current["port"]), (&"127.0.0.3".into(), &REPLICA.port.into()));
        }
    }
}

#[tokio::test]
async fn a_replica_alone_is_told_as_such() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let hosts = format!("127.0.0.3:{}", REPLICA.port);
        let world = on_replica(strategy, &hosts).await;
        let mut admin = world.current(&world.config.admin_secret_arn);
        admin["host"] = "127.0.0.3".into();
        admin["port"] = REPLICA.port.into();
        world.store.put_by_hand(&world.config.admin_secret_arn, &token(), &admin.to_string());
        let before = world.store.with(&world.user_arn, |secret| secret.labels[CURRENT].clone());
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        let error = world.steps(&world.user_arn, &pending).await.unwrap_err();
        assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("25006")), "{error}");
        let text = error.to_string();
        assert!(text.contains("is a read-only replica") && text.contains("must be the writer"), "{text}");
        assert_eq!(world.store.with(&world.user_arn, |secret| secret.labels[CURRENT].clone()), before);
        assert!(world.current_works(&world.user_arn).await);
    }
}

/// A master that meets a replica first looks further, and has nothing to do where there is no writer.
#[tokio::test]
async fn provisioning_finds_the_writer() {
    let hosts = format!("127.0.0.3:{},127.0.0.1:{}", REPLICA.port, server().port);
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    REPLICA.until("SELECT pg_is_in_recovery()").await;
    let database = postgres(&world.server.ca, &hosts);
    let config = Config { hosts: Hosts::parse(&hosts).unwrap(), ..world.config.clone() };
    let world = World { database, config, ..world };
    world.ensure_all().await;
    assert!(world.current_works(&world.user_arn).await);
}
