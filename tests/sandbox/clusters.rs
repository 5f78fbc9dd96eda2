//! A deployment on an Aurora PostgreSQL cluster that others have made: its logins rotate, through a failover too, and
//! nothing of the cluster is ever changed.

use crate::support::{Account, Deployment, group_id, until};
use serde_json::{Value, json};

const AURORA: &str = include_str!("../../configs/scenarios/aurora-cluster.toml");
const CLUSTER: &str = "my-cluster";
const STACK: &str = "stack.aurora-rotation-stack";
const SECRET: &str = "aurora/app";

/// The cluster `my-cluster` of two members, in the security group `my-rds-sg`, which is there already.
pub fn by_hand(account: &Account) {
    let subnets = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"];
    let group = json!({
        "DBSubnetGroupName": "aurora", "DBSubnetGroupDescription": "of somebody else", "SubnetIds": subnets,
    });
    account.call("rds", "create_db_subnet_group", group);
    let asked = json!({
        "DBClusterIdentifier": CLUSTER, "Engine": "aurora-postgresql", "MasterUsername": "postgres",
        "ManageMasterUserPassword": true, "DBSubnetGroupName": "aurora",
        "VpcSecurityGroupIds": [group_id(account, "my-rds-sg")],
    });
    account.call("rds", "create_db_cluster", asked);
    until("the cluster and the master's secret", || {
        let look = look(account);
        (look["Status"] == "available" && look["MasterUserSecret"]["SecretStatus"] == "active").then_some(())
    });
    for number in 1..=2 {
        add_member(account, number);
    }
}

/// Answers with its address.
fn add_member(account: &Account, number: u8) -> String {
    let identifier = format!("{CLUSTER}-{number}");
    let asked = json!({
        "DBInstanceIdentifier": identifier, "DBClusterIdentifier": CLUSTER, "Engine": "aurora-postgresql",
        "DBInstanceClass": "db.t4g.medium",
    });
    account.call("rds", "create_db_instance", asked);
    let named = json!({ "DBInstanceIdentifier": identifier });
    until(&identifier, || {
        let member = account.call("rds", "describe_db_instances", named.clone())["DBInstances"][0].take();
        let address = member["Endpoint"]["Address"].as_str().map(str::to_owned);
        address.filter(|_| member["DBInstanceStatus"] == "available")
    })
}

fn look(account: &Account) -> Value {
    account.call("rds", "describe_db_clusters", json!({ "DBClusterIdentifier": CLUSTER }))["DBClusters"][0].take()
}

/// What RDS tells of the cluster, but for who writes in it: nothing of it is ours to change.
fn of_others(account: &Account) -> Value {
    let mut look = look(account);
    look["DBClusterMembers"].take();
    look
}

fn group(account: &Account) -> Value {
    let asked =
        json!({ "GroupName": "my-rds-sg", "Description": "of somebody else", "VpcId": "vpc-02294c945121da772" });
    account.call("ec2", "create_security_group", asked)
}

fn value(account: &Account) -> Value {
    let told = account.call("secretsmanager", "get_secret_value", json!({ "SecretId": SECRET }));
    serde_json::from_str(told["SecretString"].as_str().expect("text")).expect("JSON")
}

#[test]
fn logins_of_a_cluster_live_and_it_stays_as_it_is() {
    let account = Account::new();
    account.delays("none");
    group(&account);
    by_hand(&account);
    let (before, config) = (of_others(&account), account.config(AURORA));
    let plan = account.plan(&config);
    plan.exits(2);
    assert!(!plan.planned().iter().any(|planned| planned.contains("db_cluster")), "{}", plan.stdout);
    account.apply(&config).exits(0);
    account.is_empty(&config);
    account.no_value_was_read();
    let deployment = Deployment { account, config };
    let (account, config) = (&deployment.account, &deployment.config);

    // What AWS's tools read: the cluster's endpoint and identifier, and no instance's.
    let told = value(account);
    let endpoint = before["Endpoint"].as_str().expect("an address");
    assert_eq!((&told["host"], &told["dbClusterIdentifier"]), (&endpoint.into(), &CLUSTER.into()));
    assert_eq!((&told["engine"], &told["dbInstanceIdentifier"]), (&"postgres".into(), &Value::Null));
    for user in ["app", "app_clone"] {
        account.rotate(config, "app").exits(0);
        assert_eq!(account.login(SECRET, "AWSCURRENT"), user);
    }
    let status = account.pgrotate(&["status", crate::support::path(config)]);
    status.exits(0);
    assert!(
        status.stdout.contains("aurora-postgresql") && status.stdout.contains("the writer is my-cluster-1"),
        "{}",
        status.stdout
    );

    // A failover: the endpoint follows it, so nothing has moved, and passwords are set on another server.
    deployment.by_hand("rds", "failover_db_cluster", json!({ "DBClusterIdentifier": CLUSTER }));
    until("the failover is over", || (look(account)["Status"] == "available").then_some(()));
    deployment.finds(config, &[], &[]);
    account.rotate(config, "app").exits(0);
    assert_eq!(account.login(SECRET, "AWSCURRENT"), "app");
    let status = account.pgrotate(&["status", crate::support::path(config)]);
    assert!(status.stdout.contains("the writer is my-cluster-2"), "{}", status.stdout);

    // A member more is one server more, behind the endpoints; a secret may name it, or the readers' endpoint.
    let third = add_member(account, 3);
    deployment.mends(&[STACK], &["hosts-changed", &format!("{third}:5432\"")]);
    for host in [third.as_str(), before["ReaderEndpoint"].as_str().expect("an address")] {
        let mut put = value(account);
        put["host"] = host.into();
        deployment.by_hand(
            "secretsmanager",
            "put_secret_value",
            json!({ "SecretId": SECRET, "SecretString": put.to_string() }),
        );
        account.is_empty(config);
        account.rotate(config, "app").exits(0);
        assert_eq!(value(account)["host"], host);
        account.login(SECRET, "AWSCURRENT");
    }

    account.destroy(config).exits(0);
    assert_eq!(of_others(account), before, "the cluster stays as it was");
    assert_eq!(look(account)["DBClusterMembers"].as_array().map(Vec::len), Some(3));
    let may_log_in =
        "SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND rolname IN ('app', 'app_clone', 'rotator_admin')";
    assert!(account.sql_on(CLUSTER, may_log_in).is_empty());
}

/// Told before anything is made, with the command that ends it.
#[test]
fn a_cluster_that_does_not_do() {
    let account = Account::new();
    account.delays("none");
    group(&account);
    let config = account.config(AURORA);
    let refused = |words: &[&str]| {
        let apply = account.apply(&config);
        apply.exits(4);
        for word in words {
            assert!(apply.stderr.contains(word), "`{word}`: {}", apply.stderr);
        }
    };
    refused(&["refused[no-such-resource]: db_cluster.my-cluster: there is no DB cluster"]);
    by_hand(&account);
    let by_itself = json!({
        "DBClusterIdentifier": CLUSTER, "ManageMasterUserPassword": false, "MasterUserPassword": "a-long-password",
    });
    account.call("rds", "modify_db_cluster", by_itself);
    let command = "aws rds modify-db-cluster --db-cluster-identifier my-cluster --manage-master-user-password --apply-immediately";
    refused(&["refused[unfit-cluster]", command]);
    account.shell(command);
    account.call("rds", "stop_db_cluster", json!({ "DBClusterIdentifier": CLUSTER }));
    until("it is stopped", || (look(&account)["Status"] == "stopped").then_some(()));
    let command = "aws rds start-db-cluster --db-cluster-identifier my-cluster";
    refused(&["refused[unfit-cluster]", "is stopped", command]);
    account.shell(command);
    // A member's identifier is not the cluster's.
    let member = AURORA.replace("cluster = \"my-cluster\"", "identifier = \"my-cluster-1\"\nmanage = false");
    let refused = account.apply(&account.config(&member));
    refused.exits(4);
    assert!(refused.stderr.contains("set `cluster = \"my-cluster\"` in [database]"), "{}", refused.stderr);
    account.converges(AURORA);
}

/// Its logins are made in the cluster, with the passwords that they have. Once the functions are told of the cluster they look
/// at no other server, so that each login is found otherwise than the plan saw it: that is no reason to leave it.
#[test]
fn a_database_moves_into_a_cluster() {
    let legacy = include_str!("../../configs/scenarios/existing-database.toml");
    let account = Account::new();
    account.delays("none");
    group(&account);
    crate::lives::database(&account);
    by_hand(&account);
    account.converges(legacy);
    let secret = json!({ "SecretId": "legacy/app" });
    let read = || account.call("secretsmanager", "get_secret_value", secret.clone())["SecretString"].take();
    let read = || serde_json::from_str::<Value>(read().as_str().expect("text")).expect("JSON");
    let before = read();
    assert_eq!((&before["dbInstanceIdentifier"], &before["dbClusterIdentifier"]), (&"legacy-db".into(), &Value::Null));

    let config =
        account.config(&legacy.replace("identifier = \"legacy-db\"\nmanage = false", "cluster = \"my-cluster\""));
    account.apply(&config).exits(0);
    account.is_empty(&config);
    let after = read();
    assert_eq!((&after["dbInstanceIdentifier"], &after["dbClusterIdentifier"]), (&"".into(), &CLUSTER.into()));
    assert_eq!((&after["username"], &after["password"]), (&before["username"], &before["password"]));
    account.rotate(&config, "app").exits(0);
    assert!(account.login("legacy/app", "AWSCURRENT").starts_with("app"));
    assert_eq!(read()["host"], look(&account)["Endpoint"]);
}
