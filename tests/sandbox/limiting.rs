//! A plan that takes away much is not carried out unless somebody says that it is meant.

use crate::support::{ARTICLE, Account, path};

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
