//! What was destroyed can be built again, in its secrets' recovery window too.

use crate::support::{ARTICLE, Account};
use serde_json::json;

#[test]
fn destroyed_and_built_again() {
    let account = Account::new();
    let (config, _) = account.converges(ARTICLE);
    let before = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    let old = account.passwords();
    account.destroy(&config).exits(0);

    let plan = account.plan(&config);
    plan.exits(2);
    assert!(plan.planned().contains(&"update secret.test_user1".to_owned()), "{}", plan.stdout);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    let after = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    assert_eq!(before["ARN"], after["ARN"], "the same secret, restored");
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    account.rotate(&config, "test_user1").exits(0);
    account.rotate(&config, "rotator_admin").exits(0);
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    assert_eq!(account.login("rotator_admin_secret", "AWSCURRENT"), "rotator_admin");
    let mut all = old;
    all.extend(account.passwords());
    account.nothing_tells(&all);
}
