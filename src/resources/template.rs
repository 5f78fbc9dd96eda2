//! The CloudFormation template of the three functions. What is not known before an apply is a parameter,
//! so that the template itself is a pure function of the config and can be compared to the live one.

use super::functions::{FunctionLook, FunctionNames};
use crate::model::Place;
use function_contract::{FUNCTION_TIMEOUT_SECONDS, encode_tag, env, metric, tag};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the template depends on.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub deployment: String,
    pub place: Place,
    pub names: FunctionNames,
    pub subnets: BTreeSet<String>,
    /// The tag that RDS puts on the master's secret, and that it puts there itself: nobody else can set an `aws:` tag.
    /// Its key, and the ARN of the instance or the cluster.
    pub master_secret_tag: (&'static str, String),
    /// The database in which the functions take their locks.
    pub lock_database: String,
    /// ARN of the topic that is told of failures.
    pub topic: Option<String>,
}

pub const ADMIN_SECRET_ARN: &str = "AdminSecretArn";
pub const FUNCTION_GROUP: &str = "FunctionSecurityGroup";
pub const CODE_BUCKET: &str = "CodeBucket";
pub const CODE_KEY: &str = "CodeKey";
/// Empty until the instance has an address; the functions then refuse every host.
pub const HOSTS: &str = "Hosts";
pub const MASTER_SECRET_ARN: &str = "MasterSecretArn";

/// The function peaks below 32 MiB; Lambda gives CPU by memory, and SCRAM's 4096 rounds want some.
const MEMORY_MIB: u32 = 256;
/// Long enough to read what happened at the last rotation but one of a monthly schedule.
const LOG_DAYS: u32 = 90;

/// The template as a JSON value.
pub fn build(inputs: &Inputs) -> Value {
    let Inputs { deployment, place, names, subnets, master_secret_tag, lock_database, topic } = inputs;
    let ours = json!({ format!("aws:ResourceTag/{}", tag::DEPLOYMENT): encode_tag(deployment) });
    let secrets = |actions: &[&str], condition: Value| json!({ "Effect": "Allow", "Action": actions, "Resource": "*", "Condition": { "StringEquals": condition } });
    let admin_secret = json!({
        "Effect": "Allow",
        "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        "Resource": { "Ref": ADMIN_SECRET_ARN },
    });
    let read = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"];
    let common = json!({
        env::DEPLOYMENT: deployment,
        env::HOSTS: { "Ref": HOSTS },
        env::ADMIN_SECRET_ARN: { "Ref": ADMIN_SECRET_ARN },
        env::LOCK_DATABASE: lock_database,
    });
    let mut provisioning = common.clone();
    provisioning[env::MASTER_SECRET_ARN] = json!({ "Ref": MASTER_SECRET_ARN });

    let mut template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("pgrotate deployment {deployment}: rotation, provisioning and inspection functions"),
        "Parameters": {
            ADMIN_SECRET_ARN: { "Type": "String" },
            FUNCTION_GROUP: { "Type": "String" },
            CODE_BUCKET: { "Type": "String" },
            CODE_KEY: { "Type": "String" },
            HOSTS: { "Type": "String", "Default": "" },
            MASTER_SECRET_ARN: { "Type": "String", "Default": "" },
        },
        "Resources": {
            // Secrets Manager is the only one that may call the rotation function, for secrets of this
            // account: without the condition any account's secret could.
            "RotationPermission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": { "Ref": "RotationFunction" },
                    "Principal": "secretsmanager.amazonaws.com",
                    "SourceAccount": { "Ref": "AWS::AccountId" },
                },
            },
        },
        "Outputs": {
            "RotationFunctionArn": { "Value": { "Fn::GetAtt": ["RotationFunction", "Arn"] } },
        },
    });
    let parts = [
        Part {
            id: "Rotation",
            function: &names.rotation,
            what: "rotation",
            // Writes only where Secrets Manager itself says that this function rotates the secret, so
            // that neither role nor stack grows with the number of logins.
            statements: vec![
                secrets(
                    &[
                        "secretsmanager:DescribeSecret",
                        "secretsmanager:GetSecretValue",
                        "secretsmanager:PutSecretValue",
                        "secretsmanager:UpdateSecretVersionStage",
                    ],
                    json!({ "secretsmanager:resource/AllowRotationLambdaArn": names.rotation_arn(place) }),
                ),
                admin_secret,
            ],
            environment: common.clone(),
        },
        Part {
            id: "Provisioning",
            function: &names.provisioning,
            what: "provisioning",
            statements: vec![
                secrets(
                    &[
                        "secretsmanager:DescribeSecret",
                        "secretsmanager:GetSecretValue",
                        "secretsmanager:PutSecretValue",
                        "secretsmanager:UpdateSecretVersionStage",
                    ],
                    ours.clone(),
                ),
                secrets(&read, json!({ format!("aws:ResourceTag/{}", master_secret_tag.0): master_secret_tag.1 })),
            ],
            environment: provisioning,
        },
        Part {
            id: "Inspection",
            function: &names.inspection,
            what: "inspection",
            statements: vec![secrets(&read, ours)],
            environment: common,
        },
    ];
    for part in parts {
        part.add_to(&mut template, subnets);
    }
    watch(&mut template, deployment, topic.as_deref());
    template
}

/// What watches the rotations.
///
/// Each sees what the others cannot: Lambda counts also those runs that ended without a word (killed, out of
/// memory); the function's own metrics tell a mended login, which is no error; and Secrets Manager's events tell
/// of a rotation that never reached the function, and of one that is given up.
fn watch(template: &mut Value, deployment: &str, topic: Option<&str>) {
    let resources = &mut template["Resources"];
    let of_deployment = json!([{ "Name": metric::DEPLOYMENT, "Value": deployment }]);
    let of_function = json!([{ "Name": "FunctionName", "Value": { "Ref": "RotationFunction" } }]);
    for (id, what, namespace, name, dimensions) in [
        ("RotationErrors", "The rotation function failed, in", "AWS/Lambda", "Errors", of_function),
        (
            "RotationFailed",
            "A password rotation failed, in",
            metric::NAMESPACE,
            metric::ROTATION_FAILED,
            of_deployment.clone(),
        ),
        (
            "LoginRepaired",
            "A login did not log in with AWSCURRENT until its rotation mended that, in",
            metric::NAMESPACE,
            metric::LOGIN_REPAIRED,
            of_deployment,
        ),
    ] {
        resources[id] = json!({
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmDescription": format!("{what} pgrotate deployment {deployment}"),
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": dimensions,
                "Statistic": "Sum",
                "Period": 300,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
            },
        });
        if let Some(topic) = topic {
            resources[id]["Properties"]["AlarmActions"] = json!([topic]);
        }
    }
    let Some(topic) = topic else { return };
    // An event names a secret and neither its tags nor its function, and a pattern of 2,048 characters holds the
    // names of a few dozen secrets: so the rule is for all secrets of account and region, and the event, which goes
    // to the topic as it is, names the one. What chat services make of events they make of unchanged ones only.
    resources[RULE] = json!({
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Description": format!("Rotations that fail, for pgrotate deployment {deployment}"),
            "State": "ENABLED",
            "EventPattern": {
                "source": ["aws.secretsmanager"],
                "detail-type": ["AWS Service Event via CloudTrail"],
                "detail": {
                    "eventSource": ["secretsmanager.amazonaws.com"],
                    "eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"],
                },
            },
            "Targets": [{ "Id": "topic", "Arn": topic }],
        },
    });
}

const RULE: &str = "RotationEvents";

/// The topic that a template's rule sends to.
pub fn topic(template: &Value) -> Option<&str> {
    template["Resources"][RULE]["Properties"]["Targets"][0]["Arn"].as_str()
}

/// The functions as the template, with `parameters`, makes them: by name. `code` is the zip's SHA-256 in
/// Base64.
pub fn functions(
    template: &Value,
    parameters: &BTreeMap<String, String>,
    code: &str,
) -> BTreeMap<String, FunctionLook> {
    let resolved = |value: &Value| match value.get("Ref").and_then(Value::as_str) {
        Some(parameter) => parameters.get(parameter).cloned().unwrap_or_default(),
        None => value.as_str().unwrap_or_default().to_owned(),
    };
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(|(_, resource)| resource["Type"] == "AWS::Lambda::Function")
        .filter_map(|(_, resource)| {
            let properties = &resource["Properties"];
            let variables = properties["Environment"]["Variables"].as_object()?;
            let look = FunctionLook {
                environment: variables.iter().map(|(name, value)| (name.clone(), resolved(value))).collect(),
                code: code.to_owned(),
                timeout: properties["Timeout"].as_i64()?,
                memory: properties["MemorySize"].as_i64()?,
            };
            Some((properties["FunctionName"].as_str()?.to_owned(), look))
        })
        .collect()
}

/// One function with its role and log group.
struct Part<'a> {
    id: &'static str,
    function: &'a str,
    /// The binary's part to play.
    what: &'static str,
    statements: Vec<Value>,
    environment: Value,
}

impl Part<'_> {
    fn add_to(self, template: &mut Value, subnets: &BTreeSet<String>) {
        let Self { id, function, what, mut statements, mut environment } = self;
        environment[env::FUNCTION] = json!(what);
        let (role, logs) = (format!("{id}Role"), format!("{id}Logs"));
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": { "Fn::GetAtt": [logs, "Arn"] },
        }));
        // What Lambda needs to attach a function to a VPC; none of it takes a resource (see the managed
        // policy AWSLambdaVPCAccessExecutionRole).
        statements.push(json!({
            "Effect": "Allow",
            "Action": [
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ],
            "Resource": "*",
        }));
        let resources = &mut template["Resources"];
        resources[&logs] = json!({
            "Type": "AWS::Logs::LogGroup",
            "Properties": { "LogGroupName": FunctionNames::log_group(function), "RetentionInDays": LOG_DAYS },
        });
        resources[&role] = json!({
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": { "Service": "lambda.amazonaws.com" },
                        "Action": "sts:AssumeRole",
                    }],
                },
                "Policies": [{
                    "PolicyName": what,
                    "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
                }],
            },
        });
        resources[format!("{id}Function")] = json!({
            "Type": "AWS::Lambda::Function",
            // Without it the function could make its log group first, without the retention.
            "DependsOn": [logs],
            "Properties": {
                "FunctionName": function,
                "Description": format!("pgrotate {what}"),
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Architectures": ["x86_64"],
                "Role": { "Fn::GetAtt": [role, "Arn"] },
                "Code": { "S3Bucket": { "Ref": CODE_BUCKET }, "S3Key": { "Ref": CODE_KEY } },
                "MemorySize": MEMORY_MIB,
                "Timeout": FUNCTION_TIMEOUT_SECONDS,
                "VpcConfig": { "SubnetIds": subnets, "SecurityGroupIds": [{ "Ref": FUNCTION_GROUP }] },
                "Environment": { "Variables": environment },
            },
        });
    }
}
