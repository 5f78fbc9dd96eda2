//! Who is spoken to, and how: only in TLS that verifies, in bounded time, with an error that says what is wrong.

use crate::listener::{Answers, Listener, SSL_REQUEST, tls};
use crate::server::{free_port, has_ipv6, server};
use crate::world::{World, postgres, token};
use function_contract::{Strategy, error_type};
use rotation_function::config::{Config, Hosts};
use rotation_function::database::Postgres;
use rotation_function::error::FunctionError;
use std::time::{Duration, Instant};

/// The world, its server moved to another address of the same database, or to a listener.
async fn moved(world: World, ca: &str, host: &str, port: u16) -> World {
    for arn in [&world.user_arn, &world.config.admin_secret_arn] {
        let mut value = world.current(arn);
        value["host"] = host.into();
        value["port"] = port.into();
        world.store.put_by_hand(arn, &token(), &value.to_string());
    }
    let bare = host.trim_matches(['[', ']']);
    let hosts = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
    World {
        database: postgres(ca, &hosts),
        config: Config { hosts: Hosts::parse(&hosts).unwrap(), ..world.config.clone() },
        ..world
    }
}

/// What comes of a test login there.
async fn refusal(ca: &str, host: &str, port: u16) -> (World, FunctionError) {
    let (world, error, _) = timed_refusal(ca, host, port).await;
    (world, error)
}

/// The same, with the time of that step alone: making a server and a world takes its own.
async fn timed_refusal(ca: &str, host: &str, port: u16) -> (World, FunctionError, Duration) {
    let world = moved(World::new(Strategy::SingleUser).await, ca, host, port).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    let began = Instant::now();
    let error = world.step(&world.user_arn, "testSecret", &pending).await.unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.error_type(), error_type::UNREACHABLE, "{error}");
    (world, error, took)
}

/// Nothing that tells who wanted in, before or without TLS: no more than the wish for it, and the records of a
/// handshake.
fn nothing_in_the_clear(world: &World, heard: &[u8]) {
    assert_eq!(heard.get(..8), Some(&SSL_REQUEST[..]), "{heard:?}");
    let current = world.current(&world.user_arn);
    for secret in ["username", "password", "dbname"] {
        let secret = current[secret].as_str().unwrap().as_bytes();
        assert!(!heard.windows(secret.len()).any(|window| window == secret), "{heard:?}");
    }
    let mut rest = &heard[8..];
    while let [kind, major, _, high, low, ..] = *rest {
        // Handshake, alert, change_cipher_spec or (encrypted) application data of TLS 1.x (RFC 8446, 5.1).
        assert!((20..=23).contains(&kind) && major == 3, "{rest:?}");
        rest = &rest[(5 + usize::from(u16::from_be_bytes([high, low]))).min(rest.len())..];
    }
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn a_server_that_does_not_verify_is_refused_once_and_told_why() {
    let (ours, stranger) = (tls(&["127.0.0.1"], 4096), tls(&["127.0.0.1"], 4096));
    let (other_name, other_address) = (tls(&["db.example"], 4096), tls(&["127.0.0.2", "db.example"], 4096));
    let expired = tls(&["127.0.0.1"], 2020);
    for (what, (config, _), ca, told) in [
        ("signed by somebody else", &stranger, &ours.1, "add it to the deployment's CA bundle"),
        ("for another name", &other_name, &other_name.1, "must be a name that the server's certificate holds"),
        ("for another address", &other_address, &other_address.1, "must be a name that the server's certificate holds"),
        ("out of date", &expired, &expired.1, "needs a certificate that is valid now"),
    ] {
        let listener = Listener::start(Answers::Tls(config.clone()));
        let (world, error) = refusal(ca, "127.0.0.1", listener.port).await;
        assert!(error.to_string().contains(told), "{what}: {error}");
        let heard = listener.heard();
        assert_eq!(heard.len(), 1, "{what}: it is not tried again");
        nothing_in_the_clear(&world, &heard[0]);
        assert!(heard[0].len() > 8, "{what}: it came to TLS");
    }
    // The positive control: the same with nothing wrong gets as far as the login, inside TLS.
    let listener = Listener::start(Answers::Tls(ours.0.clone()));
    let (world, error, took) = timed_refusal(&ours.1, "127.0.0.1", listener.port).await;
    assert!(error.to_string().contains("no answer within 8 seconds"), "{error}");
    assert!(took < Duration::from_secs(26), "{took:?}");
    let heard = listener.heard();
    assert!(heard.len() > 1, "silence may pass: it is tried again");
    heard.iter().for_each(|heard| nothing_in_the_clear(&world, heard));
    // What the function ships with does not know the authority of a sandbox or a test.
    let world = World::new(Strategy::SingleUser).await;
    let rds_only = Postgres::new(rotation_function::tls::client(None).unwrap(), world.config.hosts.clone());
    let world = World { database: rds_only, ..world };
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    let error = world.step(&world.user_arn, "testSecret", &pending).await.unwrap_err();
    assert!(error.to_string().contains("add it to the deployment's CA bundle"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_never_sees_a_name_or_a_password() {
    // No; an error, as servers of before 1997 answer; what no PostgreSQL says; a login asked for without TLS.
    for answer in [&b"N"[..], b"E\0\0\0\x0bSFATAL\0\0", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\x08\0\0\0\x03"] {
        let listener = Listener::start(Answers::Bytes(answer));
        let (world, error) = refusal(&server().ca, "127.0.0.1", listener.port).await;
        assert!(error.to_string().contains("server does not support TLS"), "{answer:?}: {error}");
        assert_eq!(listener.heard(), [SSL_REQUEST], "{answer:?}");
        drop(world);
    }
    // Bytes slipped in behind the answer are no part of the session: they are taken for TLS, and are none.
    let listener = Listener::start(Answers::Bytes(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"));
    let (world, _) = refusal(&server().ca, "127.0.0.1", listener.port).await;
    let heard = listener.heard();
    assert_eq!(heard.len(), 1);
    nothing_in_the_clear(&world, &heard[0]);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = Listener::start(Answers::Silence);
    let (_, error, took) = timed_refusal(&server().ca, "127.0.0.1", listener.port).await;
    assert!(error.to_string().contains("no answer within 8 seconds"), "{error}");
    // A test has 25 seconds, in which there is no time for a fourth try of 8.
    assert!(took < Duration::from_secs(26), "{took:?}");
    let heard = listener.heard();
    assert!((2..=3).contains(&heard.len()) && heard.iter().all(|heard| *heard == SSL_REQUEST), "{heard:?}");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_tried_six_times() {
    let listener = Listener::start(Answers::Nothing);
    let (_, _, took) = timed_refusal(&server().ca, "127.0.0.1", listener.port).await;
    assert_eq!(listener.heard(), [SSL_REQUEST; 6]);
    // Pauses of 200 ms, doubled each time, each cut by up to half.
    assert!(took >= Duration::from_millis(3100) && took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_is_given_up_in_time() {
    let (_, _, took) = timed_refusal(&server().ca, "127.0.0.1", free_port()).await;
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test]
async fn a_server_that_is_not_on_the_list_is_not_even_called() {
    let listener = Listener::start(Answers::Silence);
    let world = World::new(Strategy::SingleUser).await;
    let mut value = world.current(&world.user_arn);
    value["port"] = listener.port.into();
    world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    for step in crate::world::STEPS {
        let error = world.step(&world.user_arn, step, &pending).await.expect_err(step);
        // Without a value of its own there is nothing that the last step could refuse as a secret.
        assert!(step == "finishSecret" || error.error_type() == error_type::SECRET_REFUSED, "{step}: {error}");
    }
    assert_eq!(listener.heard(), Vec::<Vec<u8>>::new());
}

/// Addresses of IPv6, bare or in brackets, in a secret: a whole life of both logins.
#[tokio::test]
async fn ipv6_addresses_are_hosts() {
    if !has_ipv6() {
        eprintln!("this machine has no ::1: only the reading of such addresses is tested, in config.rs");
        return;
    }
    for host in ["::1", "[::1]"] {
        for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
            let world = World::new(strategy).await;
            let (ca, port) = (world.server.ca.clone(), world.server.port);
            let world = moved(world, &ca, host, port).await;
            for arn in [&world.user_arn, &world.config.admin_secret_arn] {
                world.rotate(arn).await;
                assert!(world.current_works(arn).await, "{host}");
                assert_eq!(world.current(arn)["host"], host);
            }
            let facts = world.inspect(&world.user_arn).await;
            assert_eq!(facts.versions[0].host, Some(format!("[::1]:{port}")));
        }
    }
}
