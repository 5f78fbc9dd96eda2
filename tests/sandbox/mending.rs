//! What an apply mends and changes of a deployment that lives, for the mishaps of `faults`: as many kinds of calls as
//! can be had that neither the first apply nor destroy makes.

use crate::scenarios::SUBNETS;
use crate::support::{ARTICLE, Account, group_id};
use serde_json::{Value, json};

/// Tampers with all of the article that is not in the way of the rest.
pub fn tamper(account: &Account) {
    let call = |service: &str, operation: &str, parameters: Value| account.call(service, operation, parameters);
    call("secretsmanager", "delete_secret", json!({ "SecretId": "test_user1_secret" }));
    let admin = "rotator_admin_secret";
    call("secretsmanager", "update_secret", json!({ "SecretId": admin, "Description": "mine" }));
    call("secretsmanager", "untag_resource", json!({ "SecretId": admin, "TagKeys": ["pgrotate:address"] }));
    let endpoint = endpoint(account);
    call("ec2", "modify_vpc_endpoint", json!({ "VpcEndpointId": endpoint, "PrivateDnsEnabled": false }));
    let untagged = [endpoint, json!(group_id(account, "pgrotate-article-database"))];
    call("ec2", "delete_tags", json!({ "Resources": untagged, "Tags": [{ "Key": "pgrotate:address" }] }));
    let instance = &call("rds", "describe_db_instances", json!({}))["DBInstances"][0];
    let group = &call("rds", "describe_db_subnet_groups", json!({}))["DBSubnetGroups"][0];
    for arn in [&instance["DBInstanceArn"], &group["DBSubnetGroupArn"]] {
        let asked = json!({ "ResourceName": arn, "TagKeys": ["pgrotate:address"] });
        call("rds", "remove_tags_from_resource", asked);
    }
    account.shell(
        "cd $(mktemp -d) && echo exit 1 > bootstrap && chmod +x bootstrap && \
         $PGROTATE_SANDBOX_PYTHON -m zipfile -c other.zip bootstrap && \
         aws lambda update-function-code --function-name pgpasslambda --zip-file fileb://other.zip && \
         aws lambda update-function-configuration --function-name pgpasslambda --timeout 3",
    );
}

fn endpoint(account: &Account) -> Value {
    let endpoints = account.call("ec2", "describe_vpc_endpoints", json!({}))["VpcEndpoints"].take();
    let mut endpoints = endpoints.as_array().expect("a list").iter();
    endpoints.find(|one| one["State"] == "available").expect("an endpoint")["VpcEndpointId"].clone()
}

/// The article, changed in what can be changed of it.
pub fn changed(account: &Account) -> String {
    let second = "\"subnet-0cf57825fcf0c3cbd\"]";
    let third = third_subnet(account);
    [
        (second.to_owned(), second.replace(']', &format!(", {third}]"))),
        ("backup_days = 7".to_owned(), "backup_days = 5".to_owned()),
        ("description = \"office\"".to_owned(), "description = \"the office\"".to_owned()),
    ]
    .iter()
    .fold(ARTICLE.to_owned(), |text, (old, new)| crate::scenarios::with(&text, old, new))
}

/// A subnet of a third zone, made where it is not there yet; as configs write it.
fn third_subnet(account: &Account) -> Value {
    let (_, zone, cidr) = SUBNETS[1];
    let subnets = account.call("ec2", "describe_subnets", json!({}))["Subnets"].take();
    let there = subnets.as_array().expect("a list").iter().find(|subnet| subnet["CidrBlock"] == cidr);
    there.map_or_else(
        || {
            let asked = json!({ "VpcId": "vpc-02294c945121da772", "CidrBlock": cidr, "AvailabilityZone": zone });
            account.call("ec2", "create_subnet", asked)["Subnet"]["SubnetId"].clone()
        },
        |subnet| subnet["SubnetId"].clone(),
    )
}
