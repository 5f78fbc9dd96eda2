//! A plan is saved, reviewed, and applied as it was reviewed, or not at all.

use crate::scenarios::SECOND_USER;
use crate::stopping::killed_when;
use crate::support::{ARTICLE, Account, path};
use serde_json::json;

/// Of a config in two files and a variable, neither of which is there when it is applied.
#[test]
fn whole_without_its_files_and_variables() {
    let account = Account::new();
    account.delays("none");
    let config =
        account.config("extends = \"base.toml\"\ndeployment = \"${env.STAGE}\"\n[database]\nbackup_days = 3\n");
    let base = config.with_file_name("base.toml");
    std::fs::write(&base, ARTICLE).expect("the base");
    let file = config.with_file_name("plan.json");
    let plan = |stage: &str| {
        let mut command = account.command(&["plan", path(&config), "--out", path(&file)]);
        command.env("STAGE", stage).output().expect("pgrotate runs")
    };
    let told = plan("prod");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    std::fs::remove_file(&config).expect("the config");
    std::fs::remove_file(&base).expect("its base");
    let applied = account.command(&["apply", path(&file)]).env("STAGE", "test").output().expect("pgrotate runs");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let found = account.call("rds", "describe_db_instances", json!({}));
    assert_eq!(found["DBInstances"][0]["BackupRetentionPeriod"], 3);
    assert!(found.to_string().contains("prod"), "it is that deployment's: {found}");
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
}

#[test]
fn applied_as_reviewed_or_not_at_all() {
    let account = Account::new();
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    let file = config.with_file_name("second-user.json");
    let file = path(&file);
    let text = format!("{ARTICLE}{SECOND_USER}");
    let config = account.config(&text);
    let saved = account.pgrotate(&["plan", path(&config), "--out", file]);
    saved.exits(0);
    assert!(saved.stderr.contains(&format!("pgrotate apply {file}")), "{}", saved.stderr);
    let first = std::fs::read(file).expect("the plan");
    account.pgrotate(&["plan", path(&config), "--out", file]).exits(0);
    assert_eq!(std::fs::read(file).expect("the plan"), first, "the same plan is the same file");

    // Something of the deployment moves: nothing is done, and what has moved is named.
    let secret = json!({ "SecretId": "test_user1_secret" });
    account.call("secretsmanager", "cancel_rotate_secret", secret);
    let stale = account.pgrotate(&["apply", file]);
    stale.exits(3);
    assert!(stale.stderr.contains("error[stale]") && stale.stderr.contains("rotation.test_user1"), "{}", stale.stderr);
    let secrets = account.call("secretsmanager", "list_secrets", json!({}));
    assert!(!secrets.to_string().contains("reporting_secret"), "nothing was done");

    // Put back, it is as it was seen. The config is not asked any more: the file says all.
    let restored = account.config(ARTICLE);
    account.apply(&restored).exits(0);
    std::fs::remove_file(&restored).expect("the config");
    account.pgrotate(&["destroy", "--yes", file]).exits(4);
    account.pgrotate(&["apply", file]).exits(0);
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting_clone");
    // Once more, there is nothing left of it to do.
    let again = account.pgrotate(&["apply", file]);
    again.exits(0);
    assert!(again.stdout.contains("No changes"), "{}", again.stdout);
    let config = account.config(&text);
    account.is_empty(&config);

    let file = config.with_file_name("destroy.json");
    account.pgrotate(&["plan", "--destroy", path(&config), "--out", path(&file)]).exits(0);
    account.pgrotate(&["apply", path(&file)]).exits(4);
    account.pgrotate(&["destroy", path(&file)]).exits(4);
    account.pgrotate(&["destroy", "--yes", path(&file)]).exits(0);
    assert_eq!(account.call("rds", "describe_db_instances", json!({}))["DBInstances"], json!([]));
    account.pgrotate(&["destroy", "--yes", path(&file)]).exits(0);
}

/// Killed again and again, the same file is applied until all of it is done.
#[test]
fn killed_and_applied_again() {
    let account = Account::new();
    account.delays("instance_create=2,stack_create=0.6,stack_update=0.6,endpoint_create=0.6");
    let config = account.config(ARTICLE);
    let file = config.with_file_name("plan.json");
    account.pgrotate(&["plan", path(&config), "--out", path(&file)]).exits(0);
    // What a killed apply has asked for goes on without it: a later moment names whatever may then still be left.
    for moments in [
        &["create        security_group.database"][..],
        &["db_instance.", "stack."],
        &["stack.", "login."],
        &["login.", "rotation."],
    ] {
        assert!(killed_when(&account, &["apply", path(&file)], moments), "it never came to {moments:?}");
    }
    account.pgrotate(&["apply", path(&file)]).exits(0);
    account.is_empty(&config);
    assert_eq!(crate::stopping::counted(&account), crate::stopping::as_the_article_wants());
}
