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

/// The article, with its network meant by tags.
fn by_tags() -> String {
    let vpc = ARTICLE.lines().find(|line| line.starts_with("vpc = ")).unwrap();
    let subnets = ARTICLE.lines().find(|line| line.starts_with("subnets = ")).unwrap();
    ARTICLE
        .replace(vpc, "vpc = { tags = { Name = \"prod\" } }")
        .replace(subnets, "subnets = { tags = { Tier = \"private\" } }")
}

#[test]
fn no_vpc_of_the_tags() {
    of(&Account::new(), &by_tags(), "no-vpc-of-the-tags");
}

/// One is meant, and which of them nobody can say; nor where only one subnet is.
#[test]
fn two_vpcs_of_the_tags() {
    let account = Account::new();
    let prod = json!([{ "Key": "Name", "Value": "prod" }]);
    let made = account.call("ec2", "create_vpc", json!({ "CidrBlock": "10.9.0.0/16" }));
    let other = made["Vpc"]["VpcId"].as_str().unwrap().to_owned();
    account.call("ec2", "create_tags", json!({ "Resources": ["vpc-02294c945121da772", other], "Tags": prod }));
    account.config(&by_tags());
    let done = account.command(&["plan", "deployment.toml"]).output().unwrap();
    check(&done, &[(&other, "vpc-0bbbbbbbbbbbbbbbb"), (&account.number, "[ACCOUNT]")], "two-vpcs-of-the-tags");

    account.call("ec2", "delete_tags", json!({ "Resources": [other], "Tags": prod }));
    let private = json!([{ "Key": "Tier", "Value": "private" }]);
    account.call("ec2", "create_tags", json!({ "Resources": ["subnet-05a8a2c78756260ed"], "Tags": private }));
    of(&account, &by_tags(), "one-subnet-of-the-tags");
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
