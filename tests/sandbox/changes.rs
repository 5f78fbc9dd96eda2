//! What the golden plans show, done for real: each change applied, and nothing left to do after it.

use crate::scenarios::SINGLE_USER;
use crate::support::{ARTICLE, Account, cidrs, until};
use serde_json::{Value, json};

/// A change of the config: what the plan names, and that the apply of it leaves nothing.
fn declared(account: &Account, text: &str, planned: &[&str]) {
    let config = account.config(text);
    let plan = account.plan(&config);
    plan.exits(2);
    assert_eq!(plan.planned(), planned, "{}", plan.stdout);
    account.converges(text);
}

/// One deployment, and its config changed again and again.
#[test]
fn of_the_config() {
    let account = Account::new();
    account.converges(ARTICLE);

    let rescheduled = ARTICLE.replace(r#"every = "10 days""#, "cron = \"cron(0 4 ? * SUN *)\"\nwindow = \"2h\"");
    let rotated = last_rotated(&account);
    declared(&account, &rescheduled, &["update rotation.test_user1"]);
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    assert_eq!(secret["RotationRules"]["ScheduleExpression"], "cron(0 4 ? * SUN *)");
    assert_eq!(secret["RotationRules"]["Duration"], "2h");
    assert_eq!(last_rotated(&account), rotated, "a new schedule rotates nothing");

    let moved = rescheduled.replace("203.0.113.7/32", "198.51.100.0/24");
    declared(
        &account,
        &moved,
        &[
            "create security_group_rule.database-from-198.51.100.0/24",
            "delete security_group_rule.database-from-203.0.113.7/32",
        ],
    );
    assert_eq!(cidrs(&account, "pgrotate-article-database"), ["198.51.100.0/24"]);

    let larger = moved.replace("db.t3.micro", "db.t3.small").replace("gib = 20", "gib = 30");
    declared(&account, &larger, &["update db_instance.my-postgres-instance"]);
    let instance = &account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0];
    assert_eq!((&instance["DBInstanceClass"], &instance["AllocatedStorage"]), (&json!("db.t3.small"), &json!(30)));

    let more = format!("{larger}{SINGLE_USER}");
    declared(&account, &more, &["create secret.reporting", "ensure login.reporting", "create rotation.reporting"]);
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone", "the other one is as it was");
}

fn last_rotated(account: &Account) -> Value {
    account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }))["LastRotatedDate"]
        .clone()
}

/// Ten days on, Secrets Manager rotates by itself; that is no drift.
#[test]
fn of_the_calendar() {
    let account = Account::new();
    let (config, _) = account.converges(ARTICLE);
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone");
    account.clock("+11d");
    until("the schedule fires", || (account.login("test_user1_secret", "AWSCURRENT") == "test_user1").then_some(()));
    assert_eq!(account.login("test_user1_secret", "AWSPREVIOUS"), "test_user1_clone");
    until("the rotation is over", || (account.plan(&config).code == Some(0)).then_some(()));
    account.is_empty(&config);
}
