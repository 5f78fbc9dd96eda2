//! The article, whole: declared, applied, rotated, destroyed; and what its own commands then say.

use crate::support::{ARTICLE, Account, path};
use serde_json::{Value, json};

#[test]
fn from_nothing_to_nothing() {
    let account = Account::new();
    let config = account.config(ARTICLE);

    let plan = account.plan(&config);
    plan.exits(2);
    assert_eq!(plan.planned().len(), 22, "{}", plan.stdout);
    assert_eq!(
        account.call("secretsmanager", "list_secrets", json!({}))["SecretList"],
        json!([]),
        "a plan changes nothing"
    );

    let apply = account.apply(&config);
    apply.exits(0);
    assert!(apply.stdout.contains("22 of 22 done"), "{}", apply.stdout);
    account.is_empty(&config);
    account.no_value_was_read();

    // The first rotation has run already: that is what makes a deployment done.
    assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), "test_user1_clone");
    assert_eq!(account.login("test_user1_secret", "AWSPREVIOUS"), "test_user1");
    assert_eq!(account.login("rotator_admin_secret", "AWSCURRENT"), "rotator_admin");
    let mut passwords = account.passwords();

    for (current, previous) in [("test_user1", "test_user1_clone"), ("test_user1_clone", "test_user1")] {
        let read_before = account.requests().len();
        let rotated = account.rotate(&config, "test_user1");
        rotated.exits(0);
        assert!(rotated.stdout.contains(&format!("AWSCURRENT is now {current},")), "{}", rotated.stdout);
        let asked = account.requests().split_off(read_before);
        assert!(
            !asked.iter().any(|(caller, what)| caller == "client" && what.ends_with(".GetSecretValue")),
            "{asked:?}"
        );
        assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), current);
        assert_eq!(account.login("test_user1_secret", "AWSPREVIOUS"), previous, "the one in use before still works");
        passwords.extend(account.passwords());
    }
    account.is_empty(&config);

    let read_before = account.requests().len();
    let destroyed = account.destroy(&config);
    destroyed.exits(0);
    let asked = account.requests().split_off(read_before);
    assert!(!asked.iter().any(|(caller, what)| caller == "client" && what.ends_with(".GetSecretValue")), "{asked:?}");
    what_remains_is_what_is_there(&account, &destroyed.stdout);
    account.nothing_tells(&passwords);
    assert!(account.destroy(&config).exits(0).stdout.contains("nothing is left to destroy"));
}

/// The report names what is left; nothing else is.
fn what_remains_is_what_is_there(account: &Account, report: &str) {
    let remains = report.split("What remains:").nth(1).expect("it says what remains");
    let listed = account.call("secretsmanager", "list_secrets", json!({ "IncludePlannedDeletion": true }));
    let secrets: Vec<_> = listed["SecretList"].as_array().unwrap().iter().collect();
    assert_eq!(secrets.len(), 2, "{listed}");
    for secret in secrets {
        assert!(!secret["DeletedDate"].is_null(), "{secret}");
        assert!(remains.contains(&format!("`{}`", secret["Name"].as_str().unwrap())), "{remains}");
    }
    assert_eq!(remains.matches("restore-secret").count(), 2, "{remains}");
    let none = |service: &str, operation: &str, list: &str| {
        let found = account.call(service, operation, json!({}));
        let left = found[list].as_array().cloned().unwrap_or_default();
        assert!(left.is_empty(), "{operation}: {left:#?}");
    };
    none("rds", "describe_db_instances", "DBInstances");
    none("rds", "describe_db_subnet_groups", "DBSubnetGroups");
    none("rds", "describe_db_snapshots", "DBSnapshots");
    none("lambda", "list_functions", "Functions");
    none("ec2", "describe_vpc_endpoints", "VpcEndpoints");
    none("s3", "list_buckets", "Buckets");
    none("logs", "describe_log_groups", "logGroups");
    none("iam", "list_roles", "Roles");
    let groups = account.call("ec2", "describe_security_groups", json!({}));
    let names: Vec<_> = groups["SecurityGroups"].as_array().unwrap().iter().map(|group| &group["GroupName"]).collect();
    assert_eq!(names, ["default"]);
    let stacks = account.call("cloudformation", "describe_stacks", json!({}));
    assert_eq!(stacks["Stacks"], json!([]));
}

/// A last snapshot is made where it is asked for, and named in what remains.
#[test]
fn a_last_snapshot_remains() {
    let account = Account::new();
    let (config, _) = account.converges(&ARTICLE.replace("final_snapshot = false", "final_snapshot = true"));
    let destroyed = account.destroy(&config);
    destroyed.exits(0);
    let snapshots = account.call("rds", "describe_db_snapshots", json!({}));
    let name = snapshots["DBSnapshots"][0]["DBSnapshotIdentifier"].as_str().expect("a snapshot");
    assert!(destroyed.stdout.contains(&format!("the snapshot `{name}`")), "{}", destroyed.stdout);
}

/// The article's own commands, as typed there, with the AWS CLI.
#[test]
fn its_commands_say_what_it_says() {
    let account = Account::new();
    account.delays("none");
    let (config, _) = account.converges(ARTICLE);
    let json = |line: &str| -> Value { serde_json::from_str(&account.shell(line)).expect("JSON") };

    // 1.6
    let status = "aws rds describe-db-instances --db-instance-identifier my-postgres-instance --query 'DBInstances[0].DBInstanceStatus'";
    assert_eq!(account.shell(status), "\"available\"");
    account.shell("aws rds wait db-instance-available --db-instance-identifier my-postgres-instance");

    // 1.7
    let address = account.shell(
        "aws rds describe-db-instances --db-instance-identifier my-postgres-instance \
         --query 'DBInstances[0].Endpoint.Address' --output text",
    );

    // 2.2 and 2.3
    let admin_arn = account
        .shell("aws secretsmanager describe-secret --secret-id rotator_admin_secret --query 'ARN' --output text");
    for secret in ["rotator_admin_secret", "test_user1_secret"] {
        let said = json(&format!("aws secretsmanager describe-secret --secret-id {secret}"));
        let name = json!([{ "Key": "Name", "Value": secret }]);
        assert!(said["Tags"].as_array().unwrap().contains(&name[0]), "{said}");
        assert_eq!(said["Name"], secret);
        let labels: Vec<_> = said["VersionIdsToStages"].as_object().unwrap().values().collect();
        assert!(labels.iter().any(|labels| labels.as_array().unwrap().contains(&"AWSCURRENT".into())), "{said}");
    }

    // 3.3 and 3.4
    account.shell("aws cloudformation wait stack-create-complete --stack-name pgpasslambda-stack");
    let function = account.shell(
        "aws lambda get-function --function-name pgpasslambda --query 'Configuration.FunctionArn' --output text",
    );
    assert_eq!(function, format!("arn:aws:lambda:eu-north-1:{}:function:pgpasslambda", account.number));

    // 4.4
    let vpc = "vpc-02294c945121da772";
    let table = account.shell(&format!(
        "SERVICE_NAME=com.amazonaws.eu-north-1.secretsmanager; aws ec2 describe-vpc-endpoints \
         --filters 'Name=vpc-endpoint-type,Values=Interface' 'Name=vpc-id,Values={vpc}' \
         --query 'VpcEndpoints[?ServiceName==`'$SERVICE_NAME'`].[VpcEndpointId, State]' --output table"
    ));
    assert_eq!(table.matches("vpce-").count(), 1, "{table}");
    assert!(table.contains("available"), "{table}");

    // 5.2
    let said = json("aws secretsmanager describe-secret --secret-id test_user1_secret");
    assert_eq!(said["RotationEnabled"], true);
    assert_eq!(said["RotationRules"]["AutomaticallyAfterDays"], 10);
    assert_eq!(said["RotationLambdaARN"], function.as_str());
    assert!(!said["LastRotatedDate"].is_null() && !said["NextRotationDate"].is_null(), "{said}");

    // 6: what psql made there is there. The rotating login may do only that here, and is no rds_superuser.
    let roles = account.sql(
        "select rolname, rolcanlogin, rolcreaterole, pg_has_role(oid, 'rds_superuser', 'member') from pg_roles \
         where rolname in ('test_user1', 'rotator_admin') order by rolname",
    );
    assert_eq!(
        roles,
        [
            [json!("rotator_admin"), json!(true), json!(true), json!(false)],
            [json!("test_user1"), json!(true), json!(false), json!(false)],
        ]
    );

    // 7.1
    let said = json(
        "aws lambda get-function-configuration --function-name pgpasslambda \
         --query '{FunctionName:FunctionName, VpcConfig:VpcConfig}'",
    );
    assert_eq!(said["FunctionName"], "pgpasslambda");
    assert_eq!(said["VpcConfig"]["VpcId"], vpc);
    let mut subnets: Vec<_> = said["VpcConfig"]["SubnetIds"].as_array().unwrap().clone();
    subnets.sort_by_key(Value::to_string);
    assert_eq!(subnets, ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"]);
    let groups = said["VpcConfig"]["SecurityGroupIds"].as_array().unwrap().clone();
    assert_eq!(groups.len(), 1);

    // 7.2: the function gets out to database and endpoint and to nowhere else, and nothing gets in.
    let rules = |group: &Value, direction: &str| {
        json(&format!(
            "aws ec2 describe-security-groups --group-ids {} --query 'SecurityGroups[0].{direction}'",
            group.as_str().unwrap()
        ))
    };
    let group = |name: &str| Value::from(crate::support::group_id(&account, name));
    let (database, endpoint) = (group("pgrotate-article-database"), group("pgrotate-article-endpoint"));
    let mut out: Vec<_> = rules(&groups[0], "IpPermissionsEgress")
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["FromPort"].clone(), rule["UserIdGroupPairs"][0]["GroupId"].clone()))
        .collect();
    out.sort_by_key(|(port, _)| port.as_i64());
    assert_eq!(out, [(json!(443), endpoint), (json!(5432), database.clone())]);
    assert_eq!(rules(&groups[0], "IpPermissions"), json!([]));
    let into = rules(&database, "IpPermissions");
    assert!(into.as_array().unwrap().iter().all(|rule| rule["FromPort"] == 5432 && rule["ToPort"] == 5432), "{into}");
    assert!(into.to_string().contains(groups[0].as_str().unwrap()), "{into}");
    assert!(into.to_string().contains("203.0.113.7/32"), "{into}");

    // 8
    let value =
        "aws secretsmanager get-secret-value --secret-id test_user1_secret --query 'SecretString' --output text";
    let before = json(value);
    account.shell("aws secretsmanager rotate-secret --secret-id test_user1_secret");
    let after = crate::support::until("the rotation has finished", || Some(json(value)).filter(|now| *now != before));
    assert_eq!((&before["username"], &after["username"]), (&"test_user1_clone".into(), &"test_user1".into()));
    assert_ne!(before["password"], after["password"]);
    assert_eq!((&after["host"], &after["masterarn"]), (&json!(address), &json!(admin_arn)));
    for key in ["engine", "host", "port", "dbname", "masterarn", "dbInstanceIdentifier"] {
        assert_eq!(before[key], after[key], "{key}");
        assert!(!after[key].is_null(), "{key}");
    }
    let messages = account.shell(
        "LATEST_LOG_STREAM=$(aws logs describe-log-streams --log-group-name /aws/lambda/pgpasslambda \
         --order-by LastEventTime --descending --limit 1 --query 'logStreams[0].logStreamName' --output text); \
         aws logs get-log-events --log-group-name /aws/lambda/pgpasslambda --log-stream-name $LATEST_LOG_STREAM \
         --limit 20 --query 'events[*].message' --output text",
    );
    assert!(messages.contains("finishSecret"), "{messages}");
    for password in [&before["password"], &after["password"]] {
        assert!(!messages.contains(password.as_str().unwrap()), "the function has logged a password");
    }
    // A rotation by hand is no drift.
    account.is_empty(&config);
    account.pgrotate(&["plan", "--format", "json", path(&config)]).exits(0);

    // The final step: what its commands delete is gone, and its waits end.
    account.destroy(&config).exits(0);
    account.shell("aws rds wait db-instance-deleted --db-instance-identifier my-postgres-instance");
    account.shell("aws cloudformation wait stack-delete-complete --stack-name pgpasslambda-stack");
    for (gone, code) in [
        ("rds describe-db-subnet-groups --db-subnet-group-name my-db-subnet-group", "DBSubnetGroupNotFoundFault"),
        ("lambda get-function --function-name pgpasslambda", "ResourceNotFoundException"),
    ] {
        let said = account.shell(&format!("aws {gone} 2>&1 && exit 1 || true"));
        assert!(said.contains(&format!("({code})")), "{gone}: {said}");
    }
    let left = account.shell(&format!(
        "aws ec2 describe-vpc-endpoints --filters 'Name=vpc-id,Values={vpc}' --query 'VpcEndpoints[].VpcEndpointId' \
         --output text"
    ));
    assert_eq!(left, "");
    let deleted = json("aws secretsmanager describe-secret --secret-id test_user1_secret");
    assert!(!deleted["DeletedDate"].is_null() && deleted["RotationEnabled"] != true, "{deleted}");
}
