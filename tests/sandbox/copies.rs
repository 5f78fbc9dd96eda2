//! What carries the deployment's tags and is not its own is told, and outlives it.

use crate::support::{ARTICLE, Deployment};
use serde_json::{Value, json};

/// Tags as the deployment itself has them, for a service that lists them so.
fn tags(address: &str, more: &[(&str, &str)]) -> Value {
    let ours = [("pgrotate:deployment", "article"), ("pgrotate:address", address)];
    ours.iter().chain(more).map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

#[test]
fn of_a_secret_a_group_and_an_instance() {
    let Deployment { account, config } = Deployment::new(ARTICLE);
    let login = [("pgrotate:login", "test_user1")];
    let secret = json!({ "Name": "copied", "SecretString": "{}", "Tags": tags("secret.test_user1", &login) });
    account.call("secretsmanager", "create_secret", secret);
    let group = json!({
        "GroupName": "copied", "Description": "by hand", "VpcId": "vpc-02294c945121da772",
        "TagSpecifications": [{ "ResourceType": "security-group", "Tags": tags("security_group.database", &[]) }],
    });
    let group = account.call("ec2", "create_security_group", group)["GroupId"].as_str().expect("an id").to_owned();
    account.call(
        "rds",
        "create_db_subnet_group",
        json!({
            "DBSubnetGroupName": "by-hand", "DBSubnetGroupDescription": "by hand",
            "SubnetIds": ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"],
        }),
    );
    // As one that was restored from a snapshot with its tags.
    account.call("rds", "create_db_instance", json!({
        "DBInstanceIdentifier": "restored", "DBInstanceClass": "db.t3.micro", "Engine": "postgres", "AllocatedStorage": 20,
        "MasterUsername": "postgres", "ManageMasterUserPassword": true, "DBSubnetGroupName": "by-hand",
        "VpcSecurityGroupIds": [group], "Tags": tags("db_instance.my-postgres-instance", &[]),
    }));

    account.is_empty(&config);
    let plan = account.plan(&config).stdout;
    for told in [
        "secret.test_user1: the secret `copied` carries the tags of this too",
        "security_group.database: the security group `copied`",
        "db_instance.restored: the DB instance `restored` carries the tags of `db_instance.my-postgres-instance`",
    ] {
        assert!(plan.contains(told), "{told}: {plan}");
    }
    assert!(account.drift(&config).is_empty(), "it is nobody's drift");

    account.destroy(&config).exits(0);
    let left = account.call("rds", "describe_db_instances", json!({}))["DBInstances"].take();
    assert_eq!(left[0]["DBInstanceIdentifier"], "restored");
    let left = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "copied" }));
    assert!(left["DeletedDate"].is_null(), "{left}");
    assert_eq!(crate::support::group_id(&account, "copied"), group);

    // As the note says, they are told of no more.
    let told: Vec<_> = plan.lines().filter_map(|line| line.split("To be told no more: ").nth(1)).collect();
    assert_eq!(told.len(), 3, "{plan}");
    told.iter().for_each(|command| drop(account.shell(command)));
    account.pgrotate(&["plan", "--destroy", crate::support::path(&config)]).exits(0);
    let plan = account.plan(&config).stdout;
    assert!(!plan.contains("copied") && !plan.contains("restored"), "{plan}");
}
