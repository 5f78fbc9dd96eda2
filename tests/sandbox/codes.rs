//! What a function refuses, as the person gets to read it who has run an apply or a recovery: each by its code.

use crate::support::{ARTICLE, Deployment, Run, path};
use serde_json::json;

const PROVISIONING: &str = "pgpasslambda-provisioning";

fn says(run: &Run, code: &str) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, Some(0), "{said}");
    assert!(said.contains(code) && said.contains("hint: "), "{code}: {said}");
}

/// With one more user of its own name.
fn with_user(login: &str, keys: &str) -> String {
    format!(
        "{ARTICLE}\n[[user]]\nlogin = \"{login}\"\nsecret = \"{login}_secret\"\nstrategy = \"single-user\"\n{keys}\n"
    )
}

/// A login that cannot be made.
#[test]
fn of_a_login_that_is_not_made() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    let apply = |text: &str| account.apply(&account.config(text));

    account.sql("create role theirs login");
    says(&apply(&with_user("theirs", "")), "refused[not-ours]");
    says(&apply(&with_user("member", "member_of = [\"no_such_role\"]")), "error[database-refused]");
    for (login, what, code) in [
        ("denied", "AccessDeniedException", "error[secrets-manager-refused]"),
        ("crashed", "kill", "error[function-crashed]"),
    ] {
        let put = "secretsmanager.PutSecretValue";
        account.fault(&[put, what, "--function", PROVISIONING, "--times", "9"]);
        says(&apply(&with_user(login, "")), code);
        account.fault(&["--clear"]);
        // And once nothing hinders it, it is made.
        apply(&with_user(login, "")).exits(0);
    }
    // Somebody has put another user's value where the login has none yet.
    account.fault(&["secretsmanager.PutSecretValue", "kill", "--function", PROVISIONING, "--times", "9"]);
    says(&apply(&with_user("swapped", "")), "error[function-crashed]");
    account.fault(&["--clear"]);
    let named = json!({ "SecretId": "test_user1_secret" });
    let value = account.call("secretsmanager", "get_secret_value", named)["SecretString"].clone();
    account.call("secretsmanager", "put_secret_value", json!({ "SecretId": "swapped_secret", "SecretString": value }));
    says(&apply(&with_user("swapped", "")), "error[secret-refused]");
}

/// Somebody has changed a function.
#[test]
fn of_a_function_that_is_not_as_it_was() {
    let at = Deployment::new(ARTICLE);
    let (account, config) = (&at.account, at.config.as_path());
    let recover = || account.pgrotate(&["recover", path(config), "test_user1", "--yes"]);

    let function = json!({ "FunctionName": "pgpasslambda-inspection" });
    let mut changed = account.call("lambda", "get_function_configuration", function)["Environment"].take();
    changed["Variables"]["PGROTATE_HOSTS"] = json!("no server");
    let asked = json!({ "FunctionName": "pgpasslambda-inspection", "Environment": changed });
    account.call("lambda", "update_function_configuration", asked);
    says(&recover(), "error[function-misconfigured]");
    account.apply(config).exits(0);
    account.is_empty(config);
}
