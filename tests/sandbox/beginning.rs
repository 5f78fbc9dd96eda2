//! `init` against what an account has: the file that it writes is planned, applied, and nothing is left to do.

use crate::adopting;
use crate::clusters;
use crate::lives::make;
use crate::scenarios::There;
use crate::support::{ARTICLE, Account, Deployment, Run, path, until};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use std::path::PathBuf;

const VPC: &str = "vpc-02294c945121da772";

/// Writes a config; answers with its path and its text.
fn begun(account: &Account, flags: &[&str]) -> (PathBuf, String) {
    let config = account.config("");
    account.pgrotate(&[&["init", "--force", "--out", path(&config)], flags].concat()).exits(0);
    let text = std::fs::read_to_string(&config).expect("a config");
    (config, text)
}

fn plans(account: &Account, run: &Run, expected: Expect) {
    let planned = run.exits(2).planned().join("\n") + "\n";
    expected.assert_eq(&planned.replace(&account.number, "ACCOUNT"));
}

fn instance(account: &Account) -> Value {
    account.call("rds", "describe_db_instances", json!({}))["DBInstances"].take()
}

/// The database that most have: there already, and not to be touched.
#[test]
fn an_instance_that_is_there() {
    let account = Account::new();
    account.delays("none");
    adopting::instance(&account);
    let before = instance(&account);
    let (config, text) = begun(&account, &["--from-instance", "my-postgres-instance", "--user", "app,reporting"]);
    for line in [
        "manage = false ",
        "security_group = { existing = \"my-rds-sg\" }",
        "secrets_manager = \"endpoint\"",
        "login = \"reporting\" ",
    ] {
        assert!(text.lines().any(|written| written.starts_with(line)), "{line}\n{text}");
    }
    let plan = account.plan(&config);
    plans(
        &account,
        &plan,
        expect![[r#"
            create security_group.endpoint
            create security_group.function
            create security_group_rule.endpoint-from-172.31.0.0/16
            create security_group_rule.endpoint-from-function
            create security_group_rule.function-to-endpoint
            create security_group_rule.function-to-my-rds-sg
            create security_group_rule.my-rds-sg-from-function
            create secret.app
            create secret.reporting
            create secret.rotator_admin
            create vpc_endpoint.secretsmanager
            create bucket.pgrotate-my-postgres-instance-ACCOUNT-eu-north-1
            create artifact.function
            create stack.my-postgres-instance-rotation-stack
            ensure login.rotator_admin
            ensure login.app
            ensure login.reporting
            create rotation.app
            create rotation.reporting
            create rotation.rotator_admin
        "#]],
    );
    let validated = account.pgrotate(&["validate", "--deny-lints", path(&config)]);
    validated.exits(0);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    account.pgrotate(&["status", path(&config)]).exits(0);
    account.no_value_was_read();
    assert_eq!(instance(&account), before, "nothing of the instance is changed");
    for user in ["app", "reporting"] {
        assert!(account.login(&format!("{user}_secret"), "AWSCURRENT").starts_with(user));
    }
    // The master's password is RDS's to rotate.
    let flags = ["init", "--out", "-", "--from-instance", "my-postgres-instance", "--user", "postgres"];
    let master = account.pgrotate(&flags);
    master.exits(1);
    assert!(
        master.stderr.starts_with("error[reserved-name]: the login `postgres` is the database's master"),
        "{}",
        master.stderr
    );
    // Begun anew, it is the same deployment: its own endpoint and secrets are nobody else's.
    let (config, again) = begun(&account, &["--from-instance", "my-postgres-instance", "--user", "app,reporting"]);
    assert!(again.contains("secrets_manager = \"endpoint\"") && !again.contains("# adopt = true"), "{again}");
    account.is_empty(&config);
    // What flags say is not looked for.
    let said =
        ["--secrets-manager", "existing-endpoint", "--security-group", "another", "--allow", "10.0.0.0/8=VPN, all"];
    let flags = ["init", "--out", "-", "--from-instance", "my-postgres-instance", "--user", "app"];
    let printed = account.pgrotate(&[&flags[..], &said].concat());
    for line in [
        "secrets_manager = \"existing-endpoint\"",
        "security_group = { existing = \"another\" }",
        "allow = [{ cidr = \"10.0.0.0/8\", description = \"VPN, all\" }]",
    ] {
        assert!(printed.stdout.lines().any(|written| written == line), "{line}\n{}", printed.stdout);
    }
    assert!(printed.exits(4).stderr.contains("no-such-resource"), "{}", printed.stderr);
    // One that a deployment has made is declared there.
    let tags = [("pgrotate:deployment", "shop"), ("pgrotate:address", "db_instance.my-postgres-instance")];
    let tags = tags.map(|(key, value)| json!({ "Key": key, "Value": value }));
    let arn = &instance(&account)[0]["DBInstanceArn"];
    account.call("rds", "add_tags_to_resource", json!({ "ResourceName": arn, "Tags": tags }));
    let made = account.pgrotate(&flags);
    assert!(made.exits(4).stderr.contains("was made by pgrotate, for the deployment `shop`"), "{}", made.stderr);
}

#[test]
fn a_cluster_that_is_there() {
    let account = Account::new();
    account.delays("none");
    make(&account, There::SecurityGroup);
    clusters::by_hand(&account);
    let (config, text) = begun(&account, &["--from-cluster", "my-cluster", "--user", "app", "--deployment", "aurora"]);
    assert!(text.contains("\ncluster = \"my-cluster\" ") && !text.contains("\nmanage ="), "{text}");
    plans(
        &account,
        &account.plan(&config),
        expect![[r#"
        create security_group.endpoint
        create security_group.function
        create security_group_rule.endpoint-from-172.31.0.0/16
        create security_group_rule.endpoint-from-function
        create security_group_rule.function-to-endpoint
        create security_group_rule.function-to-my-rds-sg
        create security_group_rule.my-rds-sg-from-function
        create secret.app
        create secret.rotator_admin
        create vpc_endpoint.secretsmanager
        create bucket.pgrotate-aurora-ACCOUNT-eu-north-1
        create artifact.function
        create stack.aurora-rotation-stack
        ensure login.rotator_admin
        ensure login.app
        create rotation.app
        create rotation.rotator_admin
    "#]],
    );
    // Its member is no database of its own.
    let refused = account.pgrotate(&["init", "--out", "-", "--from-instance", "my-cluster-1", "--user", "app"]);
    refused.exits(4);
    assert!(refused.stderr.contains("hint: --from-cluster my-cluster; nothing was written"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
}

/// What the VPC has decides how the functions reach Secrets Manager.
#[test]
fn the_way_to_secrets_manager_is_found() {
    let chosen = |there: &[There]| {
        let account = Account::new();
        account.delays("none");
        there.iter().for_each(|there| drop(make(&account, *there)));
        let (config, text) =
            begun(&account, &["--identifier", "shop", "--vpc", VPC, "--user", "app", "--engine-version", "16"]);
        account.plan(&config).exits(2);
        let line = text.lines().find(|line| line.starts_with("secrets_manager = ")).expect("it is said");
        line.to_owned()
    };
    assert_eq!(chosen(&[]), "secrets_manager = \"endpoint\"");
    assert_eq!(chosen(&[There::Endpoint]), "secrets_manager = \"existing-endpoint\"");
    assert_eq!(chosen(&[There::Nat]), "secrets_manager = \"nat\"");
    assert_eq!(chosen(&[There::Nat, There::Endpoint]), "secrets_manager = \"existing-endpoint\"");
}

/// An instance whose password RDS does not keep: told as the plan tells it, at the top of the file too, and mended by the
/// command that is told.
#[test]
fn an_instance_that_is_not_fit_yet() {
    let account = Account::new();
    account.delays("none");
    make(&account, There::SecurityGroup);
    make(&account, There::SubnetGroup);
    adopting::by_hand(&account);
    let config = account.config("");
    let flags = ["--from-instance", "my-postgres-instance", "--user", "app", "--every", "30 days"];
    let run = account.pgrotate(&[&["init", "--force", "--out", path(&config)], &flags[..]].concat());
    run.exits(4);
    let command = "aws rds modify-db-instance --db-instance-identifier my-postgres-instance \
                   --manage-master-user-password --apply-immediately";
    let text = std::fs::read_to_string(&config).expect("it is written all the same");
    for told in [&run.stderr, &text] {
        assert!(told.contains("RDS does not keep the master password of `my-postgres-instance`"), "{told}");
        assert!(told.contains(command), "{told}");
    }
    let planned = account.plan(&config);
    assert_eq!(planned.exits(4).stderr, run.stderr, "as the plan tells it");
    account.shell(command);
    until("RDS keeps the password", || {
        let kept = &instance(&account)[0];
        (kept["DBInstanceStatus"] == "available" && kept["MasterUserSecret"]["SecretStatus"] == "active").then_some(())
    });
    account.plan(&config).exits(2);
}

/// A first config of what has one already would take away what that one declares.
#[test]
fn what_has_a_config_already() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let out = config.with_file_name("second.toml");
    let begin = |flags: &[&str]| {
        let rest = ["--vpc", VPC, "--user", "report", "--engine-version", "16", "--out", path(&out)];
        account.pgrotate(&[&["init"], flags, &rest[..]].concat())
    };
    let run = begin(&["--identifier", "My-Postgres-Instance"]);
    run.exits(1);
    let run = begin(&["--identifier", "my-postgres-instance"]);
    run.exits(4);
    assert!(run.stderr.contains("there is a DB instance `my-postgres-instance` already"), "{}", run.stderr);
    let run = begin(&["--identifier", "another", "--deployment", "article"]);
    run.exits(4);
    assert!(run.stderr.contains("there is a deployment `article` already"), "{}", run.stderr);
    assert!(!out.exists());
    account.is_empty(&config);
}
