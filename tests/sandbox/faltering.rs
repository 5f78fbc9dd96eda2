//! AWS falters, and functions die: what was asked for comes about all the same, once.

use crate::scenarios::SINGLE_USER;
use crate::stopping::{as_the_article_wants, counted};
use crate::support::{ARTICLE, Account, pasted, path, until};
use serde_json::{Value, json};

/// Throttled once, and an answer lost after the request took effect: of every call that makes something.
#[test]
fn of_aws() {
    let account = Account::new();
    account.delays("none");
    for request in ["secretsmanager.CreateSecret", "secretsmanager.DescribeSecret", "secretsmanager.RotateSecret"] {
        account.fault(&[request, "ThrottlingException"]);
    }
    for request in ["ec2.CreateSecurityGroup", "ec2.AuthorizeSecurityGroupIngress", "ec2.DescribeVpcEndpoints"] {
        account.fault(&[request, "RequestLimitExceeded"]);
    }
    account.fault(&["cloudformation.UpdateStack", "Throttling"]);
    account.fault(&["sts.GetCallerIdentity", "Throttling"]);
    account.fault(&["sts.GetCallerIdentity", "cut"]);
    for request in [
        "ec2.CreateSecurityGroup",
        "ec2.AuthorizeSecurityGroupIngress",
        "ec2.AuthorizeSecurityGroupEgress",
        "ec2.CreateVpcEndpoint",
        "rds.CreateDBSubnetGroup",
        "rds.CreateDBInstance",
        "s3.CreateBucket",
        "secretsmanager.CreateSecret",
        "cloudformation.CreateStack",
        "cloudformation.UpdateStack",
        "secretsmanager.RotateSecret",
    ] {
        account.fault(&[request, "cut", "--after"]);
    }
    account.converges(ARTICLE);
    assert_eq!(account.fault(&[]).trim(), "", "all of it has happened");
    assert_eq!(counted(&account), as_the_article_wants());
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone", "one rotation, not two");

    for request in [
        "ec2.DeleteVpcEndpoints",
        "ec2.DeleteSecurityGroup",
        "rds.DeleteDBInstance",
        "rds.DeleteDBSubnetGroup",
        "secretsmanager.CancelRotateSecret",
        "secretsmanager.DeleteSecret",
        "cloudformation.DeleteStack",
        "s3.DeleteBucket",
    ] {
        account.fault(&[request, "cut", "--after"]);
    }
    let config = account.config(ARTICLE);
    account.destroy(&config).exits(0);
    assert_eq!(account.fault(&[]).trim(), "", "all of it has happened");
    assert!(account.destroy(&config).exits(0).stdout.contains("nothing is left to destroy"));
}

/// The rotation function killed in the middle: AWSCURRENT, or what may be in force instead of it, logs in, and
/// the rotation that follows makes all good.
#[test]
fn of_the_function() {
    let account = Account::new();
    account.delays("none,rotation_retry=1");
    let (config, _) = account.converges(&format!("{ARTICLE}{SINGLE_USER}"));
    // What the function has asked for last, the request with which it dies, and whether it is still carried out.
    let (put, label) = ("secretsmanager.PutSecretValue", "secretsmanager.UpdateSecretVersionStage");
    for (user, request, which) in [
        ("test_user1", put, &["--after"][..]),
        // The new password is set, and is made current in the next moment; has been.
        ("test_user1", label, &[]),
        ("test_user1", label, &["--after"]),
        ("reporting", put, &["--after"]),
        // Of a single user a label says first which password is about to be set.
        ("reporting", label, &["--after"]),
        // It is set, and not yet current: AWSCURRENT does not log in, and what it will be does.
        ("reporting", label, &["--skip", "1"]),
        ("reporting", label, &["--skip", "1", "--after"]),
    ] {
        let (secret, moment) = (format!("{user}_secret"), format!("{user}: {request} {which:?}"));
        account.fault(&[&[request, "kill", "--function", "pgpasslambda"], which].concat());
        account.pgrotate(&["rotate", path(&config), user]).exits(0);
        until("the function is killed", || account.fault(&[]).trim().is_empty().then_some(()));
        // In this order: a rotation that ends in between makes the one the other.
        let alternates = user == "test_user1";
        assert!(
            !alternates && account.logs_in(&secret, "AWSPENDING") || account.logs_in(&secret, "AWSCURRENT"),
            "{moment}"
        );
        until("Secrets Manager has tried again", || pending(&account, &secret).is_none().then_some(()));
        assert!(account.login(&secret, "AWSCURRENT").starts_with(user), "{moment}");
        account.rotate(&config, user).exits(0);
        assert!(account.login(&secret, "AWSCURRENT").starts_with(user), "{moment}");
    }
    account.is_empty(&config);
    assert!(account.drift(&config).is_empty());
}

/// Killed at every attempt until Secrets Manager gives up: what is left is told, with what ends it.
#[test]
fn of_the_function_for_good() {
    let account = Account::new();
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    account.fault(&["secretsmanager.UpdateSecretVersionStage", "kill", "--function", "pgpasslambda", "--times", "3"]);
    account.pgrotate(&["rotate", path(&config), "test_user1"]).exits(0);
    until("all attempts have failed", || account.fault(&[]).trim().is_empty().then_some(()));
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    // Secrets Manager takes no other rotation while that one stands: who asks for one is told what ends it.
    let refused = account.rotate(&config, "test_user1");
    refused.exits(1);
    assert!(pending(&account, "test_user1_secret").is_some(), "it stands");
    assert!(refused.stderr.contains(&pasted("recover", &config, "test_user1")), "{}", refused.stderr);
    account.pgrotate(&["recover", path(&config), "test_user1", "--yes"]).exits(0);
    account.rotate(&config, "test_user1").exits(0);
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
    assert!(account.login("test_user1_secret", "AWSPREVIOUS").starts_with("test_user1"));
    account.is_empty(&config);
}

/// The version that a rotation has begun with and not ended.
fn pending(account: &Account, secret: &str) -> Option<String> {
    let found = account.call("secretsmanager", "describe_secret", json!({ "SecretId": secret }));
    let versions = found["VersionIdsToStages"].as_object()?.clone();
    let has = |labels: &Value, label: &str| labels.as_array().is_some_and(|labels| labels.contains(&json!(label)));
    versions
        .into_iter()
        .find(|(_, labels)| has(labels, "AWSPENDING") && !has(labels, "AWSCURRENT"))
        .map(|(version, _)| version)
}
