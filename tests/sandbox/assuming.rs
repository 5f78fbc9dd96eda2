//! A role that the config has assumed: in another account than that of the credentials.

use crate::support::{ARTICLE, Account, path};
use serde_json::{Value, json};

/// Of `account`, and trusts `trusted`.
fn role(account: &Account, trusted: &str) -> String {
    let principal = json!({ "AWS": format!("arn:aws:iam::{trusted}:root") });
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" }],
    });
    let asked = json!({ "RoleName": "pgrotate", "Path": "/ci/", "AssumeRolePolicyDocument": trust.to_string() });
    account.call("iam", "create_role", asked)["Role"]["Arn"].as_str().expect("an ARN").to_owned()
}

fn as_role(arn: &str) -> String {
    let region = "region = \"eu-north-1\"";
    assert_eq!(ARTICLE.matches(region).count(), 1);
    ARTICLE.replace(region, &format!("assume_role = \"{arn}\"\n{region}"))
}

fn asked(account: &Account) -> Vec<String> {
    account.requests().into_iter().filter(|(caller, _)| caller == "client").map(|(_, what)| what).collect()
}

/// Everything is done in the role's account, and nothing in that of the credentials.
#[test]
fn everything_is_done_as_the_role() {
    let (own, other) = (Account::new(), Account::new());
    other.delays("none");
    let config = own.config(&as_role(&role(&other, &own.number)));
    let plan = own.pgrotate(&["plan", "--format", "json", path(&config)]);
    let document: Value = serde_json::from_str(&plan.exits(0).stdout).unwrap();
    assert_eq!(document["account"], other.number.as_str());
    own.apply(&config).exits(0);
    own.is_empty(&config);
    let asked = asked(&own);
    assert!(asked.iter().all(|what| what.starts_with("sts.")), "{asked:?}");
    // Two commands and one more: who asks, and the role, once each.
    assert_eq!(asked, ["sts.GetCallerIdentity", "sts.AssumeRole"].repeat(3));
    own.no_value_was_read();
    other.no_value_was_read();
}

/// The runner of CI has done it already, and its role need not trust itself.
#[test]
fn a_session_of_the_role_stays_as_it_is() {
    let (own, other) = (Account::new(), Account::new());
    let arn = role(&other, &own.number);
    let assumed = own.call("sts", "assume_role", json!({ "RoleArn": arn, "RoleSessionName": "GitHubActions" }));
    let config = own.config(&as_role(&arn));
    let mut plan = own.command(&["plan", path(&config)]);
    for (name, of) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        plan.env(name, assumed["Credentials"][of].as_str().unwrap());
    }
    let before = (asked(&own).len(), asked(&other).len());
    let done = plan.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(asked(&own).len(), before.0);
    let asked = asked(&other).split_off(before.1);
    assert_eq!(asked.iter().filter(|what| what.starts_with("sts.")).collect::<Vec<_>>(), ["sts.GetCallerIdentity"]);
}
