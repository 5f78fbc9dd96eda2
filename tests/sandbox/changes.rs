//! What the golden plans show, done for real: each change applied, and nothing left to do after it.

use crate::support::{ARTICLE, Account, until};
use serde_json::{Value, json};

const ALLOW: &str = r#"allow = [{ cidr = "203.0.113.7/32", description = "office" }]"#;
const REPORTING: &str =
    "\n[[user]]\nlogin = \"reporting\"\nsecret = \"reporting_secret\"\nstrategy = \"single-user\"\n";

/// A change of the config: what the plan names, and that the apply of it leaves nothing.
fn declared(account: &Account, text: &str, planned: &[&str]) {
    let config = account.config(text);
    let plan = account.plan(&config);
    plan.exits(2);
    assert_eq!(plan.planned(), planned, "{}", plan.stdout);
    account.converges(text);
}

/// One deployment, and its config changed again and again.
#[test]
fn of_the_config() {
    let account = Account::new();
    account.converges(ARTICLE);

    let rescheduled = ARTICLE.replace(r#"every = "10 days""#, "cron = \"cron(0 4 ? * SUN *)\"\nwindow = \"2h\"");
    let rotated = last_rotated(&account);
    declared(&account, &rescheduled, &["update rotation.test_user1"]);
    let secret = account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }));
    assert_eq!(secret["RotationRules"]["ScheduleExpression"], "cron(0 4 ? * SUN *)");
    assert_eq!(secret["RotationRules"]["Duration"], "2h");
    assert_eq!(last_rotated(&account), rotated, "a new schedule rotates nothing");

    let moved = rescheduled.replace("203.0.113.7/32", "198.51.100.0/24");
    declared(
        &account,
        &moved,
        &[
            "create security_group_rule.database-from-198.51.100.0/24",
            "delete security_group_rule.database-from-203.0.113.7/32",
        ],
    );
    assert_eq!(cidrs(&account, "pgrotate-article-database"), ["198.51.100.0/24"]);

    let larger = moved.replace("db.t3.micro", "db.t3.small").replace("gib = 20", "gib = 30");
    declared(&account, &larger, &["update db_instance.my-postgres-instance"]);
    let instance = &account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0];
    assert_eq!((&instance["DBInstanceClass"], &instance["AllocatedStorage"]), (&json!("db.t3.small"), &json!(30)));

    let more = format!("{larger}{REPORTING}");
    declared(&account, &more, &["create secret.reporting", "ensure login.reporting", "create rotation.reporting"]);
    assert_eq!(account.login("reporting_secret", "AWSCURRENT"), "reporting");
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone", "the other one is as it was");
}

fn last_rotated(account: &Account) -> Value {
    account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }))["LastRotatedDate"]
        .clone()
}

fn cidrs(account: &Account, group: &str) -> Vec<String> {
    let groups = account.call(
        "ec2",
        "describe_security_groups",
        json!({ "Filters": [{ "Name": "group-name", "Values": [group] }] }),
    );
    let permissions = groups["SecurityGroups"][0]["IpPermissions"].as_array().expect("permissions").clone();
    permissions
        .iter()
        .flat_map(|permission| permission["IpRanges"].as_array().cloned().unwrap_or_default())
        .map(|range| range["CidrIp"].as_str().expect("a CIDR").to_owned())
        .collect()
}

fn group_id(account: &Account, name: &str) -> String {
    let groups = account.call(
        "ec2",
        "describe_security_groups",
        json!({ "Filters": [{ "Name": "group-name", "Values": [name] }] }),
    );
    groups["SecurityGroups"][0]["GroupId"].as_str().expect("a group").to_owned()
}

/// A careless hand: each thing undone from outside is planned and made good.
#[test]
fn from_outside() {
    let account = Account::new();
    let (config, _) = account.converges(ARTICLE);
    let mended = |planned: &[&str]| {
        let plan = account.plan(&config);
        plan.exits(2);
        assert_eq!(plan.planned(), planned, "{}", plan.stdout);
        account.apply(&config).exits(0);
        account.is_empty(&config);
    };

    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    mended(&["create rotation.test_user1"]);

    let function = group_id(&account, "pgrotate-article-function");
    let permission = json!([{
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "UserIdGroupPairs": [{ "GroupId": function }],
    }]);
    let database = group_id(&account, "pgrotate-article-database");
    let revoked = account.call(
        "ec2",
        "revoke_security_group_ingress",
        json!({ "GroupId": database, "IpPermissions": permission }),
    );
    assert!(revoked["error"].is_null(), "{revoked}");
    // Without it the inspection function reaches no database either.
    mended(&[
        "create security_group_rule.database-from-function",
        "ensure login.rotator_admin",
        "ensure login.test_user1",
    ]);

    let endpoints = account.call("ec2", "describe_vpc_endpoints", json!({}));
    let endpoint = endpoints["VpcEndpoints"][0]["VpcEndpointId"].clone();
    account.call("ec2", "delete_vpc_endpoints", json!({ "VpcEndpointIds": [endpoint] }));
    until("the endpoint is gone", || {
        let left = account.call("ec2", "describe_vpc_endpoints", json!({}));
        left["VpcEndpoints"].as_array()?.iter().all(|endpoint| endpoint["State"] == "deleted").then_some(())
    });
    mended(&["create vpc_endpoint.secretsmanager", "ensure login.rotator_admin", "ensure login.test_user1"]);

    account.call(
        "rds",
        "modify_db_instance",
        json!({
            "DBInstanceIdentifier": "my-postgres-instance", "BackupRetentionPeriod": 1, "ApplyImmediately": true,
        }),
    );
    // It says available for a moment before it begins.
    until("the instance has changed and is available", || {
        let found = account.call("rds", "describe_db_instances", json!({}));
        let instance = &found["DBInstances"][0];
        (instance["BackupRetentionPeriod"] == 1 && instance["DBInstanceStatus"] == "available").then_some(())
    });
    mended(&["update db_instance.my-postgres-instance"]);

    // A rule of somebody's own is noted and stays.
    let permission =
        json!([{ "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{ "CidrIp": "192.0.2.0/24" }] }]);
    account.call(
        "ec2",
        "authorize_security_group_ingress",
        json!({ "GroupId": database, "IpPermissions": permission }),
    );
    let plan = account.plan(&config);
    plan.exits(0);
    assert!(plan.stdout.contains("unmanaged rule"), "{}", plan.stdout);
    let declared = ARTICLE.replace(ALLOW, "allow = []");
    account.converges(&declared);
    assert_eq!(cidrs(&account, "pgrotate-article-database"), ["192.0.2.0/24"]);
}

/// Ten days on, Secrets Manager rotates by itself; that is no drift.
#[test]
fn of_the_calendar() {
    let account = Account::new();
    let (config, _) = account.converges(ARTICLE);
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone");
    account.clock("+11d");
    until("the schedule fires", || (account.login("test_user1_secret", "AWSCURRENT") == "test_user1").then_some(()));
    assert_eq!(account.login("test_user1_secret", "AWSPREVIOUS"), "test_user1_clone");
    until("the rotation is over", || (account.plan(&config).code == Some(0)).then_some(()));
    account.is_empty(&config);
}
