//! What was changed or deleted behind the stack, as CloudFormation's own drift detection tells it, and the change set
//! that puts it back: an update with an unchanged template would mend nothing
//! (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html).

use super::Desired;
use super::live::{parameter_names, updated, with_others};
use crate::aws::{Aws, Look, call};
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::resources::LiveError;
use aws_sdk_cloudformation::types::{
    Capability, ChangeSetStatus, DeploymentMode, ExecutionStatus, Parameter, StackDriftDetectionStatus,
    StackDriftStatus, StackResourceDrift, StackResourceDriftStatus,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// All that a detection found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behind {
    /// By its id in the template.
    pub moved: BTreeMap<String, Moved>,
    /// Why not all could be told.
    pub unseen: Option<String>,
}

/// A resource of the stack's that is not as its template says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub part: Part,
    /// Where it is there: the properties that differ. Their values are not told: somebody may have put a secret there.
    pub properties: Option<BTreeSet<String>>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.properties {
            None => f.write_str("deleted"),
            Some(properties) => {
                let properties: Vec<_> = properties.iter().map(String::as_str).collect();
                write!(f, "changed in {}", properties.join(", "))
            }
        }
    }
}

/// What a resource of the stack's is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Role,
    Permission,
    /// An alarm, or the rule for Secrets Manager's events.
    Alert,
    Log,
    Function,
}

impl Part {
    pub const ALL: [Self; 5] = [Self::Role, Self::Permission, Self::Alert, Self::Log, Self::Function];

    /// The template has no other types.
    fn of(resource_type: &str) -> Self {
        match resource_type {
            "AWS::IAM::Role" => Self::Role,
            "AWS::Lambda::Permission" => Self::Permission,
            "AWS::CloudWatch::Alarm" | "AWS::Events::Rule" => Self::Alert,
            "AWS::Logs::LogGroup" => Self::Log,
            _ => Self::Function,
        }
    }

    pub fn code(self) -> DriftCode {
        match self {
            Self::Role => DriftCode::PolicyChanged,
            Self::Permission => DriftCode::PermissionChanged,
            Self::Alert => DriftCode::AlertChanged,
            Self::Log => DriftCode::LogGroupChanged,
            Self::Function => DriftCode::FunctionConfiguration,
        }
    }

    /// Whether a look at the functions themselves tells of `property`.
    fn is_seen(self, property: &str) -> bool {
        let seen = ["Code", "Environment", "Timeout", "MemorySize"];
        self == Self::Function && seen.contains(&property.split('/').next().unwrap_or_default())
    }
}

/// The states of a stack in which CloudFormation detects drift
/// (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html). In UPDATE_ROLLBACK_FAILED it
/// does too, and such a stack is refused before anything of it is looked at.
pub(super) const AT_REST: [&str; 3] = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"];

/// A detection takes "up to several minutes" (API reference, DetectStackDrift); ours has some fifteen resources.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Pauses between two looks at a detection, shortest and longest.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Detects what has moved behind the stack, which is at rest.
pub(super) async fn detect(aws: &Aws, stack: &str) -> Result<Behind, LiveError> {
    let began = Instant::now();
    let mut pause = POLL.0;
    let unseen = |why: String| Behind { unseen: Some(why), ..Behind::default() };
    let id = loop {
        let detect = call("cloudformation", "DetectStackDrift");
        let answer = aws.cloudformation.detect_stack_drift().stack_name(stack).send().await;
        match answer.map_err(|error| detect.failed(error)) {
            Ok(answer) => break detect.expect(answer.stack_drift_detection_id(), "StackDriftDetectionId")?.to_owned(),
            // Refused so are a stack that somebody has begun to change, and one at which somebody else's detection is
            // at work: only one is at a time.
            Err(error) if error.is(&["ValidationError"]) => {
                let live = Look::new(aws).stack(stack).await?;
                let status = live.as_ref().and_then(|live| live.stack_status()).map(|status| status.as_str());
                match status {
                    Some(status) if AT_REST.contains(&status) && began.elapsed() < PATIENCE => {}
                    Some(status) if AT_REST.contains(&status) => return Err(error.into()),
                    status => return Ok(unseen(format!("the stack is {}", status.unwrap_or("gone")))),
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL.1);
    };
    let mut pause = POLL.0;
    let done = loop {
        let describe = call("cloudformation", "DescribeStackDriftDetectionStatus");
        let request = aws.cloudformation.describe_stack_drift_detection_status().stack_drift_detection_id(&id);
        let answer = request.send().await.map_err(|error| describe.failed(error))?;
        match answer.detection_status() {
            Some(StackDriftDetectionStatus::DetectionInProgress) if began.elapsed() < PATIENCE => {}
            Some(StackDriftDetectionStatus::DetectionInProgress) => {
                return Ok(unseen(format!("the detection has not ended within {} s", PATIENCE.as_secs())));
            }
            _ => break answer,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL.1);
    };
    // What could not be read is no reason to keep silent about what could.
    let failed = done.detection_status() == Some(&StackDriftDetectionStatus::DetectionFailed);
    let unseen = failed.then(|| done.detection_status_reason().unwrap_or("it does not say why").to_owned());
    if done.stack_drift_status() == Some(&StackDriftStatus::InSync) {
        return Ok(Behind { moved: BTreeMap::new(), unseen });
    }
    let describe = call("cloudformation", "DescribeStackResourceDrifts");
    let request = aws.cloudformation.describe_stack_resource_drifts().stack_name(stack);
    let request = request
        .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
        .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted);
    let pages = request.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = pages.map_err(|error| describe.failed(error))?;
    let drifts = pages.iter().flat_map(|page| page.stack_resource_drifts());
    Ok(Behind { moved: drifts.filter_map(moved).collect(), unseen })
}

fn moved(drift: &StackResourceDrift) -> Option<(String, Moved)> {
    let part = Part::of(drift.resource_type().unwrap_or_default());
    let properties = match drift.stack_resource_drift_status()? {
        StackResourceDriftStatus::Deleted => None,
        _ => Some(
            drift
                .property_differences()
                .iter()
                .filter(|each| !same(each.expected_value().unwrap_or_default(), each.actual_value().unwrap_or_default()))
                .filter_map(|each| Some(each.property_path()?.trim_start_matches('/').to_owned()))
                .filter(|property| !part.is_seen(property))
                .collect::<BTreeSet<_>>(),
        ),
    };
    // A function that is gone is told by the look at it, too.
    let told = properties.as_ref().map_or(part == Part::Function, BTreeSet::is_empty);
    (!told).then(|| drift.logical_resource_id().map(|id| (id.to_owned(), Moved { part, properties })))?
}

/// Whether two values of a property mean the same. A service may give back a number as text, one value in the place of
/// a list of one, and lists and keys in another order; CloudFormation calls that drift
/// (docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-model-false-drift.html), and no repair would
/// ever end it.
fn same(one: &str, other: &str) -> bool {
    let read = |text: &str| normal(&serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)));
    read(one) == read(other)
}

fn normal(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) => number(&value.to_string()),
        Value::String(text) => number(text),
        Value::Array(values) => {
            let mut values: Vec<_> = values.iter().map(normal).collect();
            values.sort_by_key(Value::to_string);
            if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
        }
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object.iter().map(|(key, value)| (key.clone(), normal(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
    }
}

/// `1`, `1.0` and their texts are one number.
fn number(text: &str) -> Value {
    match text.parse::<f64>() {
        Ok(number) => Value::from(number.to_string()),
        Err(_) => Value::from(text),
    }
}

/// What the names of our change sets begin with.
const CHANGE_SET: &str = "pgrotate-revert-";

/// Puts back what was changed behind the stack: a change set is made, looked at again, and executed. One that an apply
/// has left which was stopped in between serves as well: where the stack has changed since, it is obsolete.
pub(super) async fn revert(aws: &Aws, want: &Desired) -> Result<Applied, LiveError> {
    let not_yet = |saying: &str| Ok(Applied::NotYet { saying: saying.to_owned() });
    let list = call("cloudformation", "ListChangeSets");
    let pages = aws.cloudformation.list_change_sets().stack_name(&want.name).into_paginator().send();
    let pages = pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| list.failed(error))?;
    let ours = pages.iter().flat_map(|page| page.summaries()).filter(|each| {
        let open = matches!(
            each.execution_status(),
            None | Some(ExecutionStatus::Available | ExecutionStatus::Unavailable)
        );
        open && each.change_set_name().is_some_and(|name| name.starts_with(CHANGE_SET))
    });
    let Some(found) = ours.max_by_key(|each| each.creation_time().map(|time| time.as_nanos())) else {
        return create(aws, want).await;
    };
    let name = found.change_set_name().unwrap_or_default();
    match found.status() {
        Some(ChangeSetStatus::CreateComplete) if found.execution_status() == Some(&ExecutionStatus::Available) => {
            let execute = call("cloudformation", "ExecuteChangeSet");
            let request = aws.cloudformation.execute_change_set().stack_name(&want.name).change_set_name(name);
            let request = request.client_request_token(uuid::Uuid::new_v4().to_string());
            match request.send().await.map_err(|error| execute.failed(error)) {
                // Another apply was quicker.
                Err(error) if error.is(&["InvalidChangeSetStatus", "ChangeSetNotFound", "ChangeSetNotFoundException"]) => {
                    not_yet("CloudFormation has taken the change set away")
                }
                answer => updated(aws, want, answer).await,
            }
        }
        Some(ChangeSetStatus::Failed) => {
            let delete = call("cloudformation", "DeleteChangeSet");
            let request = aws.cloudformation.delete_change_set().stack_name(&want.name).change_set_name(name);
            request.send().await.map_err(|error| delete.failed(error))?;
            // One that changes nothing fails as well, and only its text would tell that from anything else.
            if detect(aws, &want.name).await?.moved.is_empty() {
                return Ok(Applied::Accepted);
            }
            let why = found.status_reason().unwrap_or("it does not say why");
            Err(call("cloudformation", "CreateChangeSet").unexpected(format!("the change set failed: {why}")).into())
        }
        _ => not_yet("CloudFormation compares the stack with what there is"),
    }
}

async fn create(aws: &Aws, want: &Desired) -> Result<Applied, LiveError> {
    let create = call("cloudformation", "CreateChangeSet");
    let same = |name: &str| Parameter::builder().parameter_key(name).use_previous_value(true).build();
    let request = aws
        .cloudformation
        .create_change_set()
        .stack_name(&want.name)
        .change_set_name(format!("{CHANGE_SET}{}", uuid::Uuid::new_v4()))
        .description("pgrotate: puts back what was changed behind the stack")
        .use_previous_template(true)
        .set_parameters(Some(parameter_names().map(same).to_vec()))
        .set_tags(Some(with_others(aws, want).await?))
        .capabilities(Capability::CapabilityIam)
        .deployment_mode(DeploymentMode::RevertDrift)
        .client_token(uuid::Uuid::new_v4().to_string());
    match request.send().await.map_err(|error| create.failed(error)) {
        // An answer was lost, and asked for again.
        Err(error) if !error.is(&["AlreadyExistsException"]) => updated::<()>(aws, want, Err(error)).await,
        _ => Ok(Applied::NotYet { saying: "CloudFormation compares the stack with what there is".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudformation::types::{DifferenceType, PropertyDifference};

    #[test]
    fn what_means_the_same_is_no_drift() {
        for (one, other) in [
            ("300", "\"300\""),
            ("1", "1.0"),
            ("\"1.0\"", "1"),
            ("true", "\"true\""),
            (r#"["a"]"#, r#""a""#),
            (r#"["a","b"]"#, r#"["b","a"]"#),
            (r#"{"a":{"b":["c"],"d":1}}"#, r#"{"a":{"d":"1","b":"c"}}"#),
            ("plain text", "plain text"),
        ] {
            assert!(same(one, other), "{one} and {other}");
        }
        for (one, other) in [("300", "60"), (r#"["a"]"#, r#"["a","b"]"#), (r#"{"a":1}"#, r#"{"a":1,"b":2}"#), ("null", "\"x\"")] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }

    fn drift(kind: &str, status: StackResourceDriftStatus, differences: &[(&str, &str, &str)]) -> StackResourceDrift {
        let difference = |(path, expected, actual): &(&str, &str, &str)| {
            PropertyDifference::builder()
                .property_path(*path)
                .expected_value(*expected)
                .actual_value(*actual)
                .difference_type(DifferenceType::NotEqual)
                .build()
        };
        StackResourceDrift::builder()
            .stack_id("stack")
            .logical_resource_id("It")
            .resource_type(kind)
            .stack_resource_drift_status(status)
            .set_property_differences(Some(differences.iter().map(difference).collect()))
            .timestamp(aws_smithy_types::DateTime::from_secs(0))
            .build()
    }

    #[test]
    fn what_a_look_at_the_functions_tells_is_told_once() {
        let modified = StackResourceDriftStatus::Modified;
        let function = "AWS::Lambda::Function";
        assert_eq!(moved(&drift(function, modified.clone(), &[("/Timeout", "60", "3")])), None);
        assert_eq!(moved(&drift(function, StackResourceDriftStatus::Deleted, &[])), None);
        let all = [("/Environment/Variables/A", "1", "a secret"), ("/VpcConfig/SubnetIds/0", "a", "b")];
        let (id, found) = moved(&drift(function, modified.clone(), &all)).expect("it has moved");
        assert_eq!((id.as_str(), found.to_string().as_str()), ("It", "changed in VpcConfig/SubnetIds/0"));
        let gone = moved(&drift("AWS::IAM::Role", StackResourceDriftStatus::Deleted, &[])).expect("it is gone");
        assert_eq!((gone.1.part, gone.1.to_string().as_str()), (Part::Role, "deleted"));
        // Told as drift, and none.
        assert_eq!(moved(&drift("AWS::CloudWatch::Alarm", modified, &[("/Threshold", "1", "1")])), None);
    }
}
