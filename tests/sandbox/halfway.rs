//! What stands half-way when it is found: on its way out, begun and left, taken out of AWS's hands. It is told for what it
//! is, and an apply brings it to its end or says who can.

use crate::scenarios::SINGLE_USER;
use crate::support::{ARTICLE, Account, Deployment, pasted, path, until};
use serde_json::{Value, json};
use std::process::Stdio;

fn by_hand(account: &Account, service: &str, operation: &str, parameters: Value) {
    let answer = account.call(service, operation, parameters);
    assert!(answer["error"].is_null(), "{operation}: {answer}");
}

/// Somebody deletes the endpoint; it is still there, and is no endpoint any more.
#[test]
fn an_endpoint_on_its_way_out() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    let endpoints = account.call("ec2", "describe_vpc_endpoints", json!({}));
    let endpoint = endpoints["VpcEndpoints"][0]["VpcEndpointId"].clone();
    account.delays("endpoint_delete=15");
    by_hand(account, "ec2", "delete_vpc_endpoints", json!({ "VpcEndpointIds": [endpoint] }));
    let plan = account.plan(&at.config);
    plan.exits(2);
    assert!(plan.stdout.contains("- delete vpc_endpoint.secretsmanager"), "{}", plan.stdout);
    assert!(plan.stdout.contains("+ create vpc_endpoint.secretsmanager"), "{}", plan.stdout);
    let found = &account.drift(&at.config)["vpc_endpoint.secretsmanager"];
    assert!(found.contains("its state is deleting"), "{found}");
    let before = account.requests().len();
    account.apply(&at.config).exits(0);
    let asked = account.requests().split_off(before);
    assert!(!asked.iter().any(|(_, what)| what == "ec2.DeleteVpcEndpoints"), "it goes by itself: {asked:?}");
    account.is_empty(&at.config);
    assert!(account.drift(&at.config).is_empty());
}

/// Somebody gives the master a password by hand: no login could be made any more.
#[test]
fn a_master_password_that_rds_does_not_keep() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    let taken = json!({
        "DBInstanceIdentifier": "my-postgres-instance", "ManageMasterUserPassword": false,
        "MasterUserPassword": "typed-by-hand-1", "ApplyImmediately": true,
    });
    by_hand(account, "rds", "modify_db_instance", taken);
    let found = account.drift(&at.config);
    let instance = &found["db_instance.my-postgres-instance"];
    assert!(instance.contains("kept by RDS") && instance.contains("by hand"), "{instance}");
    account.apply(&at.config).exits(0);
    account.is_empty(&at.config);
    // Who makes logins has the new one.
    account.converges(&format!("{ARTICLE}{SINGLE_USER}"));
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
}

/// The first rotation has failed for good: that is no proof, today or an hour later, and the rest goes on.
#[test]
fn a_first_rotation_that_is_stuck() {
    let account = Account::new();
    account.delays("none");
    // Whatever is begun from here on was begun over an hour ago.
    account.clock("90m ago");
    account.converges(ARTICLE);
    let config = account.config(&format!("{ARTICLE}{SINGLE_USER}"));
    let put = "secretsmanager.PutSecretValue";
    account.fault(&[put, "kill", "--function", "pgpasslambda", "--times", "3"]);
    let mut command = account.command(&["apply", "--yes", path(&config)]);
    let mut apply = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgrotate runs");
    until("all attempts have failed", || account.fault(&[]).trim().is_empty().then_some(()));
    apply.kill().expect("it can be killed");
    apply.wait().expect("it ends");

    let text = format!("{ARTICLE}{SINGLE_USER}").replace("backup_days = 7", "backup_days = 8");
    let config = account.config(&text);
    let run = account.apply(&config);
    run.exits(5);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(
        said.contains("error[rotation-failed]") && said.contains(&pasted("recover", &config, "reporting")),
        "{said}"
    );
    let left = account.plan(&config);
    assert_eq!(left.planned(), ["ensure rotation.reporting"], "{}", left.stdout);
    account.apply(&config).exits(1);
    account.pgrotate(&["recover", path(&config), "reporting", "--yes"]).exits(0);
    account.is_empty(&config);
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
}

/// A rotation that failed, and was cancelled then: what it has begun blocks every other, and no waiting helps.
#[test]
fn a_cancelled_rotation_that_left_something() {
    let account = Account::new();
    account.delays("none");
    account.clock("90m ago");
    let (config, _) = account.converges(ARTICLE);
    let put = "secretsmanager.PutSecretValue";
    account.fault(&[put, "kill", "--function", "pgpasslambda", "--times", "3"]);
    account.pgrotate(&["rotate", path(&config), "test_user1"]).exits(0);
    until("all attempts have failed", || account.fault(&[]).trim().is_empty().then_some(()));
    by_hand(&account, "secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    let run = account.apply(&config);
    run.exits(1);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(
        said.contains("error[rotation-failed]") && said.contains(&pasted("recover", &config, "test_user1")),
        "{said}"
    );
    account.pgrotate(&["recover", path(&config), "test_user1", "--yes"]);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
}

/// Somebody took the tags of the bucket, and keeps things of his own in it.
#[test]
fn a_bucket_that_others_use_too() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    let bucket = format!("pgrotate-article-{}-eu-north-1", account.number);
    by_hand(account, "s3", "delete_bucket_tagging", json!({ "Bucket": bucket }));
    assert!(account.drift(&at.config).contains_key(&format!("bucket.{bucket}")), "only what we put there is in it");
    by_hand(account, "s3", "put_object", json!({ "Bucket": bucket, "Key": "theirs.txt" }));
    let plan = account.plan(&at.config);
    plan.exits(4);
    assert!(plan.stderr.contains("refused[not-ours]") && plan.stderr.contains(&bucket), "{}", plan.stderr);
    by_hand(account, "s3", "delete_object", json!({ "Bucket": bucket, "Key": "theirs.txt" }));
    account.apply(&at.config).exits(0);
    account.is_empty(&at.config);
}

/// A bucket whose name was deleted a moment ago, and an instance that is at something else: neither is a failure.
#[test]
fn what_is_busy_is_waited_for() {
    let account = Account::new();
    account.delays("none");
    account.fault(&["s3.CreateBucket", "OperationAborted", "--client", "--times", "2"]);
    account.converges(ARTICLE);
    account.fault(&["rds.ModifyDBInstance", "InvalidDBInstanceState", "--client", "--times", "2"]);
    let text = ARTICLE.replace("backup_days = 7", "backup_days = 8");
    let text = text.replace("deletion_protection = false", "deletion_protection = true");
    account.converges(&text);
    // Protection is lifted by a modification too.
    account.fault(&["rds.ModifyDBInstance", "InvalidDBInstanceState", "--client", "--times", "2"]);
    let config = account.config(&text.replace("deletion_protection = true", "deletion_protection = false"));
    account.destroy(&config).exits(0);
    assert!(account.fault(&[]).trim().is_empty(), "all of it came to pass");
}

/// A secret outlives its instance in its recovery window, and so does what a rotation left unfinished in it.
#[test]
fn built_again_with_something_unfinished() {
    let account = Account::new();
    account.delays("none");
    account.clock("90m ago");
    let (config, _) = account.converges(ARTICLE);
    let put = "secretsmanager.PutSecretValue";
    account.fault(&[put, "kill", "--function", "pgpasslambda", "--times", "3"]);
    account.pgrotate(&["rotate", path(&config), "test_user1"]).exits(0);
    until("all attempts have failed", || account.fault(&[]).trim().is_empty().then_some(()));
    account.destroy(&config).exits(0);
    account.converges(ARTICLE);
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
}
