//! Secrets Manager, behind the four calls a rotation needs.

use crate::event::RotationToken;
use crate::secret::SecretText;
use aws_config::BehaviorVersion;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// Labels that AWS defines.
pub mod label {
    pub const CURRENT: &str = "AWSCURRENT";
    pub const PENDING: &str = "AWSPENDING";
    pub const PREVIOUS: &str = "AWSPREVIOUS";
}

/// AWS's error code for a secret, version or value that is not there.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// AWS's error code for a token that already holds another value.
const EXISTS: &str = "ResourceExistsException";

/// What DescribeSecret tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    /// None: rotation was never set up.
    pub rotation_enabled: Option<bool>,
    /// Labels of every labelled version.
    pub versions: BTreeMap<String, BTreeSet<String>>,
}

impl SecretInfo {
    /// The version a label is on.
    pub fn version_with(&self, label: &str) -> Option<&str> {
        self.versions.iter().find(|(_, labels)| labels.contains(label)).map(|(version, _)| version.as_str())
    }

    /// Whether `version` carries `label`.
    pub fn has(&self, version: &str, label: &str) -> bool {
        self.versions.get(version).is_some_and(|labels| labels.contains(label))
    }
}

/// A version with its value.
pub struct Stored {
    pub version: String,
    pub labels: BTreeSet<String>,
    pub text: SecretText,
}

/// Which version to read.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    Version(&'a str),
    Label(&'a str),
}

/// What came of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// The version already holds a value, which stays.
    AlreadyThere,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("secretsmanager:{operation} on {secret} failed: {cause}")]
pub struct StoreError {
    pub operation: &'static str,
    pub secret: String,
    pub cause: StoreCause,
}

/// Whether AWS answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreCause {
    #[error("{code}: {message}")]
    Answer { code: String, message: String },
    /// None within the retries and time-outs: in a VPC, most often a missing endpoint or a security group.
    #[error("no usable answer ({0}); from inside a VPC it takes an endpoint for Secrets Manager, or a NAT")]
    NoAnswer(String),
}

impl StoreError {
    fn is(&self, wanted: &str) -> bool {
        matches!(&self.cause, StoreCause::Answer { code, .. } if code == wanted)
    }
}

/// Where secrets are kept.
///
/// An implementation keeps AWS's rules: a put under a token that has a value is refused, a label is on
/// one version at a time, moving AWSCURRENT moves AWSPREVIOUS, the first value of a secret gets AWSCURRENT.
pub trait SecretStore: Sync {
    /// Tags, labels and rotation state; the current truth, unlike ListSecrets.
    fn describe(&self, secret: &str) -> impl Future<Output = Result<SecretInfo, StoreError>> + Send;

    /// The value of a version; None when there is no such version, or it holds no value.
    fn get(&self, secret: &str, which: Which<'_>) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Puts a value under a token, with one label. Never replaces a value.
    fn put(
        &self,
        secret: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        rotation_token: Option<&RotationToken>,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// Moves a label, comparing first: it fails when the label is not on `from`. Without `to` it is removed.
    fn move_label(
        &self,
        secret: &str,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Time limits of one call: an endpoint answers in milliseconds, and a route that leads nowhere must not
/// use up the function's time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// Tries of one call; throttling (50 writes a second in an account) is retried by the SDK.
const ATTEMPTS: u32 = 4;

/// Secrets Manager as the function's environment names it: region, credentials, endpoint.
pub async fn from_env() -> AwsStore {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let shared = aws_config::defaults(BehaviorVersion::latest())
        // Lambda's credentials are in the environment and nowhere else.
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .region(EnvironmentVariableRegionProvider::new())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await;
    AwsStore::new(Client::new(&shared))
}

/// AWS's own.
#[derive(Debug, Clone)]
pub struct AwsStore(Client);

impl AwsStore {
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

fn failed<E, R>(operation: &'static str, secret: &str, error: SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let cause = match error.code() {
        Some(code) => StoreCause::Answer {
            code: code.to_owned(),
            message: error.message().unwrap_or("AWS gave no message").to_owned(),
        },
        // Never `{:?}`, which would show the response.
        None => StoreCause::NoAnswer(chain(&error)),
    };
    StoreError { operation, secret: secret.to_owned(), cause }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl SecretStore for AwsStore {
    async fn describe(&self, secret: &str) -> Result<SecretInfo, StoreError> {
        let answer = self.0.describe_secret().secret_id(secret).send().await;
        let answer = answer.map_err(|error| failed("DescribeSecret", secret, error))?;
        let tags = answer.tags.unwrap_or_default();
        let versions = answer.version_ids_to_stages.unwrap_or_default();
        Ok(SecretInfo {
            arn: answer.arn.unwrap_or_default(),
            tags: tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
            rotation_enabled: answer.rotation_enabled,
            versions: versions.into_iter().map(|(version, labels)| (version, labels.into_iter().collect())).collect(),
        })
    }

    async fn get(&self, secret: &str, which: Which<'_>) -> Result<Option<Stored>, StoreError> {
        let call = self.0.get_secret_value().secret_id(secret);
        let call = match which {
            Which::Version(version) => call.version_id(version),
            Which::Label(label) => call.version_stage(label),
        };
        let answer = match call.send().await.map_err(|error| failed("GetSecretValue", secret, error)) {
            Ok(answer) => answer,
            Err(error) if error.is(NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = answer.secret_string.filter(|text| !text.is_empty());
        Ok(answer.version_id.zip(text).map(|(version, text)| Stored {
            version,
            labels: answer.version_stages.unwrap_or_default().into_iter().collect(),
            text: SecretText::new(text),
        }))
    }

    async fn put(
        &self,
        secret: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        rotation_token: Option<&RotationToken>,
    ) -> Result<Put, StoreError> {
        let call = self.0.put_secret_value().secret_id(secret).client_request_token(token);
        let call = call.secret_string(text.expose()).version_stages(label);
        let call = call.set_rotation_token(rotation_token.map(|token| token.expose().to_owned()));
        match call.send().await.map_err(|error| failed("PutSecretValue", secret, error)) {
            Ok(_) => Ok(Put::Stored),
            Err(error) if error.is(EXISTS) => Ok(Put::AlreadyThere),
            Err(error) => Err(error),
        }
    }

    async fn move_label(
        &self,
        secret: &str,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        let call = self.0.update_secret_version_stage().secret_id(secret).version_stage(label);
        let call =
            call.set_move_to_version_id(to.map(str::to_owned)).set_remove_from_version_id(from.map(str::to_owned));
        call.send().await.map_err(|error| failed("UpdateSecretVersionStage", secret, error))?;
        Ok(())
    }
}
