//! What programs read of a deployment that lives, and what they decide by.

use crate::support::{ARTICLE, Deployment, fits, path};
use pgrotate::schema::Subject;
use serde_json::{Value, json};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Exit code 2 is for what was asked for; all of it is told all the same.
#[test]
fn drift_fails_on_what_is_asked_for() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let drift = |on: &[&str]| account.pgrotate(&[&["drift", path(&config), "--format", "json"], on].concat());
    drift(&["--fail-on", "info"]).exits(0);
    let group = crate::support::group_id(&account, "pgrotate-article-database");
    account.call("ec2", "delete_tags", json!({ "Resources": [group], "Tags": [{ "Key": "pgrotate:address" }] }));
    for (on, exit) in [
        (&[][..], 2),
        (&["--fail-on", "tags-missing"], 2),
        (&["--fail-on", "secret-deleted,tags-missing"], 2),
        (&["--fail-on", "secret-deleted"], 0),
        (&["--fail-on", "critical"], 0),
        (&["--fail-on", "warning"], 2),
    ] {
        let run = drift(on);
        run.exits(exit);
        let found = parsed(&run.stdout);
        fits(Subject::Drift, &found);
        assert_eq!(found["findings"][0]["code"], "tags-missing", "{on:?}");
    }
    account.call("secretsmanager", "delete_secret", json!({ "SecretId": "test_user1_secret" }));
    drift(&["--fail-on", "critical"]).exits(2);
}

/// Each document of a real run is as its schema says.
#[test]
fn all_of_them_fit_their_schemas() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let run = |arguments: &[&str]| {
        parsed(&account.pgrotate(&[arguments, &["--format", "json", path(&config)]].concat()).stdout)
    };
    fits(Subject::Plan, &run(&["plan"]));
    fits(Subject::Plan, &run(&["plan", "--destroy"]));
    fits(Subject::Status, &run(&["status"]));
    fits(Subject::Report, &run(&["apply", "--yes"]));
    fits(Subject::Report, &run(&["destroy", "--yes"]));
}

/// Of a deployment that somebody has changed by hand.
#[test]
fn explained_address_by_address() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let explain = |address: &str| account.pgrotate(&["explain", path(&config), address, "--format", "json"]);
    let document = |address: &str| {
        let run = explain(address);
        run.exits(0);
        let document = parsed(&run.stdout);
        fits(Subject::Explanation, &document);
        document
    };
    let instance = document("db_instance.my-postgres-instance");
    assert_eq!((&instance["steps"], &instance["facts"]["class"]), (&json!([]), &json!("db.t3.micro")));
    let lines = instance["lines"].as_array().unwrap().iter().map(|line| {
        let (number, text) = (line["line"].as_u64().unwrap() as usize, line["text"].as_str().unwrap());
        assert_eq!(ARTICLE.lines().nth(number - 1).unwrap().trim(), text);
        text
    });
    assert!(lines.into_iter().any(|line| line.starts_with("class = ")), "{instance}");

    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    account.call("secretsmanager", "delete_secret", json!({ "SecretId": "test_user1_secret" }));
    let rotation = document("rotation.test_user1");
    let step = &rotation["steps"][0];
    assert_eq!((&step["verb"], &step["drift"][0]["code"]), (&json!("create"), &json!("rotation-cancelled")));
    let waits: Vec<_> =
        step["waits_for"].as_array().unwrap().iter().map(|first| first["of"].as_str().unwrap()).collect();
    assert_eq!(waits, ["login.test_user1"], "{step}");

    let run = explain("db_instance.my-postgres-instanse");
    run.exits(1);
    assert!(run.stderr.contains("did you mean db_instance.my-postgres-instance?"), "{}", run.stderr);
    let run = account.pgrotate(&["explain", path(&config), "rotation.test_user1"]);
    run.exits(0);
    assert!(run.stdout.contains("waits for:\n    login.test_user1: "), "{}", run.stdout);
}
