//! One scenario for each kind of drift that no other test here makes: done from outside, found by its code, explained,
//! and mended, with nothing left to plan.

use crate::alerts::topic;
use crate::scenarios::{TOPIC, with};
use crate::support::{ARTICLE, Account, Deployment, group_id, pasted, until};
use serde_json::{Value, json};

const STACK: &str = "stack.pgpasslambda-stack";
const SECRET: &str = "test_user1_secret";

impl Deployment {
    fn described(&self) -> Value {
        self.account.call("secretsmanager", "describe_secret", json!({ "SecretId": SECRET }))
    }

    fn function_arn(&self, name: &str) -> Value {
        let asked = json!({ "FunctionName": name });
        self.account.call("lambda", "get_function_configuration", asked)["FunctionArn"].clone()
    }

    /// Puts a value by hand that differs from AWSCURRENT's under some keys, null taking a key away.
    fn puts(&self, changes: &Value) {
        let told = self.account.call("secretsmanager", "get_secret_value", json!({ "SecretId": SECRET }));
        let mut value: Value = serde_json::from_str(told["SecretString"].as_str().expect("text")).expect("JSON");
        let object = value.as_object_mut().expect("an object");
        for (key, to) in changes.as_object().expect("an object") {
            match to {
                Value::Null => _ = object.remove(key),
                to => _ = object.insert(key.clone(), to.clone()),
            }
        }
        let put = json!({ "SecretId": SECRET, "SecretString": value.to_string() });
        self.by_hand("secretsmanager", "put_secret_value", put);
    }

    /// `aws cloudformation update-stack` with the same parameters.
    fn updates_stack(&self, more: Value) {
        let stacks =
            self.account.call("cloudformation", "describe_stacks", json!({ "StackName": "pgpasslambda-stack" }));
        let parameters = stacks["Stacks"][0]["Parameters"].as_array().expect("parameters").clone();
        let parameters: Vec<_> = parameters
            .iter()
            .map(|each| json!({ "ParameterKey": each["ParameterKey"], "UsePreviousValue": true }))
            .collect();
        let mut asked = json!({
            "StackName": "pgpasslambda-stack", "Parameters": parameters, "Capabilities": ["CAPABILITY_IAM"],
        });
        for (key, value) in more.as_object().expect("an object") {
            asked[key] = value.clone();
        }
        self.by_hand("cloudformation", "update_stack", asked);
    }

    fn stack_status(&self) -> Value {
        let stacks =
            self.account.call("cloudformation", "describe_stacks", json!({ "StackName": "pgpasslambda-stack" }));
        stacks["Stacks"][0]["StackStatus"].clone()
    }
}

#[test]
fn of_the_network_and_the_bucket() {
    let at = Deployment::new(ARTICLE);
    let (account, database) = (&at.account, group_id(&at.account, "pgrotate-article-database"));

    // AWS's own rule put back.
    let everything = json!([{ "IpProtocol": "-1", "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }]);
    at.by_hand("ec2", "authorize_security_group_egress", json!({ "GroupId": database, "IpPermissions": everything }));
    at.mends(&["security_group.database"], &["egress-open", "it lets everything out"]);

    let bucket = format!("pgrotate-article-{}-eu-north-1", account.number);
    at.by_hand("s3", "delete_public_access_block", json!({ "Bucket": bucket }));
    at.mends(&[&format!("bucket.{bucket}")], &["exposed", "not blocked"]);

    // Without a way in, neither the login nor the admin login that looks in its place can be seen.
    let from_functions = json!([{
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "UserIdGroupPairs": [{ "GroupId": group_id(account, "pgrotate-article-function") }],
    }]);
    at.by_hand("ec2", "revoke_security_group_ingress", json!({ "GroupId": database, "IpPermissions": from_functions }));
    let rule = "security_group_rule.database-from-function";
    at.mends(&["login.test_user1", "login.rotator_admin", rule], &["unobservable", "pgpasslambda-inspection"]);

    // Somebody's change of the instance is waited for.
    let backups = |days: u32| {
        let asked = json!({
            "DBInstanceIdentifier": "my-postgres-instance", "BackupRetentionPeriod": days, "ApplyImmediately": true,
        });
        at.by_hand("rds", "modify_db_instance", asked);
    };
    let instance = || account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0].clone();
    backups(1);
    until("it has changed", || {
        let instance = instance();
        (instance["BackupRetentionPeriod"] == 1 && instance["DBInstanceStatus"] == "available").then_some(())
    });
    account.delays("instance_modify=8");
    backups(7);
    until("it is changing", || (instance()["DBInstanceStatus"] == "modifying").then_some(()));
    at.mends(&["db_instance.my-postgres-instance"], &["under-way", "the instance is modifying"]);
}

/// What a secret's JSON says, changed under everybody's eyes.
#[test]
fn of_a_secret_s_value() {
    let at = Deployment::new(ARTICLE);
    let login = ["login.test_user1"];
    at.puts(&json!({ "dbInstanceIdentifier": null }));
    at.mends(&login, &["secret-names-another", "dbInstanceIdentifier nothing"]);
    at.puts(&json!({ "port": null }));
    at.mends(&login, &["secret-key-missing", "AWSCURRENT lacks port"]);
    at.puts(&json!({ "host": "db.example.com" }));
    at.mends(&login, &["secret-names-another", "its secret says host db.example.com:5432"]);
    at.puts(&json!({ "dbname": "template1" }));
    at.mends(&login, &["secret-names-another", "dbname template1"]);

    // Under another's name it is nothing that a function logs in with, or puts another value in the place of.
    at.puts(&json!({ "username": "postgres" }));
    at.finds(
        &at.config,
        &login,
        &["secret-names-another", "username postgres", &pasted("recover", &at.config, "test_user1")],
    );
    let recover = at.account.pgrotate(&["recover", crate::support::path(&at.config), "test_user1", "--yes"]);
    recover.exits(4);
    let hint = recover.stderr.split_once("aws secretsmanager update-secret-version-stage").expect("the command").1;
    let word = |flag: &str| hint.split_whitespace().skip_while(|word| *word != flag).nth(1).expect("a version");
    let back = json!({
        "SecretId": SECRET, "VersionStage": "AWSCURRENT", "MoveToVersionId": word("--move-to-version-id"),
        "RemoveFromVersionId": word("--remove-from-version-id"),
    });
    at.by_hand("secretsmanager", "update_secret_version_stage", back);
    at.finds(&at.config, &[], &[]);
    at.account.is_empty(&at.config);
    assert!(at.account.login(SECRET, "AWSCURRENT").starts_with("test_user1"));
}

#[test]
fn of_a_rotation() {
    let at = Deployment::new(ARTICLE);
    let (account, rotation) = (&at.account, ["rotation.test_user1"]);

    // Another function: one that Secrets Manager may invoke, or it would refuse.
    let permission = json!({
        "FunctionName": "pgpasslambda-inspection", "StatementId": "by-hand", "Action": "lambda:InvokeFunction",
        "Principal": "secretsmanager.amazonaws.com",
    });
    at.by_hand("lambda", "add_permission", permission);
    let by_another = json!({
        "SecretId": SECRET, "RotationLambdaARN": at.function_arn("pgpasslambda-inspection"), "RotateImmediately": false,
    });
    at.by_hand("secretsmanager", "rotate_secret", by_another);
    until("it is tested", || (!at.described()["VersionIdsToStages"].to_string().contains("AWSPENDING")).then_some(()));
    at.mends(&rotation, &["rotation-by-another", "function:pgpasslambda-inspection"]);

    // A rotation of which every attempt has failed, and what the function said of it.
    account.sql("alter role rotator_admin nologin");
    account.pgrotate(&["rotate", crate::support::path(&at.config), "test_user1"]).exits(0);
    until("all attempts have failed", || {
        let said = json!({ "logGroupName": "/aws/lambda/pgpasslambda", "filterPattern": "\"error\"" });
        let said = account.call("logs", "filter_log_events", said)["events"].as_array().map_or(0, Vec::len);
        (said >= 3).then_some(())
    });
    account.sql("alter role rotator_admin login");
    // What has only just been changed counts as under way.
    until("it is told", || (!account.drift(&at.config).is_empty()).then_some(()));
    at.finds(&at.config, &rotation, &["rotation-failed", "28000", &pasted("recover", &at.config, "test_user1")]);
    account.pgrotate(&["recover", crate::support::path(&at.config), "test_user1", "--yes"]).exits(0);
    at.finds(&at.config, &[], &[]);
    account.is_empty(&at.config);
}

/// Enabled by somebody whose apply had stopped before that, and never shown to work.
#[test]
fn of_a_rotation_that_has_never_run() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    account.fault(&["secretsmanager.RotateSecret", "AccessDeniedException", "--client", "--times", "1000"]);
    account.fault(&["secretsmanager.RotateSecret", "InvalidParameterException", "--client", "--times", "1000"]);
    account.apply(&config).exits(5);
    account.fault(&["--clear"]);
    let at = Deployment { account, config };
    for (secret, days) in [(SECRET, 10), ("rotator_admin_secret", 30)] {
        let enabled = json!({
            "SecretId": secret, "RotationLambdaARN": at.function_arn("pgpasslambda"), "RotateImmediately": false,
            "RotationRules": { "AutomaticallyAfterDays": days },
        });
        at.by_hand("secretsmanager", "rotate_secret", enabled);
    }
    until("it is tested", || (!at.described()["VersionIdsToStages"].to_string().contains("AWSPENDING")).then_some(()));
    at.mends(&["rotation.test_user1", "rotation.rotator_admin"], &["never-rotated", "no rotation has ever finished"]);
    assert!(at.described()["LastRotatedDate"].is_number());
}

/// The account's clock is behind for a while: what is done then is old for whoever looks with the right time.
#[test]
fn of_rotations_that_time_tells_of() {
    let account = Account::new();
    account.delays("none");
    account.clock("13d ago");
    let (config, _) = account.converges(ARTICLE);
    let at = Deployment { account, config };
    let (account, rotation) = (&at.account, ["rotation.test_user1"]);

    // Every ten days, and the last was thirteen days ago.
    at.finds(
        &at.config,
        &rotation,
        &["rotation-overdue", "\"since\":\"20", &pasted("rotate", &at.config, "test_user1 --wait")],
    );
    account.is_empty(&at.config);
    let before = account.login(SECRET, "AWSCURRENT");
    account.clock("now");
    until("the schedule fires", || (account.login(SECRET, "AWSCURRENT") != before).then_some(()));
    until("it has ended", || (!at.described()["VersionIdsToStages"].to_string().contains("AWSPENDING")).then_some(()));
    at.finds(&at.config, &[], &[]);

    // One that was begun two hours ago and died at each attempt.
    account.clock("2h ago");
    account.fault(&["secretsmanager.PutSecretValue", "kill", "--function", "pgpasslambda", "--times", "3"]);
    account.pgrotate(&["rotate", crate::support::path(&at.config), "test_user1"]).exits(0);
    until("all attempts have failed", || account.fault(&[]).trim().is_empty().then_some(()));
    account.clock("now");
    at.finds(
        &at.config,
        &rotation,
        &["rotation-stuck", "\"since\":\"20", &pasted("recover", &at.config, "test_user1")],
    );
    account.pgrotate(&["recover", crate::support::path(&at.config), "test_user1", "--yes"]).exits(0);
    at.finds(&at.config, &[], &[]);
    account.is_empty(&at.config);
}

#[test]
fn of_the_stack_as_cloudformation_has_it() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;

    // Somebody's update of the template.
    let found = account.call("cloudformation", "get_template", json!({ "StackName": "pgpasslambda-stack" }));
    let mut template = match &found["TemplateBody"] {
        Value::String(text) => serde_json::from_str(text).expect("JSON"),
        template => template.clone(),
    };
    template["Resources"]["RotationLogs"]["Properties"]["RetentionInDays"] = 1.into();
    at.updates_stack(json!({ "TemplateBody": template.to_string() }));
    until("the stack has changed", || (at.stack_status() == "UPDATE_COMPLETE").then_some(()));
    at.mends(&[STACK], &["template-changed", "RetentionInDays"]);

    // A deletion that is not finished is waited for; then all is made anew.
    account.delays("stack_delete=6");
    at.by_hand("cloudformation", "delete_stack", json!({ "StackName": "pgpasslambda-stack" }));
    at.mends(&[STACK], &["stack-unusable", "it is being deleted"]);
    account.rotate(&at.config, "test_user1").exits(0);
}

/// What no update with the same template would mend: CloudFormation finds it, and a change set of its own reverts it.
#[test]
fn of_what_lies_behind_the_stack() {
    let account = Account::new();
    account.delays("none");
    let arn = TOPIC.replace("111122223333", &account.number);
    topic(&account, &arn);
    let alerts = format!("\n[alerts]\ntopic = \"{arn}\"\n\n[function]\n");
    let (config, _) = account.converges(&with(ARTICLE, "\n[function]\n", &alerts));
    let at = Deployment { account, config };
    let account = &at.account;
    let resources =
        account.call("cloudformation", "describe_stack_resources", json!({ "StackName": "pgpasslambda-stack" }));
    let id = |logical: &str| {
        let all = resources["StackResources"].as_array().expect("resources");
        let found = all.iter().find(|each| each["LogicalResourceId"] == logical);
        found.unwrap_or_else(|| panic!("{logical} in {all:?}"))["PhysicalResourceId"].clone()
    };
    let alarms = || account.call("cloudwatch", "describe_alarms", json!({ "AlarmNames": [id("RotationErrors")] }));

    // All at once: each under its own code, and one apply for all.
    let anything =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let policy = json!({ "RoleName": id("RotationRole"), "PolicyName": "rotation" });
    let mut changed = policy.clone();
    changed["PolicyDocument"] = anything.to_string().into();
    at.by_hand("iam", "put_role_policy", changed);
    let mut alarm = alarms()["MetricAlarms"][0].clone();
    let kept = [
        "AlarmName",
        "AlarmDescription",
        "Namespace",
        "MetricName",
        "Dimensions",
        "Statistic",
        "Period",
        "EvaluationPeriods",
        "ComparisonOperator",
        "TreatMissingData",
        "AlarmActions",
    ];
    alarm.as_object_mut().expect("an alarm").retain(|key, _| kept.contains(&key.as_str()));
    alarm["Threshold"] = 99.into();
    at.by_hand("cloudwatch", "put_metric_alarm", alarm);
    at.by_hand("events", "delete_rule", json!({ "Name": id("RotationEvents"), "Force": true }));
    let retention = json!({ "logGroupName": "/aws/lambda/pgpasslambda", "retentionInDays": 1 });
    at.by_hand("logs", "put_retention_policy", retention);
    at.by_hand("logs", "delete_log_group", json!({ "logGroupName": "/aws/lambda/pgpasslambda-provisioning" }));
    let described = json!({ "FunctionName": "pgpasslambda-provisioning", "Description": "a-note-of-somebodys" });
    at.by_hand("lambda", "update_function_configuration", described);
    let found = account.drift(&at.config);
    let whole = &found[STACK];
    for told in [
        "\"policy-changed\"",
        "RotationRole changed in Policies/",
        "\"alert-changed\"",
        "RotationErrors changed in Threshold",
        "RotationEvents deleted",
        "\"log-group-changed\"",
        "RotationLogs changed in RetentionInDays",
        "ProvisioningLogs deleted",
        "\"function-configuration\"",
        "ProvisioningFunction changed in Description",
    ] {
        assert!(whole.contains(told), "`{told}`: {whole}");
    }
    assert!(!whole.contains("a-note-of-somebodys"), "{whole}");
    at.mends(&[STACK], &["policy-changed"]);
    let document = account.call("iam", "get_role_policy", policy)["PolicyDocument"].to_string();
    assert!(!document.contains("\"*\",\"Effect\"") && document.contains("AllowRotationLambdaArn"), "{document}");
    assert_eq!(alarms()["MetricAlarms"][0]["Threshold"], 1.0);

    // Without its permission Secrets Manager can call nothing.
    let asked = json!({ "FunctionName": "pgpasslambda" });
    let told = account.call("lambda", "get_policy", asked)["Policy"].as_str().expect("a policy").to_owned();
    let policy: Value = serde_json::from_str(&told).expect("JSON");
    let sid = policy["Statement"][0]["Sid"].clone();
    at.by_hand("lambda", "remove_permission", json!({ "FunctionName": "pgpasslambda", "StatementId": sid }));
    at.mends(&[STACK], &["permission-changed", "RotationPermission deleted"]);
    account.rotate(&at.config, "test_user1").exits(0);
}

/// What time alone makes of an instance: its certificate nears its end, and RDS offers its version no more.
#[test]
fn of_an_instance_that_has_grown_old() {
    let account = Account::new();
    account.delays("none");
    account.clock("350d ago");
    let (config, _) = account.converges(ARTICLE);
    account.clock("now");
    // What has been overdue for so long is made up for.
    let instance = "db_instance.my-postgres-instance";
    until("the schedule has caught up", || account.drift(&config).keys().eq([instance]).then_some(()));
    let at = Deployment { account, config };
    let account = &at.account;

    let next = "--ca-certificate-identifier rds-ca-rsa4096-g1";
    at.finds(&at.config, &[instance], &["certificate-ending", "rds-ca-rsa2048-g1", next]);
    account.is_empty(&at.config);
    let certified = |authority: &str| {
        account.shell(&format!(
            "aws rds modify-db-instance --db-instance-identifier my-postgres-instance \
             --ca-certificate-identifier {authority} --apply-immediately"
        ));
        until("it has a new one", || {
            let found = account.call("rds", "describe_db_instances", json!({}));
            (found["DBInstances"][0]["CertificateDetails"]["CAIdentifier"] == authority).then_some(())
        });
    };
    certified("rds-ca-rsa4096-g1");
    at.finds(&at.config, &[], &[]);
    account.clock("400d ago");
    certified("rds-ca-rsa2048-g1");
    account.clock("now");
    at.finds(&at.config, &[instance], &["certificate-ended", "has ended on", next]);
    certified("rds-ca-rsa4096-g1");
    at.finds(&at.config, &[], &[]);

    let found = account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0].clone();
    let version = found["EngineVersion"].as_str().expect("a version").to_owned();
    account.withdraw(&version);
    let known = json!({ "Engine": "postgres", "EngineVersion": "16" });
    let known = account.call("rds", "describe_db_engine_versions", known)["DBEngineVersions"].clone();
    let latest = known.as_array().and_then(|all| all.last()).expect("versions")["EngineVersion"].clone();
    let latest = latest.as_str().expect("a version");
    at.finds(&at.config, &[instance], &["engine-deprecated", &version, latest]);
    account.is_empty(&at.config);
    let config = account.config(&with(ARTICLE, "engine_version = \"16\"", &format!("engine_version = \"{latest}\"")));
    account.apply(&config).exits(0);
    account.is_empty(&config);
    at.finds(&config, &[], &[]);
}
