//! Killed at any moment, or run twice at once, apply converges and makes nothing twice.

use crate::support::{ARTICLE, Account, path};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// Runs a command and kills it (SIGKILL) once its progress says one of `moments`; answers whether it did.
pub fn killed_when(account: &Account, arguments: &[&str], moments: &[&str]) -> bool {
    let mut command = account.command(arguments);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("pgrotate runs");
    let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    let reached = lines.any(|line| {
        let line = line.expect("UTF-8");
        moments.iter().any(|moment| line.contains(moment))
    });
    process.kill().expect("it can be killed");
    process.wait().expect("it ends");
    reached
}

/// How many there are of each thing that an apply makes.
pub fn counted(account: &Account) -> Value {
    let count = |service: &str, operation: &str, list: &str, parameters: Value| {
        account.call(service, operation, parameters)[list].as_array().expect("a list").len()
    };
    json!({
        "instances": count("rds", "describe_db_instances", "DBInstances", json!({})),
        "subnet groups": count("rds", "describe_db_subnet_groups", "DBSubnetGroups", json!({})),
        // One is the VPC's own; RDS's master secret goes with the instance.
        "groups": count("ec2", "describe_security_groups", "SecurityGroups", json!({})) - 1,
        "secrets": count("secretsmanager", "list_secrets", "SecretList", json!({
            "Filters": [{ "Key": "tag-key", "Values": ["pgrotate:deployment"] }],
        })),
        "rules": count("ec2", "describe_security_group_rules", "SecurityGroupRules", json!({
            "Filters": [{ "Name": "tag:pgrotate:deployment", "Values": ["article"] }],
        })),
        "endpoints": count("ec2", "describe_vpc_endpoints", "VpcEndpoints", json!({})),
        "functions": count("lambda", "list_functions", "Functions", json!({})),
        "buckets": count("s3", "list_buckets", "Buckets", json!({})),
        "stacks": count("cloudformation", "describe_stacks", "Stacks", json!({})),
    })
}

/// Of the article.
pub fn as_the_article_wants() -> Value {
    json!({
        "instances": 1, "subnet groups": 1, "groups": 3, "secrets": 2, "rules": 6, "endpoints": 1,
        "functions": 3, "buckets": 1, "stacks": 1,
    })
}

#[test]
fn killed_again_and_again() {
    let account = Account::new();
    // Slow enough that there is something to interrupt.
    account.delays("instance_create=3,stack_create=0.6,stack_update=0.6,endpoint_create=0.6");
    let config = account.config(ARTICLE);
    // What a killed apply has asked for goes on without it, so that a later moment names whatever may then
    // still be left.
    for moments in [
        &["create        security_group.database"][..],
        &["done          "],
        &["db_instance."],
        &["stack."],
        &["stack."],
        &["login.rotator_admin"],
        &["login.test_user1", "rotation."],
        &["rotation."],
    ] {
        assert!(killed_when(&account, &["apply", "--yes", path(&config)], moments), "it never came to {moments:?}");
    }
    account.converges(ARTICLE);
    assert_eq!(counted(&account), as_the_article_wants());
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    account.rotate(&config, "test_user1").exits(0);
}

#[test]
fn destroy_killed_and_done_again() {
    let account = Account::new();
    account.delays("instance_delete=1,stack_delete=0.6,endpoint_delete=0.6");
    let (config, _) = account.converges(ARTICLE);
    for moment in ["done          rotation.", "wait          "] {
        let destroy = ["destroy", "--yes", path(&config)];
        assert!(killed_when(&account, &destroy, &[moment]), "it never came to {moment:?}");
    }
    account.destroy(&config).exits(0);
    assert!(account.destroy(&config).exits(0).stdout.contains("nothing is left to destroy"));
    assert_eq!(account.call("rds", "describe_db_instances", json!({}))["DBInstances"], json!([]));
}

#[test]
fn two_at_once() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let start = || -> Child {
        let mut apply = account.command(&["apply", "--yes", path(&config)]);
        apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pgrotate runs")
    };
    let (one, other) = (start(), start());
    for apply in [one, other] {
        let done = apply.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // Either may find its target moved by the other; neither may fail.
        assert!(
            matches!(done.status.code(), Some(0 | 3 | 5)) && !text(&done.stdout).contains(" failed"),
            "{:?}\n{}\n{}",
            done.status,
            text(&done.stdout),
            text(&done.stderr)
        );
    }
    account.converges(ARTICLE);
    assert_eq!(counted(&account), as_the_article_wants());
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
}
