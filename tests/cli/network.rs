//! What the config names and AWS does not have: told at its line.

use crate::snapshot::check;
use crate::support::{ARTICLE, Account};
use serde_json::json;

fn of(account: &Account, text: &str, name: &str) {
    account.config(text);
    let before = account.requests().len();
    for command in [&["plan", "deployment.toml"][..], &["apply", "--yes", "deployment.toml"]] {
        let done = account.command(command).output().unwrap();
        check(&done, &[(&account.number, "[ACCOUNT]")], name);
    }
    assert!(account.changes_since(before).is_empty());
}

#[test]
fn no_such_vpc() {
    of(&Account::new(), &ARTICLE.replace("vpc-02294c945121da772", "vpc-0123456789abcdef0"), "no-such-vpc");
}

#[test]
fn no_such_subnet() {
    of(&Account::new(), &ARTICLE.replace("subnet-0cf57825fcf0c3cbd", "subnet-0123456789abcdef0"), "no-such-subnet");
}

#[test]
fn a_vpc_without_dns() {
    let account = Account::new();
    account.call(
        "ec2",
        "modify_vpc_attribute",
        json!({ "VpcId": "vpc-02294c945121da772", "EnableDnsHostnames": { "Value": false } }),
    );
    of(&account, ARTICLE, "a-vpc-without-dns");
}

/// The file has no account to compare it with; the credentials have.
#[test]
fn a_topic_of_another_account() {
    let alerts = "\n[alerts]\ntopic = \"arn:aws:sns:eu-north-1:999999999999:database-alerts\"\n\n[function]\n";
    of(&Account::new(), &ARTICLE.replace("\n[function]\n", alerts), "a-topic-of-another-account");
}

/// Which partition a region is in, AWS tells.
#[test]
fn a_topic_of_another_partition() {
    let account = Account::new();
    let topic = format!("arn:aws-cn:sns:eu-north-1:{}:database-alerts", account.number);
    let alerts = format!("\n[alerts]\ntopic = \"{topic}\"\n\n[function]\n");
    of(&account, &ARTICLE.replace("\n[function]\n", &alerts), "a-topic-of-another-partition");
}
