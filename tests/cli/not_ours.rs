//! Resources of the names that pgrotate would use, made by somebody else: refused, and left as they are.

use crate::snapshot::check;
use crate::support::{ARTICLE, Account};
use serde_json::json;

const VPC: &str = "vpc-02294c945121da772";
const SUBNETS: [&str; 2] = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"];

fn made(answer: &serde_json::Value) {
    assert!(answer["error"].is_null(), "{answer}");
}

#[test]
fn a_secret() {
    let account = Account::new();
    made(&account.call(
        "secretsmanager",
        "create_secret",
        json!({ "Name": "test_user1_secret", "SecretString": "{}" }),
    ));
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    let same = [(secret["ARN"].as_str().unwrap(), "[ARN]")];
    account.config(ARTICLE);
    let before = account.requests().len();
    for command in ["plan", "apply", "destroy"] {
        let yes: &[&str] = if command == "plan" { &[] } else { &["--yes"] };
        let done = account.command(&[&[command, "deployment.toml"], yes].concat()).output().unwrap();
        if command != "destroy" {
            check(&done, &same, "a-secret");
        } else {
            // It stays, and is no reason not to remove what is ours, of which there is nothing.
            assert_eq!(done.status.code(), Some(0));
        }
    }
    assert!(account.changes_since(before).is_empty());
}

#[test]
fn one_of_every_kind() {
    let account = Account::new();
    let number = account.number.clone();
    made(&account.call(
        "secretsmanager",
        "create_secret",
        json!({ "Name": "rotator_admin_secret", "SecretString": "{}" }),
    ));
    made(&account.call(
        "ec2",
        "create_security_group",
        json!({ "GroupName": "pgrotate-article-database", "Description": "by hand", "VpcId": VPC }),
    ));
    made(&account.call(
        "rds",
        "create_db_subnet_group",
        json!({
            "DBSubnetGroupName": "my-db-subnet-group", "DBSubnetGroupDescription": "by hand", "SubnetIds": SUBNETS,
        }),
    ));
    made(&account.call(
        "rds",
        "create_db_instance",
        json!({
            "DBInstanceIdentifier": "my-postgres-instance", "DBInstanceClass": "db.t3.micro", "Engine": "postgres",
            "AllocatedStorage": 20, "MasterUsername": "postgres", "MasterUserPassword": "by-hand-by-hand",
            "DBSubnetGroupName": "my-db-subnet-group",
        }),
    ));
    made(&account.call(
        "ec2",
        "create_vpc_endpoint",
        json!({
            "VpcId": VPC, "VpcEndpointType": "Interface", "ServiceName": "com.amazonaws.eu-north-1.secretsmanager",
            "SubnetIds": SUBNETS, "PrivateDnsEnabled": true,
        }),
    ));
    let bucket = format!("pgrotate-article-{number}-eu-north-1");
    made(&account.call(
        "s3",
        "create_bucket",
        json!({ "Bucket": bucket, "CreateBucketConfiguration": { "LocationConstraint": "eu-north-1" } }),
    ));
    made(&account.call(
        "s3",
        "put_bucket_tagging",
        json!({ "Bucket": bucket, "Tagging": { "TagSet": [{ "Key": "team", "Value": "billing" }] } }),
    ));
    made(&account.call(
        "cloudformation",
        "create_stack",
        json!({
            "StackName": "pgpasslambda-stack",
            "TemplateBody": r#"{"Resources": {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "x"}}}}"#,
        }),
    ));
    account.config(ARTICLE);
    let before = account.requests().len();
    let done = account.command(&["apply", "--yes", "deployment.toml"]).output().unwrap();
    let endpoint = account.call("ec2", "describe_vpc_endpoints", json!({}))["VpcEndpoints"][0]["VpcEndpointId"].clone();
    let groups = account.call(
        "ec2",
        "describe_security_groups",
        json!({ "Filters": [{ "Name": "group-name", "Values": ["pgrotate-article-database"] }] }),
    );
    let group = groups["SecurityGroups"][0]["GroupId"].as_str().unwrap();
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "rotator_admin_secret" }));
    let arn = secret["ARN"].as_str().unwrap();
    let same = [
        (arn, "[ARN]"),
        (number.as_str(), "[ACCOUNT]"),
        (endpoint.as_str().unwrap(), "[ENDPOINT]"),
        (group, "[GROUP]"),
    ];
    check(&done, &same, "one-of-every-kind");
    assert_eq!(account.changes_since(before), Vec::<String>::new());
}
