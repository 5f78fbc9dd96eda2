//! Rotation after rotation, on the oldest and the newest PostgreSQL: whoever holds AWSCURRENT logs in before and
//! after each, under alternating users with AWSPREVIOUS too.

use crate::scenarios::SINGLE_USER;
use crate::support::{ARTICLE, Account};
use serde_json::json;

const ROTATIONS: usize = 5;

fn five_of_each(major: &str) {
    let account = Account::new();
    account.delays("none");
    let text = ARTICLE.replace("engine_version = \"16\"", &format!("engine_version = \"{major}\""));
    let (config, _) = account.converges(&format!("{text}{SINGLE_USER}"));
    let server = account.sql("show server_version");
    assert!(server[0][0].as_str().is_some_and(|version| version.starts_with(major)), "{server:?}");

    let login = |secret: &str, stage: &str| account.login(secret, stage);
    let versions = |secret: &str| {
        account.call("secretsmanager", "describe_secret", json!({ "SecretId": secret }))["VersionIdsToStages"].clone()
    };
    let mut passwords = account.passwords();
    for rotation in 1..=ROTATIONS {
        let before = login("test_user1_secret", "AWSCURRENT");
        assert_eq!(login("reporting_secret", "AWSCURRENT"), "reporting");
        for user in ["test_user1", "reporting"] {
            account.rotate(&config, user).exits(0);
        }
        let after = login("test_user1_secret", "AWSCURRENT");
        assert_eq!(
            (after.as_str(), before.as_str()),
            match rotation % 2 {
                1 => ("test_user1", "test_user1_clone"),
                _ => ("test_user1_clone", "test_user1"),
            }
        );
        assert_eq!(login("test_user1_secret", "AWSPREVIOUS"), before, "what was in use still is of use");
        assert_eq!(login("reporting_secret", "AWSCURRENT"), "reporting");
        for secret in ["test_user1_secret", "reporting_secret"] {
            assert!(!versions(secret).to_string().contains("AWSPENDING"), "{secret}: {}", versions(secret));
        }
        // Each rotation has made two passwords that no version held before.
        let now = account.passwords();
        assert_eq!(now.iter().filter(|password| !passwords.contains(password)).count(), 2);
        passwords.extend(now);
    }
    // The login that does it is rotated itself, and goes on doing it.
    account.rotate(&config, "rotator_admin").exits(0);
    assert_eq!(login("rotator_admin_secret", "AWSCURRENT"), "rotator_admin");
    account.rotate(&config, "test_user1").exits(0);
    assert_eq!(login("test_user1_secret", "AWSCURRENT"), "test_user1_clone");
    account.is_empty(&config);
    account.nothing_tells(&passwords);
}

#[test]
fn five_of_each_on_16() {
    five_of_each("16");
}

#[test]
fn five_of_each_on_18() {
    five_of_each("18");
}
