//! What somebody changes by hand: `drift` names it and says what moved, `apply` makes it good, and nothing is
//! left to do then.

use crate::support::{ARTICLE, Deployment, group_id, until};
use serde_json::{Value, json};
use std::path::Path;

/// The functions cannot look at the logins while it is broken.
const LOGINS: [&str; 2] = ["login.rotator_admin", "login.test_user1"];

impl Deployment {
    /// A change by the AWS API, which must take it.
    pub fn by_hand(&self, service: &str, operation: &str, parameters: Value) {
        let answer = self.account.call(service, operation, parameters);
        assert!(answer["error"].is_null(), "{operation}: {answer}");
    }

    /// `drift` finds exactly these addresses, and says this of the first: the code first of all.
    pub fn finds(&self, config: &Path, addresses: &[&str], facts: &[&str]) {
        let found = self.account.drift(config);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            addresses.iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
            "{found:#?}"
        );
        let Some((code, facts)) = facts.split_first() else { return };
        let told = format!(r#""code":"{code}""#);
        for fact in [told.as_str()].iter().chain(facts) {
            assert!(found[addresses[0]].contains(fact), "`{fact}` of {}: {}", addresses[0], found[addresses[0]]);
        }
    }

    /// It is found, and an apply of `config` mends it.
    pub fn mends_with(&self, config: &Path, addresses: &[&str], facts: &[&str]) {
        self.finds(config, addresses, facts);
        self.account.apply(config).exits(0);
        self.account.is_empty(config);
        self.finds(config, &[], &[]);
    }

    pub fn mends(&self, addresses: &[&str], facts: &[&str]) {
        self.mends_with(&self.config, addresses, facts);
    }

    fn secret(&self) -> Value {
        self.account.call("secretsmanager", "describe_secret", json!({ "SecretId": "test_user1_secret" }))
    }

    fn and_logins(address: &str) -> [&str; 3] {
        [address, LOGINS[0], LOGINS[1]]
    }
}

/// Of the network and the instance.
#[test]
fn below_the_functions() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    let database = group_id(account, "pgrotate-article-database");

    // A rule removed.
    let from_functions = json!([{
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "UserIdGroupPairs": [{ "GroupId": group_id(account, "pgrotate-article-function") }],
    }]);
    at.by_hand("ec2", "revoke_security_group_ingress", json!({ "GroupId": database, "IpPermissions": from_functions }));
    at.mends(&Deployment::and_logins("security_group_rule.database-from-function"), &["missing", "5432"]);

    // The endpoint deleted.
    let endpoints = account.call("ec2", "describe_vpc_endpoints", json!({}));
    let endpoint = endpoints["VpcEndpoints"][0]["VpcEndpointId"].clone();
    at.by_hand("ec2", "delete_vpc_endpoints", json!({ "VpcEndpointIds": [endpoint] }));
    until("the endpoint is gone", || {
        let left = account.call("ec2", "describe_vpc_endpoints", json!({}));
        left["VpcEndpoints"].as_array()?.iter().all(|endpoint| endpoint["State"] == "deleted").then_some(())
    });
    at.mends(
        &Deployment::and_logins("vpc_endpoint.secretsmanager"),
        &["missing", "com.amazonaws.eu-north-1.secretsmanager"],
    );

    // The private DNS of its successor turned off.
    let endpoints = account.call("ec2", "describe_vpc_endpoints", json!({}));
    let made_again = endpoints["VpcEndpoints"].as_array().into_iter().flatten().find(|one| one["State"] == "available");
    let endpoint = made_again.expect("an endpoint")["VpcEndpointId"].clone();
    at.by_hand("ec2", "modify_vpc_endpoint", json!({ "VpcEndpointId": endpoint, "PrivateDnsEnabled": false }));
    at.mends(&Deployment::and_logins("vpc_endpoint.secretsmanager"), &["changed", "private_dns"]);

    // Backups shortened.
    at.by_hand(
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
    at.mends(&["db_instance.my-postgres-instance"], &["changed", "backup_days", r#""1""#, r#""7""#]);

    // A rule added. It stays as long as the file does not say otherwise, and is told all the while.
    let theirs = json!([{
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{ "CidrIp": "192.0.2.0/24" }],
    }]);
    at.by_hand("ec2", "authorize_security_group_ingress", json!({ "GroupId": database, "IpPermissions": theirs }));
    at.finds(&at.config, &["security_group.database"], &["unmanaged-rule", "192.0.2.0/24", "unmanaged_rules"]);
    account.is_empty(&at.config);
    account.apply(&at.config).exits(0);
    at.finds(&at.config, &["security_group.database"], &["unmanaged-rule", "192.0.2.0/24"]);
    let revoking = account.config(&ARTICLE.replace("# unmanaged_rules = \"report\"", "unmanaged_rules = \"revoke\""));
    at.mends_with(&revoking, &["security_group.database"], &["unmanaged-rule", "192.0.2.0/24"]);
    assert_eq!(crate::support::cidrs(account, "pgrotate-article-database"), ["203.0.113.7/32"]);
}

/// Of the functions and what lies behind them.
#[test]
fn functions_and_secrets() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    let user = json!({ "SecretId": "test_user1_secret" });

    // The schedule changed. To put it back is no reason to rotate.
    let rotated = at.secret()["LastRotatedDate"].clone();
    at.by_hand(
        "secretsmanager",
        "rotate_secret",
        json!({
            "SecretId": "test_user1_secret", "RotateImmediately": false,
            "RotationRules": { "AutomaticallyAfterDays": 3 },
        }),
    );
    until("the schedule is tested", || {
        at.secret()["VersionIdsToStages"].to_string().contains("AWSPENDING").eq(&false).then_some(())
    });
    at.mends(&["rotation.test_user1"], &["rotation-rescheduled", "every 3 days", "every 10 days"]);
    assert_eq!(at.secret()["LastRotatedDate"], rotated, "it has not rotated");

    // Rotation cancelled.
    at.by_hand("secretsmanager", "cancel_rotate_secret", user.clone());
    at.mends(&["rotation.test_user1"], &["rotation-cancelled", "every 10 days"]);
    assert_ne!(at.secret()["LastRotatedDate"], rotated, "it is proven by a rotation");

    // A tag removed: one that only tells something, then the one that tells whose it is.
    let untag = |key: &str| {
        at.by_hand("secretsmanager", "untag_resource", json!({ "SecretId": "test_user1_secret", "TagKeys": [key] }));
    };
    untag("pgrotate:address");
    at.mends(&["secret.test_user1"], &["tags-missing", "pgrotate:address"]);
    untag("pgrotate:deployment");
    let refused = account.pgrotate(&["drift", crate::support::path(&at.config)]);
    refused.exits(4);
    assert!(refused.stderr.contains("secret.test_user1"), "{}", refused.stderr);
    let tag = json!([{ "Key": "pgrotate:deployment", "Value": "article" }]);
    at.by_hand("secretsmanager", "tag_resource", json!({ "SecretId": "test_user1_secret", "Tags": tag }));
    at.finds(&at.config, &[], &[]);

    // The secret deleted: what it held is restored with it.
    at.by_hand("secretsmanager", "delete_secret", user);
    at.finds(
        &at.config,
        &["secret.test_user1", "login.test_user1", "rotation.test_user1"],
        &["secret-deleted", "pending deletion"],
    );
    account.apply(&at.config).exits(0);
    account.is_empty(&at.config);
    at.finds(&at.config, &[], &[]);
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));

    // A function's environment changed; what somebody has put there is not told.
    let function = json!({ "FunctionName": "pgpasslambda" });
    let mut changed = account.call("lambda", "get_function_configuration", function.clone())["Environment"].clone();
    let before = changed.clone();
    changed["Variables"]["PGROTATE_HOSTS"] = json!("evil.example:5432");
    changed["Variables"]["ADDED"] = json!("a-value-of-somebodys");
    at.by_hand(
        "lambda",
        "update_function_configuration",
        json!({ "FunctionName": "pgpasslambda", "Environment": changed }),
    );
    let stack = "stack.pgpasslambda-stack";
    let found = account.drift(&at.config);
    assert!(!found[stack].contains("evil.example") && !found[stack].contains("a-value-of-somebodys"), "{found:?}");
    let facts =
        ["function-configuration", "pgpasslambda: environment PGROTATE_HOSTS", "pgpasslambda: environment ADDED"];
    at.mends(&[stack], &facts);
    assert_eq!(account.call("lambda", "get_function_configuration", function.clone())["Environment"], before);

    // Its code changed, and its time limit.
    let code = account.call("lambda", "get_function_configuration", function.clone())["CodeSha256"].clone();
    account.shell(
        "cd $(mktemp -d) && echo exit 1 > bootstrap && chmod +x bootstrap && \
         $PGROTATE_SANDBOX_PYTHON -m zipfile -c other.zip bootstrap && \
         aws lambda update-function-code --function-name pgpasslambda --zip-file fileb://other.zip && \
         aws lambda update-function-configuration --function-name pgpasslambda --timeout 3",
    );
    at.mends(&[stack], &["function-code", "pgpasslambda: code", "timeout 3"]);
    assert_eq!(account.call("lambda", "get_function_configuration", function.clone())["CodeSha256"], code);
    account.rotate(&at.config, "test_user1").exits(0);

    // Functions that are no longer ours are refused, and not asked anything.
    let tagged = |deployment: &str| {
        account.shell(&format!(
            "aws cloudformation update-stack --stack-name pgpasslambda-stack --use-previous-template \
             --capabilities CAPABILITY_IAM --tags Key=pgrotate:deployment,Value={deployment} \
             Key=pgrotate:address,Value=stack.pgpasslambda-stack --parameters $(aws cloudformation describe-stacks \
             --stack-name pgpasslambda-stack --output text \
             --query 'join(`\" \"`, Stacks[0].Parameters[].join(``, [`ParameterKey=`, ParameterKey, `,UsePreviousValue=true`]))' \
             | tr -d '\"') && aws cloudformation wait stack-update-complete --stack-name pgpasslambda-stack"
        ));
    };
    tagged("another");
    let before = account.requests().len();
    account.pgrotate(&["drift", crate::support::path(&at.config)]).exits(4);
    let asked = account.requests().split_off(before);
    assert!(!asked.iter().any(|(_, what)| what == "lambda.Invoke"), "{asked:?}");
    tagged("article");
    at.finds(&at.config, &[], &[]);

    // A function deleted behind its stack, which is made anew: no update would bring it back.
    at.by_hand("lambda", "delete_function", function);
    at.mends(&[stack], &["function-deleted", "pgpasslambda was deleted behind the stack"]);
    account.rotate(&at.config, "test_user1").exits(0);
    assert!(account.login("test_user1_secret", "AWSCURRENT").starts_with("test_user1"));
}

/// Read replicas are servers of the deployment: found when they come and go, and a secret that names one is
/// written on the writer and tested where it says.
#[test]
fn a_read_replica() {
    let deployment = Deployment::new(ARTICLE);
    let (account, instance, stack) = (&deployment.account, "my-postgres-instance", "stack.pgpasslambda-stack");
    let look = |identifier: &str| {
        // Asked for by name, one that is gone is an error, and not the one that is looked for.
        let all = account.call("rds", "describe_db_instances", json!({}))["DBInstances"].take();
        let mut all = all.as_array().expect("instances").iter();
        all.find(|found| found["DBInstanceIdentifier"] == identifier).cloned().unwrap_or_default()
    };
    let available = |identifier: &str| {
        until(identifier, || Some(look(identifier)).filter(|look| look["DBInstanceStatus"] == "available"))
    };
    // RDS makes no replica of an instance whose master password it manages, so whoever has one made it before.
    let replicate = json!({ "DBInstanceIdentifier": "reader", "SourceDBInstanceIdentifier": instance });
    let refused = account.refused_call("rds", "create_db_instance_read_replica", replicate.clone());
    assert_eq!(refused, "InvalidParameterValue");
    deployment.by_hand("rds", "modify_db_instance", json!({
        "DBInstanceIdentifier": instance, "ManageMasterUserPassword": false, "MasterUserPassword": "a-long-password",
    }));
    deployment.by_hand("rds", "create_db_instance_read_replica", replicate);
    let reader = available("reader");
    deployment.by_hand(
        "rds",
        "modify_db_instance",
        json!({
            "DBInstanceIdentifier": instance, "ManageMasterUserPassword": true,
        }),
    );
    until("the master's secret", || (look(instance)["MasterUserSecret"]["SecretStatus"] == "active").then_some(()));
    let host = |look: &Value| look["Endpoint"]["Address"].as_str().expect("an address").to_owned();
    let (writer, reader) = (host(&look(instance)), host(&reader));
    deployment.mends(&[stack], &["hosts-changed", &format!("{writer}:5432,{reader}:5432")]);

    let value = |change: Option<&str>| {
        let named = json!({ "SecretId": "test_user1_secret" });
        let told = account.call("secretsmanager", "get_secret_value", named);
        let mut value: Value = serde_json::from_str(told["SecretString"].as_str().expect("text")).expect("JSON");
        if let Some(host) = change {
            value["host"] = host.into();
            deployment.by_hand(
                "secretsmanager",
                "put_secret_value",
                json!({
                    "SecretId": "test_user1_secret", "SecretString": value.to_string(),
                }),
            );
        }
        value
    };
    value(Some(&reader));
    for user in ["test_user1", "test_user1_clone"] {
        account.rotate(&deployment.config, "test_user1").exits(0);
        assert_eq!(value(None)["host"], reader.as_str());
        assert_eq!(account.login("test_user1_secret", "AWSCURRENT"), user);
    }
    account.is_empty(&deployment.config);

    // Nothing that apply could do brings the server back that the secret's owner has chosen; until then it is told of.
    account.server("reader", "crashed");
    deployment.finds(&deployment.config, &["login.test_user1"], &["database-unreachable", &reader]);
    account.server("reader", "running");
    account.is_empty(&deployment.config);

    value(Some(&writer));
    deployment.by_hand(
        "rds",
        "delete_db_instance",
        json!({
            "DBInstanceIdentifier": "reader", "SkipFinalSnapshot": true,
        }),
    );
    until("the replica is gone", || look("reader").is_null().then_some(()));
    deployment.mends(&[stack], &["hosts-changed", &format!("\"{writer}:5432\"")]);
    account.rotate(&deployment.config, "test_user1").exits(0);
    account.login("test_user1_secret", "AWSCURRENT");
}
