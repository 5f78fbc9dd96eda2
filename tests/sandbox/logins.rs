//! A login's life: declared, changed in the file, changed by hand, removed, and back again; and what `status`,
//! `drift`, `logs` and `graph` say of it meanwhile.

use crate::scenarios::SINGLE_USER;
use crate::support::{ARTICLE, Account, Run, path};
use serde_json::{Value, json};
use std::path::Path;

/// Of `test_user1`, whose table is the file's last.
const ATTRIBUTES: &str = "
member_of = [\"app_rw\"]
settings = { search_path = \"app\", statement_timeout = \"30s\" }
connection_limit = 20
valid_until = 2040-01-01T00:00:00Z
";

fn status(account: &Account, config: &Path, code: i32) -> Value {
    let run = account.pgrotate(&["status", "--format", "json", path(config)]);
    run.exits(code);
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn of<'a>(status: &'a Value, login: &str) -> &'a Value {
    let logins = status["logins"].as_array().expect("logins");
    logins.iter().find(|each| each["login"] == login).unwrap_or_else(|| panic!("{login} in {status}"))
}

/// The file's addresses, all of which a graph draws.
fn unchanged(account: &Account, config: &Path) -> Vec<String> {
    let plan = account.pgrotate(&["plan", "--format", "json", path(config)]);
    let plan: Value = serde_json::from_str(&plan.stdout).expect("JSON");
    plan["unchanged"].as_array().expect("addresses").iter().map(|at| at.as_str().expect("text").to_owned()).collect()
}

fn finds(account: &Account, config: &Path, address: &str, code: &str, fact: &str) {
    let found = account.drift(config);
    assert_eq!(found.keys().collect::<Vec<_>>(), [address], "{found:#?}");
    for fact in [&format!(r#""code":"{code}""#), fact] {
        assert!(found[address].contains(fact), "`{fact}`: {}", found[address]);
    }
}

#[test]
fn told_as_it_is() {
    let account = Account::new();
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    let told = status(&account, &config, 0);
    let database = told["database"].as_str().expect("a database");
    assert!(database.contains("my-postgres-instance") && database.contains("available"), "{database}");
    let user = of(&told, "test_user1");
    assert_eq!((&user["current_user"], &user["logs_in"]), (&json!("test_user1_clone"), &json!(true)));
    assert_eq!((&user["strategy"], &user["healthy"]), (&json!("alternating-users"), &json!(true)));
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    for (said, is) in [("last_rotated", "LastRotatedDate"), ("next_rotation", "NextRotationDate")] {
        let said: jiff::Timestamp = user[said].as_str().expect("a moment").parse().expect("RFC 3339");
        assert_eq!(said.as_second(), secret[is].as_f64().expect("seconds") as i64);
    }
    account.rotate(&config, "test_user1").exits(0);
    assert_eq!(of(&status(&account, &config, 0), "test_user1")["current_user"], "test_user1");
    assert!(account.drift(&config).is_empty());

    // Both functions that have written about it are read: made by one, rotated twice by the other.
    let logs = account.pgrotate(&["logs", path(&config), "test_user1"]);
    logs.exits(0);
    for (what, times) in [("finishSecret", 2), ("ensureLogin", 1)] {
        assert_eq!(logs.stdout.matches(what).count(), times, "{what}:\n{}", logs.stdout);
    }
    let others = logs.stdout.lines().filter(|line| line.contains(r#""login":"rotator_admin""#)).count();
    assert_eq!(others, 0, "{}", logs.stdout);

    // The graph draws everything, and what waits for what.
    let graph = account.pgrotate(&["graph", path(&config)]);
    graph.exits(0);
    let all = unchanged(&account, &config);
    assert!(all.len() > 15, "{all:?}");
    for address in &all {
        assert!(graph.stdout.contains(&format!("\"{address}\"")), "{address} in\n{}", graph.stdout);
    }
    assert!(graph.stdout.contains(r#""login.test_user1" -> "rotation.test_user1""#), "{}", graph.stdout);

    // A password that somebody else has set: status, drift and apply in turn.
    account.sql("alter role test_user1 password 'by hand'");
    let told = status(&account, &config, 2);
    assert_eq!(of(&told, "test_user1")["logs_in"], false);
    assert!(of(&told, "test_user1")["troubles"].to_string().contains("28P01"), "{told}");
    assert_eq!(of(&told, "rotator_admin")["healthy"], true);
    finds(&account, &config, "login.test_user1", "credential-drift", "28P01");
    account.apply(&config).exits(0);
    account.is_empty(&config);
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1", "with the password that was stored");
    account.nothing_tells(&account.passwords());
}

#[test]
fn changed_in_the_file_and_by_hand() {
    let account = Account::new();
    account.delays("none");
    account.converges(ARTICLE);
    account.sql("create role app_rw");
    let text = format!("{ARTICLE}{ATTRIBUTES}");
    let config = account.config(&text);
    let plan = account.plan(&config);
    assert_eq!(plan.exits(2).planned(), ["update login.test_user1"], "{}", plan.stdout);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    let role = |name: &str| {
        account.sql(&format!(
            "select rolcanlogin, rolconnlimit, rolvaliduntil at time zone 'UTC' = '2040-01-01', \
             pg_has_role(oid, 'app_rw', 'member'), \
             (select setconfig @> '{{search_path=app}}' from pg_db_role_setting where setrole = r.oid and setdatabase = 0) \
             from pg_roles r where rolname = '{name}'"
        ))
    };
    let declared = vec![vec![json!(true), json!(20), json!(true), json!(true), json!(true)]];
    assert_eq!(role("test_user1"), declared);
    // The clone gets them with its next turn; then it is the other's.
    for _ in 0..3 {
        account.rotate(&config, "test_user1").exits(0);
    }
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1");
    assert_eq!(role("test_user1_clone"), declared);

    for (sql, code, fact) in [
        ("alter role test_user1 nologin", "role-locked", "NOLOGIN"),
        ("alter role test_user1_clone nologin", "role-locked", "its clone"),
        ("revoke app_rw from test_user1", "role-memberships", "app_rw"),
        ("alter role test_user1 set statement_timeout = '5s'", "role-settings", "statement_timeout"),
        ("alter role test_user1 reset search_path", "role-settings", "search_path"),
        ("alter role test_user1 connection limit 3", "role-attributes", "connection limit is 3"),
        ("alter role test_user1 valid until '2039-01-01'", "role-attributes", "2039"),
        ("alter role rotator_admin nocreaterole", "role-attributes", "CREATEROLE"),
    ] {
        account.sql(sql);
        let login = if sql.contains("rotator_admin") { "login.rotator_admin" } else { "login.test_user1" };
        finds(&account, &config, login, code, fact);
        account.apply(&config).exits(0);
        assert!(account.drift(&config).is_empty(), "after: {sql}");
    }
    account.is_empty(&config);
    assert_eq!((role("test_user1"), role("test_user1_clone")), (declared.clone(), declared));
    account.rotate(&config, "test_user1").exits(0);
}

#[test]
fn removed_and_back_again() {
    let account = Account::new();
    account.delays("none");
    account.converges(&format!("{ARTICLE}{SINGLE_USER}"));
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
    account.sql("grant create on schema public to reporting");

    let config = account.config(ARTICLE);
    let plan = account.plan(&config);
    plan.exits(2);
    let mut planned = plan.planned();
    planned.sort();
    assert_eq!(planned, ["delete login.reporting", "delete rotation.reporting", "delete secret.reporting"]);
    let found = account.drift(&config);
    assert!(found.len() == 3 && found.values().all(|each| each.contains("\"no-longer-declared\"")), "{found:#?}");
    let applied: Run = account.apply(&config);
    applied.exits(0);
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "reporting_secret" }));
    assert!(!secret["DeletedDate"].is_null(), "in its recovery window: {secret}");
    assert_ne!(secret["RotationEnabled"], true, "{secret}");
    assert_eq!(account.sql("select rolcanlogin from pg_roles where rolname = 'reporting'"), [[json!(false)]]);
    let remains = applied.stdout.split("What remains:").nth(1).expect("it says what remains");
    assert!(remains.contains("`reporting_secret`") && remains.contains("`reporting`"), "{remains}");
    account.is_empty(&config);
    assert!(account.drift(&config).is_empty());

    // Back: the same secret, the same role with what it may do, and a login again.
    let (config, _) = account.converges(&format!("{ARTICLE}{SINGLE_USER}"));
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
    let may = account.sql("select has_schema_privilege('reporting', 'public', 'create')");
    assert_eq!(may, [[json!(true)]]);
    let back = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "reporting_secret" }));
    assert_eq!((&back["ARN"], &back["RotationEnabled"]), (&secret["ARN"], &json!(true)));
    account.rotate(&config, "reporting").exits(0);

    // The alternating one goes, with its clone, and comes back.
    let (head, user) = ARTICLE.split_at(ARTICLE.find("\n[[user]]").expect("the article's user"));
    account.converges(&format!("{head}{SINGLE_USER}"));
    let may = "select count(*) from pg_roles where rolname in ('test_user1', 'test_user1_clone') and rolcanlogin";
    assert_eq!(account.sql(may), [[json!(0)]]);
    let (config, _) = account.converges(&format!("{head}{SINGLE_USER}{user}"));
    assert_eq!(account.sql(may), [[json!(2)]]);
    account.rotate(&config, "test_user1").exits(0);
    assert!(account.login("test_user1_secret", "AWSPREVIOUS").starts_with("test_user1"));
}
