//! A VPC and subnets that the config means by their tags: found among others, pinned by a saved plan, and followed when one
//! more gets the tags.

use crate::support::{ARTICLE, Account, path};
use serde_json::json;

const VPC: &str = "vpc-02294c945121da772";
const SUBNETS: [&str; 2] = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"];

fn by_tags() -> String {
    let line = |start: &str| ARTICLE.lines().find(|line| line.starts_with(start)).expect("its line");
    ARTICLE
        .replace(line("vpc = "), "vpc = { tags = { Name = \"prod\" } }")
        .replace(line("subnets = "), "subnets = { tags = { Tier = \"private\" } }")
}

impl Account {
    fn tag(&self, ids: &[&str], key: &str, value: &str) {
        let asked = json!({ "Resources": ids, "Tags": [{ "Key": key, "Value": value }] });
        self.call("ec2", "create_tags", asked);
    }

    fn another_vpc(&self) -> String {
        let made = self.call("ec2", "create_vpc", json!({ "CidrBlock": "10.9.0.0/16" }));
        made["Vpc"]["VpcId"].as_str().expect("its id").to_owned()
    }
}

#[test]
fn found_pinned_and_followed() {
    let account = Account::new();
    account.delays("none");
    let other = account.another_vpc();
    account.tag(&[VPC], "Name", "prod");
    account.tag(&[&other], "Name", "test");
    account.tag(&SUBNETS, "Tier", "private");
    let config = account.config(&by_tags());
    let file = config.with_file_name("plan.json");

    let plan = account.pgrotate(&["plan", path(&config), "--out", path(&file)]);
    plan.exits(0);
    let found = format!("found by tags: subnets {}, {}; vpc {VPC}", SUBNETS[0], SUBNETS[1]);
    assert!(plan.stdout.contains(&found), "{}", plan.stdout);

    // The tags have gone to another VPC since: what was reviewed was not for there.
    let three = |vpc: &str, zone: &str, cidr: &str| {
        let asked = json!({ "VpcId": vpc, "AvailabilityZone": zone, "CidrBlock": cidr });
        account.call("ec2", "create_subnet", asked)["Subnet"]["SubnetId"].as_str().expect("its id").to_owned()
    };
    let others = [three(&other, "eu-north-1a", "10.9.1.0/24"), three(&other, "eu-north-1b", "10.9.2.0/24")];
    account.tag(&[&others[0], &others[1]], "Tier", "private");
    account.tag(&[VPC], "Name", "former");
    account.tag(&[&other], "Name", "prod");
    for attribute in ["EnableDnsHostnames", "EnableDnsSupport"] {
        let mut asked = json!({ "VpcId": other });
        asked[attribute] = json!({ "Value": true });
        account.call("ec2", "modify_vpc_attribute", asked);
    }
    let stale = account.apply(&file);
    stale.exits(3);
    assert!(stale.stderr.contains(&format!("vpc by tags: {VPC} → {other}")), "{}", stale.stderr);

    // As it was: exactly that.
    account.tag(&[&other], "Name", "test");
    account.tag(&[VPC], "Name", "prod");
    account.apply(&file).exits(0);
    account.is_empty(&config);

    // One subnet more is a change as of one that is declared.
    let more = three(VPC, "eu-north-1c", "172.31.64.0/20");
    account.tag(&[&more], "Tier", "private");
    let plan = account.plan(&config);
    plan.exits(2);
    assert!(plan.planned().contains(&"update db_subnet_group.my-db-subnet-group".to_owned()), "{}", plan.stdout);
    account.apply(&config).exits(0);
    account.is_empty(&config);
}
