//! Many deployments at once: some of one account, one of another, one broken.

use crate::support::{ARTICLE, Account, Deployment, fits, path, until};
use pgrotate::schema::Subject;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A directory beside the account's own config, with a file for each text.
fn folder(of: &Path, files: &[(&str, String)]) -> PathBuf {
    let folder = of.parent().unwrap().join("all");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// The article's deployment under another name, all else of it being another's as well.
fn another(name: &str) -> String {
    let text = ARTICLE.replace("deployment = \"article\"", &format!("deployment = \"{name}\""));
    let text =
        text.replace("my-postgres-instance", &format!("{name}-db")).replace("pgpasslambda", &format!("{name}-fn"));
    text.replace("rotator_admin_secret", &format!("{name}_admin")).replace("test_user1_secret", &format!("{name}_user"))
}

/// In the account of a role that `trusted` may assume.
fn in_another_account(text: &str, other: &Account, trusted: &Account) -> String {
    let principal = json!({ "AWS": format!("arn:aws:iam::{}:root", trusted.number) });
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    let trust = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    let made = other.call("iam", "create_role", json!({ "RoleName": "pgrotate", "AssumeRolePolicyDocument": trust }));
    let arn = made["Role"]["Arn"].as_str().unwrap();
    text.replace("[aws]\n", &format!("[aws]\nassume_role = \"{arn}\"\n"))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// One is applied and has nothing to do, one is broken, and one, of the same name in another account, is not applied yet.
#[test]
fn one_that_fails_hides_no_other() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let other = Account::new();
    let elsewhere = in_another_account(ARTICLE, &other, &account);
    let broken = ARTICLE.replace("engine_version = ", "engine_versoin = ");
    let all = folder(
        &config,
        &[
            ("a.toml", ARTICLE.to_owned()),
            ("b.toml", broken),
            ("base.toml", "[network]\n".to_owned()),
            ("c.toml", elsewhere),
        ],
    );
    let run = |arguments: &[&str]| account.pgrotate(&[arguments, &[path(&all)]].concat());

    let plan = run(&["plan", "--format", "json", "--detailed-exitcode"]);
    plan.exits(1);
    let document = parsed(&plan.stdout);
    fits(Subject::Deployments, &document);
    let [applied, failed, new] = document["deployments"].as_array().unwrap().as_slice() else {
        panic!("three deployments: {document:#}");
    };
    let file = |name: &str| json!(path(&all.join(name)));
    assert_eq!((&applied["file"], &failed["file"], &new["file"]), (&file("a.toml"), &file("b.toml"), &file("c.toml")));
    // Each is what the command prints of it alone.
    let alone = parsed(&account.pgrotate(&["plan", "--format", "json", path(&all.join("a.toml"))]).stdout);
    assert_eq!((&applied["document"], &applied["document"]["actions"]), (&alone, &json!([])));
    assert_eq!((&failed["document"], &failed["errors"][0]["code"]), (&Value::Null, &json!("unknown-key")));
    assert_eq!(new["document"]["account"], other.number.as_str());
    assert_eq!(new["document"]["actions"].as_array().unwrap().len(), 22);

    // The rest of them alone: what there is to tell decides.
    let rest = [path(&all.join("a.toml")), path(&all.join("c.toml"))].map(str::to_owned);
    let of_rest = |arguments: &[&str]| account.pgrotate(&[arguments, &[rest[0].as_str(), rest[1].as_str()]].concat());
    of_rest(&["plan"]).exits(0);
    of_rest(&["plan", "--detailed-exitcode"]).exits(2);
    of_rest(&["drift"]).exits(2);
    of_rest(&["drift", "--fail-on", "credential-drift"]).exits(0);
    of_rest(&["status"]).exits(2);

    let human = run(&["plan"]);
    human.exits(1);
    assert!(human.stdout.contains(&format!("=== {}\n\nPlan for deployment article", path(&all.join("c.toml")))));
    assert!(human.stderr.contains("error[unknown-key]: unknown key `engine_versoin`"), "{}", human.stderr);
    let table: Vec<_> = human.stdout.lines().rev().take(6).collect();
    assert_eq!(table[0], "3 deployments, 1 failed.");
    assert!(table[2].ends_with("21 to create, 1 to update"), "{table:#?}");
    assert!(table[3].ends_with("error[unknown-key]"), "{table:#?}");
    assert!(table[4].ends_with("no changes"), "{table:#?}");

    for command in ["drift", "status"] {
        let document = parsed(&run(&[command, "--format", "json"]).exits(1).stdout);
        fits(Subject::Deployments, &document);
        assert_eq!(document["deployments"][0]["document"]["document"], command);
    }
    let markdown = run(&["plan", "--format", "markdown"]).exits(1).stdout.clone();
    let place = |what: &str| markdown.find(what).unwrap_or_else(|| panic!("{what} is not in\n{markdown}"));
    assert!(markdown.starts_with("## pgrotate plan: 3 deployments, 1 failed, 1 with changes\n"), "{markdown}");
    // Failures first, and nothing of what has nothing to do but its row.
    assert!(place("b.toml") < place("c.toml") && place("c.toml") < place("a.toml"));
    assert!(markdown.len() < 65_536 && markdown.matches("### pgrotate plan").count() == 1, "{markdown}");
    account.nothing_tells(&account.passwords());
}

/// Two of one account wait for the same answer at the same time, and what comes out has the order of the paths.
#[test]
fn planned_side_by_side() {
    let account = Account::new();
    let all = folder(
        &account.config(ARTICLE),
        &[("a.toml", another("one")), ("b.toml", another("two")), ("c.toml", another("three"))],
    );
    account.fault(&["ec2.DescribeVpcs", "hold", "--client", "--times", "3"]);
    let mut plan = account.command(&["plan", "--format", "json", path(&all)]);
    let plan = plan.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One after another, the first would keep the others from ever asking.
    until("all three wait", || (account.troubled("held").len() == 3).then_some(()));
    account.fault(&["--clear"]);
    let done = plan.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let document = parsed(std::str::from_utf8(&done.stdout).unwrap());
    let names = document["deployments"].as_array().unwrap().iter().map(|one| one["document"]["deployment"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["one", "two", "three"]);
}

/// Each is saved to a file of its own, which apply takes.
#[test]
fn saved_to_a_directory() {
    let account = Account::new();
    account.delays("none");
    let all = folder(&account.config(ARTICLE), &[("a.toml", ARTICLE.to_owned()), ("b.toml", another("two"))]);
    let plans = all.join("plans");
    let run = account.pgrotate(&["plan", path(&all), "--out", path(&plans)]);
    run.exits(0);
    let named = |name: &str| plans.join(format!("{name}.eu-north-1.{}.plan", account.number));
    assert!(named("two").is_file(), "{}", run.stderr);
    account.apply(&named("article")).exits(0);
    account.is_empty(&all.join("a.toml"));
    let file = account.pgrotate(&["plan", path(&all), "--out", path(&all.join("a.toml"))]);
    assert!(file.exits(1).stderr.contains("is a file, and of several deployments"), "{}", file.stderr);
}

/// Of one account and region, told only once AWS has said which account it is.
#[test]
fn the_same_in_two_files() {
    let account = Account::new();
    let all = folder(&account.config(ARTICLE), &[("a.toml", ARTICLE.to_owned()), ("b.toml", ARTICLE.to_owned())]);
    let run = account.pgrotate(&["plan", path(&all), path(&all.join("b.toml"))]);
    run.exits(4);
    let told = format!("of account {} in eu-north-1 is declared by", account.number);
    assert_eq!(run.stderr.matches(&told).count(), 2, "{}", run.stderr);
}
