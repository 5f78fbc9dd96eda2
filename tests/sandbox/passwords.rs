//! How passwords are made: declared, planned, and kept to from the next rotation on.

use crate::scenarios::{SINGLE_USER, with};
use crate::support::{ARTICLE, Account};
use serde_json::{Value, json};

/// The password of a version, read by the test itself.
fn password(account: &Account, secret: &str) -> String {
    let value = account.call("secretsmanager", "get_secret_value", json!({ "SecretId": secret }));
    let value: Value = serde_json::from_str(value["SecretString"].as_str().expect("a value")).expect("JSON");
    value["password"].as_str().expect("a password").to_owned()
}

fn is_url_safe(password: &str) -> bool {
    password.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[test]
fn a_changed_policy_is_planned_applied_and_kept_to() {
    let account = Account::new();
    account.delays("none");
    // The first values are made as the file says; a user may say otherwise than the rest.
    let url_safe = with(ARTICLE, "recovery_days = 7 ", "passwords = \"url-safe\"\nrecovery_days = 7 ");
    let own = "passwords = { length = 64, exclude = '\"' }\n";
    let text = format!("{url_safe}{SINGLE_USER}{own}");
    let (config, _) = account.converges(&text);
    account.no_value_was_read();
    for secret in ["rotator_admin_secret", "test_user1_secret"] {
        let first = password(&account, secret);
        assert!(first.len() == 32 && is_url_safe(&first), "{secret}");
    }
    let long = password(&account, "reporting_secret");
    assert!(long.len() == 64 && !long.contains('"'));
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");

    // Changed: planned as one update, which touches no password that is in use.
    let changed = account.config(&text.replace(own, "passwords = { length = 99, exclude = \"\" }\n"));
    let plan = account.plan(&changed);
    assert_eq!(plan.exits(2).planned(), ["update secret.reporting"]);
    assert!(plan.stdout.contains("64 characters without \" → 99 characters of any kind"), "{}", plan.stdout);
    account.apply(&changed).exits(0);
    account.is_empty(&changed);
    assert_eq!(password(&account, "reporting_secret"), long);
    account.rotate(&changed, "reporting").exits(0);
    let longest = password(&account, "reporting_secret");
    assert_eq!((longest.len(), account.login("reporting_secret", "AWSCURRENT").as_str()), (99, "reporting"));
    // The other's is as it was declared.
    account.rotate(&config, "test_user1").exits(0);
    let other = password(&account, "test_user1_secret");
    assert!(other.len() == 32 && is_url_safe(&other));

    // Somebody else's hand is drift, makes no password weak, and is mended by an apply.
    let weak = json!({ "SecretId": "reporting_secret", "Tags": [{ "Key": "pgrotate:passwords", "Value": "8:" }] });
    account.call("secretsmanager", "tag_resource", weak);
    let found = account.drift(&changed);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["secret.reporting"], "{found:#?}");
    account.rotate(&changed, "reporting").exits(1);
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
    assert_eq!(password(&account, "reporting_secret"), longest);
    account.apply(&changed).exits(0);
    account.clock("+11d");
    crate::support::until("the rotation that was begun ends", || {
        (password(&account, "reporting_secret") != longest).then_some(())
    });
    assert_eq!(password(&account, "reporting_secret").len(), 99);
    account.nothing_tells(&account.passwords());
}
