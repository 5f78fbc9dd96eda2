//! An RDS Proxy in front of the instance, as `plan` sees it.

use crate::support::{ARTICLE, Account, path};
use serde_json::{Value, json};
use std::path::Path;

/// Of the sandbox's new accounts.
const SUBNETS: [&str; 2] = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"];

fn lints(account: &Account, config: &Path) -> Vec<Value> {
    let plan = account.pgrotate(&["plan", "--format", "json", path(config)]);
    let document: Value = serde_json::from_str(&plan.exits(0).stdout).expect("JSON");
    document["lints"].as_array().expect("lints").clone()
}

fn asked_for_proxies(account: &Account) -> usize {
    account.requests().iter().filter(|(_, what)| what == "rds.DescribeDBProxies").count()
}

fn secret(account: &Account, name: &str) -> Value {
    account.call("secretsmanager", "describe_secret", json!({ "SecretId": name }))["ARN"].take()
}

fn proxy(account: &Account, name: &str, auth: Value) {
    let asked = json!({
        "DBProxyName": name, "EngineFamily": "POSTGRESQL", "Auth": auth, "VpcSubnetIds": SUBNETS,
        "RoleArn": format!("arn:aws:iam::{}:role/proxy", account.number),
    });
    account.call("rds", "create_db_proxy", asked);
}

#[test]
fn a_proxy_that_knows_one_of_two_users() {
    let account = Account::new();
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    assert_eq!(lints(&account, &config), [] as [Value; 0]);
    let (user, admin) = (secret(&account, "test_user1_secret"), secret(&account, "rotator_admin_secret"));

    // Many proxies of others, on more than one page; the admin's has no other user.
    for number in 0..101 {
        proxy(&account, &format!("other{number}"), json!([{ "SecretArn": admin }]));
    }
    assert_eq!(lints(&account, &config), [] as [Value; 0]);
    proxy(&account, "front", json!([{ "SecretArn": admin }, { "SecretArn": user }]));
    let [found] = &lints(&account, &config)[..] else { panic!("one lint") };
    assert_eq!((&found["code"], &found["of"]), (&json!("proxy-with-one-secret"), &json!(["front"])));
    let line = usize::try_from(found["line"].as_u64().expect("a line")).expect("few lines");
    assert_eq!(ARTICLE.lines().nth(line - 1), Some("secret = \"test_user1_secret\""));

    // Told and planned; refused only where somebody wants none, with nothing saved.
    let plan = account.plan(&config);
    plan.exits(0);
    assert!(plan.stdout.contains("Lint:\n  proxy-with-one-secret (line "), "{}", plan.stdout);
    let out = config.with_file_name("plan.json");
    let denied = account.pgrotate(&["plan", "--deny-lints", "--out", path(&out), path(&config)]);
    denied.exits(4);
    assert!(denied.stdout.contains("proxy-with-one-secret"), "{}", denied.stdout);
    assert!(
        denied.stderr.contains("refused[linted]: the config does not allow proxy-with-one-secret"),
        "{}",
        denied.stderr
    );
    assert!(!out.exists(), "a plan that was refused is not saved");

    // Allowed; and of a single user there is nothing to be told, nor to be asked.
    let entry =
        "\n    { code = \"proxy-with-one-secret\", of = \"front\", reason = \"its clients read the secret anew\" },";
    let allowed = ARTICLE.replace("allow = [\n", &format!("allow = [{entry}\n"));
    let config = account.config(&allowed);
    assert_eq!(lints(&account, &config), [] as [Value; 0]);
    account.pgrotate(&["plan", "--deny-lints", path(&config)]).exits(0);
    let before = asked_for_proxies(&account);
    let single = account.config(&ARTICLE.replace("strategy = \"alternating-users\"", "strategy = \"single-user\""));
    assert_eq!(lints(&account, &single), [] as [Value; 0]);
    assert_eq!(asked_for_proxies(&account), before);

    // Only plan looks: nothing else depends on it.
    let config = account.config(ARTICLE);
    account.apply(&config).exits(0);
    account.drift(&config);
    account.pgrotate(&["plan", "--destroy", path(&config)]).exits(0);
    assert_eq!(asked_for_proxies(&account), before);
}

#[test]
fn proxies_that_may_not_be_seen_fail_no_plan() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    account.fault(&["rds.DescribeDBProxies", "AccessDenied", "--times", "2"]);
    let plan = account.plan(&config);
    plan.exits(2);
    for told in ["proxies-unseen: ", "AccessDenied", "allow rds:DescribeDBProxies"] {
        assert!(plan.stdout.contains(told), "`{told}`: {}", plan.stdout);
    }
    // Whoever wants no lints is not told that there are none.
    account.pgrotate(&["plan", "--deny-lints", path(&config)]).exits(4);
    assert_eq!(account.fault(&[]).trim(), "", "both were denied");
    account.pgrotate(&["plan", "--deny-lints", path(&config)]).exits(0);
}
