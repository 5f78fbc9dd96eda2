//! One look at AWS: several kinds ask for the same thing (a secret is described for `secret`, `login` and
//! `rotation`), and each thing is asked of AWS once.

use super::groups::GroupsLook;
use super::{Aws, AwsError, absent, call};
use crate::model::Tags;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::{OnceCell, Semaphore};

/// A secret's metadata; its values are never read.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretLook {
    pub arn: String,
    pub description: String,
    pub tags: Tags,
    /// Set while the recovery window runs, Unix seconds. Whether that is its begin or its end, AWS's documents say otherwise of
    /// DescribeSecret than of ListSecrets.
    pub deleted: Option<i64>,
    /// The customer's key that encrypts its values; None: AWS's own.
    pub key: Option<String>,
    /// Labels by version.
    pub versions: BTreeMap<String, BTreeSet<String>>,
    pub rotation_enabled: bool,
    pub rotation_function: Option<String>,
    pub every_days: Option<i64>,
    pub schedule: Option<String>,
    /// As AWS writes it, such as `2h`.
    pub window: Option<String>,
    /// When it, or a version of it, was last changed, Unix seconds.
    pub changed: Option<i64>,
    /// Unix seconds.
    pub last_rotated: Option<i64>,
    pub next_rotation: Option<i64>,
}

impl SecretLook {
    /// The version that carries `label`.
    pub fn labelled(&self, label: &str) -> Option<&str> {
        self.versions.iter().find(|(_, labels)| labels.contains(label)).map(|(version, _)| version.as_str())
    }

    /// The version of a rotation that is under way or stuck: AWSPENDING elsewhere than on AWSCURRENT.
    pub fn pending(&self) -> Option<&str> {
        self.labelled("AWSPENDING").filter(|version| Some(*version) != self.labelled("AWSCURRENT"))
    }
}

/// What one answer of DescribeDBInstances holds of an instance.
pub type InstanceLook = aws_sdk_rds::types::DbInstance;

/// What one answer of DescribeDBClusters holds of a cluster.
pub type ClusterLook = aws_sdk_rds::types::DbCluster;

/// What one answer of DescribeStacks holds of a stack.
pub type StackLook = aws_sdk_cloudformation::types::Stack;

pub(super) type Once<T> = Arc<OnceCell<T>>;

/// One look at AWS. Make a new one for every observation.
pub struct Look<'a> {
    pub aws: &'a Aws,
    secrets: Mutex<HashMap<String, Once<Option<SecretLook>>>>,
    instances: Mutex<HashMap<String, Once<Option<InstanceLook>>>>,
    clusters: Mutex<HashMap<String, Once<Option<ClusterLook>>>>,
    groups: Mutex<HashMap<String, Once<GroupsLook>>>,
    stacks: Mutex<HashMap<String, Once<Option<StackLook>>>>,
    describing: Semaphore,
}

/// Secrets described at once. Secrets Manager answers thousands a second
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html); but more connections would be
/// opened for one question each.
const DESCRIBING: usize = 16;

impl<'a> Look<'a> {
    pub fn new(aws: &'a Aws) -> Self {
        Self {
            aws,
            secrets: Mutex::default(),
            instances: Mutex::default(),
            clusters: Mutex::default(),
            groups: Mutex::default(),
            stacks: Mutex::default(),
            describing: Semaphore::new(DESCRIBING),
        }
    }

    /// A secret by name, pending deletion or not.
    pub async fn secret(&self, name: &str) -> Result<Option<SecretLook>, AwsError> {
        let cell = once(&self.secrets, name);
        let describe = async || {
            let _turn = self.describing.acquire().await;
            describe_secret(self.aws, name).await
        };
        cell.get_or_try_init(describe).await.cloned()
    }

    pub(super) fn once_groups(&self, key: &str) -> Once<GroupsLook> {
        once(&self.groups, key)
    }

    pub async fn instance(&self, identifier: &str) -> Result<Option<InstanceLook>, AwsError> {
        let cell = once(&self.instances, identifier);
        cell.get_or_try_init(|| describe_instance(self.aws, identifier)).await.cloned()
    }

    pub async fn cluster(&self, identifier: &str) -> Result<Option<ClusterLook>, AwsError> {
        let cell = once(&self.clusters, identifier);
        cell.get_or_try_init(|| describe_cluster(self.aws, identifier)).await.cloned()
    }

    /// A stack by name; one that is deleted is none.
    pub async fn stack(&self, name: &str) -> Result<Option<StackLook>, AwsError> {
        let cell = once(&self.stacks, name);
        cell.get_or_try_init(|| describe_stack(self.aws, name)).await.cloned()
    }
}

fn once<T>(map: &Mutex<HashMap<String, Once<T>>>, key: &str) -> Once<T> {
    // A panic elsewhere cannot leave the map half-changed: each use is one insertion.
    let mut map = map.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    map.entry(key.to_owned()).or_default().clone()
}

async fn describe_secret(aws: &Aws, name: &str) -> Result<Option<SecretLook>, AwsError> {
    let describe = call("secretsmanager", "DescribeSecret");
    let answer = aws.secrets.describe_secret().secret_id(name).send().await.map_err(|error| describe.failed(error));
    let Some(answer) = absent(answer, &["ResourceNotFoundException"])? else { return Ok(None) };
    let rules = answer.rotation_rules();
    Ok(Some(SecretLook {
        arn: describe.expect(answer.arn(), "ARN")?.to_owned(),
        description: answer.description().unwrap_or_default().to_owned(),
        tags: super::tags(answer.tags().iter().map(|tag| (tag.key(), tag.value()))),
        deleted: answer.deleted_date().map(|date| date.secs()),
        key: answer.kms_key_id().filter(|key| !is_aws_s_own(key)).map(str::to_owned),
        versions: answer
            .version_ids_to_stages()
            .into_iter()
            .flatten()
            .map(|(version, labels)| (version.clone(), labels.iter().cloned().collect()))
            .collect(),
        rotation_enabled: answer.rotation_enabled().unwrap_or(false),
        rotation_function: answer.rotation_lambda_arn().filter(|arn| !arn.is_empty()).map(str::to_owned),
        every_days: rules.and_then(|rules| rules.automatically_after_days()),
        schedule: rules.and_then(|rules| rules.schedule_expression()).map(str::to_owned),
        window: rules.and_then(|rules| rules.duration()).map(str::to_owned),
        changed: answer.last_changed_date().map(|date| date.secs()),
        last_rotated: answer.last_rotated_date().map(|date| date.secs()),
        next_rotation: answer.next_rotation_date().map(|date| date.secs()),
    }))
}

/// AWS leaves out its own key, `aws/secretsmanager`, or names it by that alias
/// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html).
fn is_aws_s_own(key: &str) -> bool {
    key.is_empty() || key.ends_with("alias/aws/secretsmanager")
}

async fn describe_instance(aws: &Aws, identifier: &str) -> Result<Option<InstanceLook>, AwsError> {
    let describe = call("rds", "DescribeDBInstances");
    let answer = aws
        .rds
        .describe_db_instances()
        .db_instance_identifier(identifier)
        .send()
        .await
        .map_err(|error| describe.failed(error));
    // The API model's wire code is DBInstanceNotFound; older endpoints add `Fault`.
    let Some(answer) = absent(answer, &["DBInstanceNotFound", "DBInstanceNotFoundFault"])? else {
        return Ok(None);
    };
    Ok(answer.db_instances().first().cloned())
}

async fn describe_cluster(aws: &Aws, identifier: &str) -> Result<Option<ClusterLook>, AwsError> {
    let describe = call("rds", "DescribeDBClusters");
    let request = aws.rds.describe_db_clusters().db_cluster_identifier(identifier);
    let answer = request.send().await.map_err(|error| describe.failed(error));
    // The API model's wire code; without `Fault` it would be in line with that of instances.
    let Some(answer) = absent(answer, &["DBClusterNotFoundFault", "DBClusterNotFound"])? else { return Ok(None) };
    Ok(answer.db_clusters().first().cloned())
}

async fn describe_stack(aws: &Aws, name: &str) -> Result<Option<StackLook>, AwsError> {
    let describe = call("cloudformation", "DescribeStacks");
    let answer =
        aws.cloudformation.describe_stacks().stack_name(name).send().await.map_err(|error| describe.failed(error));
    // CloudFormation says ValidationError of a stack that does not exist. The request holds only a name
    // that the config has checked, so nothing else in it can be invalid.
    let Some(answer) = absent(answer, &["ValidationError"])? else { return Ok(None) };
    let Some(stack) = answer.stacks().first() else { return Ok(None) };
    let status = describe.expect(stack.stack_status(), "StackStatus")?;
    // A deleted stack is still found by its id, never by name, except in the moment of deletion.
    Ok((status.as_str() != "DELETE_COMPLETE").then(|| stack.clone()))
}
