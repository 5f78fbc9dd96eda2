//! What `--verbose` tells: phases and calls, and nothing of what is asked or answered.

use crate::support::{ARTICLE, Account, path};
use serde_json::Value;
use std::collections::BTreeSet;

fn lines(text: &str) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    text.lines().filter(|line| line.starts_with('{')).map(line).collect()
}

/// Without what is another each time: moments, milliseconds, ids, the account and the order of calls that go side by side.
fn normalised(account: &Account, folder: &str, text: &str) -> String {
    let of = |mut line: Value| {
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        line["time"] = "[TIME]".into();
        for (name, shown) in [("elapsed_ms", "[MS]"), ("request_id", "[ID]")] {
            if !line["fields"][name].is_null() {
                line["fields"][name] = shown.into();
            }
        }
        line.to_string().replace(&account.number, "[ACCOUNT]").replace(folder, "")
    };
    let all: Vec<_> = lines(text).into_iter().map(of).collect();
    let calls: BTreeSet<_> = all.iter().filter(|line| line.contains("\"aws call\"")).cloned().collect();
    let phases = all.iter().filter(|line| !line.contains("\"aws call\"")).cloned();
    phases.chain(calls).map(|line| line + "\n").collect()
}

/// A line for each phase, and each call with its attempt, its outcome and its id.
#[test]
fn phases_and_calls() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let folder = format!("{}/", path(config.parent().unwrap()));
    let quiet = account.pgrotate(&["plan", path(&config)]);
    assert_eq!(quiet.exits(0).stderr, "");
    account.fault(&["ec2.DescribeSubnets", "RequestLimitExceeded"]);
    let told = account.pgrotate(&["plan", "--verbose", "--log-format", "json", path(&config)]);
    assert_eq!(told.exits(0).stdout, quiet.stdout, "what is planned is printed as ever");
    expect_test::expect_file!["plan-verbose.jsonl"].assert_eq(&normalised(&account, &folder, &told.stderr));
    let human = account.pgrotate(&["-v", "plan", path(&config)]).exits(0).stderr.clone();
    let call = human.lines().find(|line| line.contains("GetCallerIdentity")).unwrap();
    assert!(call.contains("Z INFO  aws call service=STS operation=GetCallerIdentity attempt=1 elapsed_ms="), "{call}");
    assert!(call.contains(" outcome=ok request_id="), "{call}");
    // Of several, each line says whose it is.
    let copy = config.with_file_name("copy.toml");
    std::fs::write(&copy, ARTICLE.replace("deployment = \"article\"", "deployment = \"copy\"")).unwrap();
    let both = account.pgrotate(&["plan", "-v", path(&config), path(&copy)]).stderr.clone();
    assert!(
        both.lines().filter(|line| line.contains(" aws call ")).all(|line| line.contains(".toml service=")),
        "{both}"
    );
}

/// However much is asked for: of a whole life, with its passwords, nothing that was sent or answered.
#[test]
fn nothing_of_what_is_asked_or_answered() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    let file = path(&config);
    let mut told = String::new();
    for arguments in [
        &["apply", "--yes", file, "-vvv", "--log-format", "json"][..],
        &["rotate", file, "test_user1", "--wait", "-vvv"],
        &["plan", file, "-vvvvv"],
        &["status", file, "-vvv"],
    ] {
        let run = account.pgrotate(arguments);
        run.exits(0);
        told.push_str(&run.stderr);
    }
    assert!(told.contains("\"aws call begins\"") && told.contains("\"action ends\""), "{told}");
    // Targets and words of others, headers, and values of parameters that were sent: a tag's key, a description, a login.
    for never in [
        "aws_smithy",
        "aws_config",
        "hyper",
        "orchestrator",
        "Authorization",
        "AWS4-HMAC",
        "user-agent",
        "x-amz-",
        "pgrotate:",
        "office",
        "MasterUser",
        "SecretString",
        "rotator_admin_secret",
        "sandbox",
        "{\\\"",
        "<?xml",
    ] {
        assert!(!told.contains(never), "{never}:\n{}", told.lines().find(|line| line.contains(never)).unwrap());
    }
    account.nothing_tells(&account.passwords());
    let ends = lines(&told).into_iter().filter(|line| line["message"] == "action ends");
    let (labels, outcomes): (BTreeSet<_>, BTreeSet<_>) =
        ends.map(|line| (line["fields"]["action"].to_string(), line["fields"]["outcome"].to_string())).unzip();
    assert_eq!((labels.len(), outcomes), (22, BTreeSet::from(["\"done\"".to_owned()])));
}
