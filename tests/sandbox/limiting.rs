//! A plan that takes away much is not carried out unless somebody says that it is meant.

use crate::support::{ARTICLE, Account, path, until};

fn with_users(users: usize) -> String {
    let user = |number: usize| format!("\n[[user]]\nlogin = \"user{number}\"\nsecret = \"user{number}_secret\"\n");
    ARTICLE.to_owned() + &(0..users).map(user).collect::<String>()
}

#[test]
fn much_at_once_and_what_is_never_to_go() {
    let account = Account::new();
    account.delays("none");
    account.converges(&with_users(4));
    let config = account.config(ARTICLE);
    let plan = account.plan(&config);
    plan.exits(2);
    assert!(plan.stdout.contains("--allow-deletes 4"), "{}", plan.stdout);
    let refused = account.apply(&config);
    refused.exits(4);
    for told in ["refused[too-many-deletes]", "login.user3", "--allow-deletes 4"] {
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    account.pgrotate(&["apply", "--yes", path(&config), "--allow-deletes", "3"]).exits(4);
    assert!(account.logs_in("user3_secret", "AWSCURRENT"), "nothing was done");
    account.pgrotate(&["apply", "--yes", path(&config), "--allow-deletes", "4"]).exits(0);
    account.is_empty(&config);

    let config = account.config(&format!("{ARTICLE}\n[limits]\nprevent_destroy = true\n"));
    account.is_empty(&config);
    let refused = account.destroy(&config);
    refused.exits(4);
    assert!(refused.stderr.contains("refused[protected]"), "{}", refused.stderr);
    assert!(account.logs_in("test_user1_secret", "AWSCURRENT"));
    account.destroy(&account.config(ARTICLE)).exits(0);
}

/// A user is taken out of the file while an application is logged in with its secret.
#[test]
fn a_secret_in_use() {
    let account = Account::new();
    account.delays("none");
    account.converges(&with_users(1));
    account.stay("user0_secret");
    let config = account.config(ARTICLE);
    let plan = account.plan(&config);
    plan.exits(2);
    let told = "login.user0 is taken away while it is in use: open sessions: 1 as user0";
    assert!(plan.stdout.contains(told), "{}", plan.stdout);
    let refused = account.apply(&config);
    refused.exits(4);
    for told in ["refused[must-be-named]", told, "--allow-delete login.user0"] {
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    account.leave();
    let leaves = || (!account.plan(&config).stdout.contains("in use")).then_some(());
    until("PostgreSQL has ended the session", leaves);

    account.stay("user0_secret");
    account.pgrotate(&["apply", "--yes", path(&config), "--allow-delete", "login.user0"]).exits(0);
    account.is_empty(&config);
    assert!(!account.logs_in("user0_secret", "AWSCURRENT"));
    account.leave();
}

/// Another identifier makes another instance, empty, and the one that holds the data stays: not by a slip of the hand.
#[test]
fn an_instance_in_the_place_of_another() {
    let account = Account::new();
    account.delays("none");
    account.converges(ARTICLE);
    let config = account.config(&ARTICLE.replace("\"my-postgres-instance\"", "\"my-new-instance\""));
    let plan = account.plan(&config);
    plan.exits(2);
    for told in ["looks like renamed to `my-new-instance`", "--allow-delete db_instance.my-postgres-instance."] {
        assert!(plan.stdout.contains(told), "{told}: {}", plan.stdout);
    }
    for flags in [&[][..], &["--allow-deletes", "9"], &["--allow-delete", "db_instance.my-new-instance"]] {
        let refused = account.pgrotate(&[&["apply", "--yes", path(&config)], flags].concat());
        refused.exits(4);
        assert!(refused.stderr.contains("refused[must-be-named]"), "{}", refused.stderr);
    }
    let named = ["apply", "--yes", path(&config), "--allow-delete", "db_instance.my-postgres-instance"];
    account.pgrotate(&named).exits(0);
    account.is_empty(&config);
    let value =
        account.call("secretsmanager", "get_secret_value", serde_json::json!({ "SecretId": "test_user1_secret" }));
    assert!(value["SecretString"].as_str().expect("a value").contains("my-new-instance"), "it names the new one");
    account.login("test_user1_secret", "AWSCURRENT");
    assert!(!account.sql("select 1").is_empty(), "the one of before is there, and RDS has its master's password");
}
