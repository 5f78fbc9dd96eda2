//! Every scenario for real: planned on the sandbox as its golden file says, applied, planned again with nothing
//! left to do, and destroyed with nothing left but what that names. What others have made is as it was.

use crate::scenarios::{CLIENTS, SUBNETS as MORE_SUBNETS, Scenario, TOPIC, There, all};
use crate::support::{Account, group_id, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

const VPC: &str = "vpc-02294c945121da772";
const SUBNETS: [&str; 2] = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"];

/// Lives led at once: each mostly waits, for AWS's states and for processes to start.
const AT_ONCE: usize = 5;

#[test]
fn every_scenario_is_lived() {
    // Some alone: LIFE=user-added,user-removed cargo test … --test sandbox lives -- --nocapture
    let only = std::env::var("LIFE").ok();
    let queue: Vec<_> = all()
        .into_iter()
        .filter(|each| only.as_deref().is_none_or(|names| names.split(',').any(|name| name == each.name)))
        .collect();
    assert!(!queue.is_empty(), "no scenario is called {only:?}");
    let queue = Mutex::new(queue);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = queue.lock().expect("a queue").pop() else { return };
                    let began = Instant::now();
                    let lived = catch_unwind(AssertUnwindSafe(|| live(&scenario)));
                    println!("{:>5.1} s  {}", began.elapsed().as_secs_f64(), scenario.name);
                    if lived.is_err() {
                        failed.lock().expect("a list").push(scenario.name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("a list");
    assert!(failed.is_empty(), "not as they should be: {failed:?}; why stands above");
}

fn live(scenario: &Scenario) {
    let account = Account::new();
    // How long AWS takes is the subject of other tests.
    account.delays("none");
    let mut made = Vec::new();
    let mut taken_over = BTreeSet::new();
    for there in &scenario.there {
        let before = everything(&account);
        made.extend(make(&account, *there));
        taken_over.extend(
            everything(&account).difference(&before).filter(|line| is_taken_over(scenario, *there, line)).cloned(),
        );
    }
    let own = |text: &str| {
        let text = text.replace("my-bucket-of-zips", &bucket(&account));
        let text = text.replace(TOPIC, &topic(&account));
        made.iter().fold(text, |text, (name, id)| text.replace(name, id))
    };
    let before = everything(&account);
    if let Some(text) = &scenario.before {
        account.converges(&own(text));
    }

    let config = account.config(&own(&scenario.after));
    let plan = account.plan(&config);
    let golden = golden(scenario.name);
    assert_eq!(
        told(&plan.planned().join("\n"), &account, &made),
        golden.join("\n"),
        "{}:\n{}",
        scenario.name,
        plan.stdout
    );
    plan.exits(if golden.is_empty() { 0 } else { 2 });
    let applied = account.apply(&config);
    applied.exits(0);
    account.is_empty(&config);

    let destroyed = account.destroy(&account.config(&unprotected(&own(&scenario.after))));
    destroyed.exits(0);
    let remains: String =
        [&applied, &destroyed].iter().filter_map(|run| run.stdout.split("What remains:").nth(1)).collect();
    let after = everything(&account);
    // What was taken over goes with the deployment; a secret waits for its end.
    let lost: Vec<_> = before.difference(&after).filter(|line| !taken_over.contains(*line)).collect();
    assert!(lost.is_empty(), "{}: {lost:?} was there before, and is not any more", scenario.name);
    for left in after.difference(&before) {
        let name = left.split_whitespace().last().expect("a name");
        assert!(remains.contains(&format!("`{name}`")), "{}: {left} is left, and not named", scenario.name);
    }
    account.no_value_was_read();
}

/// Whether the deployment makes that its own, of what somebody has made for the scenario. A secret's end is told apart.
fn is_taken_over(scenario: &Scenario, there: There, line: &str) -> bool {
    let all = match there {
        There::Endpoint => line.contains("VpcEndpoints"),
        There::EndpointGroup | There::Instance | There::SubnetGroup => true,
        _ => false,
    };
    all && scenario.name.starts_with("adopt-")
}

/// What the scenario's golden plan does, as [`crate::support::Run::planned`] tells it.
fn golden(name: &str) -> Vec<String> {
    let file = format!("{}/tests/plan/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    crate::support::planned(&text)
}

/// With the golden files' account and ids instead of this one's.
fn told(text: &str, account: &Account, made: &[(&str, String)]) -> String {
    let text = text.replace(&bucket(account), "my-bucket-of-zips").replace(&account.number, "111122223333");
    made.iter().fold(text, |text, (name, id)| text.replace(id, name))
}

fn bucket(account: &Account) -> String {
    format!("my-bucket-of-zips-{}", account.number)
}

fn topic(account: &Account) -> String {
    TOPIC.replace("111122223333", &account.number)
}

/// A protected instance is destroyed only once the config says so.
fn unprotected(text: &str) -> String {
    const LIFTED: &str = "deletion_protection = false";
    if text.contains(LIFTED) || text.contains("manage = false") || text.contains("\ncluster = ") {
        text.to_owned()
    } else if text.contains("deletion_protection = true") {
        text.replace("deletion_protection = true", LIFTED)
    } else {
        text.replace("[database]\n", &format!("[database]\n{LIFTED}\n"))
    }
}

/// Makes what others have made; answers with the ids of what configs call by other ones.
pub fn make(account: &Account, there: There) -> Vec<(&'static str, String)> {
    match there {
        There::Bucket => {
            let place = json!({ "LocationConstraint": "eu-north-1" });
            let asked = json!({ "Bucket": bucket(account), "CreateBucketConfiguration": place });
            called(account, "s3", "create_bucket", asked);
        }
        There::Clients => return vec![(CLIENTS, group(account, "application-servers"))],
        There::Subnets => {
            let subnet = |(name, zone, cidr): (&'static str, &str, &str)| {
                let asked = json!({ "VpcId": VPC, "CidrBlock": cidr, "AvailabilityZone": zone });
                let made = called(account, "ec2", "create_subnet", asked)["Subnet"]["SubnetId"].clone();
                (name, made.as_str().expect("an id").to_owned())
            };
            return MORE_SUBNETS.map(subnet).to_vec();
        }
        There::SecurityGroup => {
            group(account, "my-rds-sg");
        }
        There::SubnetGroup => {
            let asked = json!({
                "DBSubnetGroupName": "my-db-subnet-group", "DBSubnetGroupDescription": "of the network team",
                "SubnetIds": SUBNETS,
            });
            called(account, "rds", "create_db_subnet_group", asked);
        }
        There::Cluster => crate::clusters::by_hand(account),
        There::Database => database(account),
        There::EndpointGroup => {
            group(account, "pgrotate-article-endpoint");
        }
        There::Instance => crate::adopting::by_hand(account),
        There::Secrets => {
            crate::adopting::secrets_by_hand(account, "old.example.com", ["as-it-was-before-1", "as-it-was-before-2"])
        }
        There::Topic => {
            crate::alerts::topic(account, &topic(account));
        }
        There::Endpoint => {
            let own = group(account, "endpoints");
            let https = json!([{
                "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{ "CidrIp": "172.31.0.0/16" }],
            }]);
            let asked = json!({ "GroupId": own, "IpPermissions": https });
            called(account, "ec2", "authorize_security_group_ingress", asked);
            let asked = json!({
                "VpcId": VPC, "VpcEndpointType": "Interface", "SubnetIds": SUBNETS, "SecurityGroupIds": [own],
                "ServiceName": "com.amazonaws.eu-north-1.secretsmanager", "PrivateDnsEnabled": true,
            });
            called(account, "ec2", "create_vpc_endpoint", asked);
        }
        There::Nat => {
            let asked = json!({ "SubnetId": SUBNETS[0], "ConnectivityType": "private" });
            let nat = called(account, "ec2", "create_nat_gateway", asked)["NatGateway"]["NatGatewayId"].clone();
            let table = called(account, "ec2", "create_route_table", json!({ "VpcId": VPC }));
            let table = &table["RouteTable"]["RouteTableId"];
            let asked = json!({ "RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat });
            called(account, "ec2", "create_route", asked);
            for subnet in SUBNETS {
                let asked = json!({ "RouteTableId": table, "SubnetId": subnet });
                called(account, "ec2", "associate_route_table", asked);
            }
        }
    }
    Vec::new()
}

pub fn database(account: &Account) {
    make(account, There::SubnetGroup);
    let asked = json!({
        "DBInstanceIdentifier": "legacy-db", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres",
        "AllocatedStorage": 20, "MasterUsername": "postgres", "ManageMasterUserPassword": true,
        "DBSubnetGroupName": "my-db-subnet-group",
        "VpcSecurityGroupIds": [group_id(account, "my-rds-sg")],
    });
    called(account, "rds", "create_db_instance", asked);
    until("the instance is available", || {
        let instance = &account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0];
        let secret = &instance["MasterUserSecret"]["SecretStatus"];
        (instance["DBInstanceStatus"] == "available" && secret == "active").then_some(())
    });
}

fn group(account: &Account, name: &str) -> String {
    let asked = json!({ "GroupName": name, "Description": "of somebody else", "VpcId": VPC });
    called(account, "ec2", "create_security_group", asked)["GroupId"].as_str().expect("an id").to_owned()
}

fn called(account: &Account, service: &str, operation: &str, parameters: Value) -> Value {
    let answer = account.call(service, operation, parameters);
    assert!(answer["error"].is_null(), "{operation}: {answer}");
    answer
}

/// All that is in the account, a line each, the name at its end. Secrets that wait for their deletion are there
/// too.
fn everything(account: &Account) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut list = |service: &str, operation: &str, asked: Value, list: &str, name: &str| {
        let found = called(account, service, operation, asked);
        for each in found[list].as_array().cloned().unwrap_or_default() {
            all.insert(format!("{service} {list} {}", each[name].as_str().expect("a name")));
        }
    };
    list("rds", "describe_db_instances", json!({}), "DBInstances", "DBInstanceIdentifier");
    list("rds", "describe_db_clusters", json!({}), "DBClusters", "DBClusterIdentifier");
    list("rds", "describe_db_subnet_groups", json!({}), "DBSubnetGroups", "DBSubnetGroupName");
    list("rds", "describe_db_snapshots", json!({}), "DBSnapshots", "DBSnapshotIdentifier");
    list("lambda", "list_functions", json!({}), "Functions", "FunctionName");
    list("ec2", "describe_vpc_endpoints", json!({}), "VpcEndpoints", "VpcEndpointId");
    list("ec2", "describe_security_groups", json!({}), "SecurityGroups", "GroupId");
    list("ec2", "describe_security_group_rules", json!({}), "SecurityGroupRules", "SecurityGroupRuleId");
    list("s3", "list_buckets", json!({}), "Buckets", "Name");
    list("logs", "describe_log_groups", json!({}), "logGroups", "logGroupName");
    list("iam", "list_roles", json!({}), "Roles", "RoleName");
    list("cloudformation", "describe_stacks", json!({}), "Stacks", "StackName");
    list("sns", "list_topics", json!({}), "Topics", "TopicArn");
    list("events", "list_rules", json!({}), "Rules", "Name");
    list("cloudwatch", "describe_alarms", json!({}), "MetricAlarms", "AlarmName");
    list("secretsmanager", "list_secrets", json!({ "IncludePlannedDeletion": true }), "SecretList", "Name");
    all
}
