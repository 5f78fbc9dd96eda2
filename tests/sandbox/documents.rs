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
