//! Clients of the AWS services we use, one account and region. Endpoints, profiles and credentials come
//! from where every AWS tool takes them.

mod calls;
mod error;
mod groups;
mod look;
mod network;
mod patience;
mod proxies;
mod role;
mod survey;

pub use error::{AwsError, Call, absent, call};
pub use groups::{EndpointLook, GroupLook, GroupsLook, TaggedLook, ec2_tags};
pub use look::{ClusterLook, InstanceLook, Look, SecretLook, StackLook};
pub use network::{Candidate, NetworkLook, NetworkQuestion, ServiceEndpoint, SubnetLook, VpcLook, WayOut};
pub use patience::{Pace, Rate};
pub use proxies::{ProxyAuth, ProxyLook};
pub use survey::{DatabaseFound, GroupFound, SubnetFound, SubnetGroupFound, VpcFound, default_region};

use crate::model::Tags;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::interceptors::InterceptorContext;
use aws_sdk_sts::config::retry::{ClassifyRetry, RetryAction};
use calls::Calls;
use std::error::Error;

/// RDS's code where there is no DB subnet group of a name; on the wire with and without "Fault".
pub const NO_SUBNET_GROUP: &[&str] = &["DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound"];

/// Clients, and who they act as.
#[derive(Debug, Clone)]
pub struct Aws {
    pub cloudformation: aws_sdk_cloudformation::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub rds: aws_sdk_rds::Client,
    pub s3: aws_sdk_s3::Client,
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Twelve digits.
    pub account: String,
    pub region: String,
    /// `aws`, `aws-cn` or `aws-us-gov`: the second part of every ARN.
    pub partition: String,
}

/// Tags as every service lists them: pairs of a key and a value, each of which the API model calls optional.
pub fn tags<'a>(pairs: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Tags {
    pairs.filter_map(|(key, value)| Some((key?.to_owned(), value.unwrap_or_default().to_owned()))).collect()
}

impl Aws {
    pub fn place(&self) -> crate::model::Place {
        crate::model::Place {
            partition: self.partition.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
        }
    }

    /// Loads credentials for `region` and asks AWS whose they are: one call. `role` is the ARN of a role to be assumed with
    /// them, unless they are a session of it already: one call more.
    pub async fn connect(region: &str, role: Option<&str>) -> Result<Self, AwsError> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .retry_config(patience::retries())
            .timeout_config(patience::timeouts())
            .app_name(app_name())
            .load()
            .await;
        let whoami = call("sts", "GetCallerIdentity");
        let sts =
            aws_sdk_sts::config::Builder::from(&config).retry_classifier(NobodyListens).interceptor(Calls).build();
        let sts = aws_sdk_sts::Client::from_conf(sts);
        let identity = sts.get_caller_identity().send().await;
        let identity = identity.map_err(|error| whoami.failed(error))?;
        let caller = whoami.expect(identity.arn(), "Arn")?;
        let account = whoami.expect(identity.account(), "Account")?;
        match role {
            Some(role) if !role::is_session_of(caller, role) => {
                let config = role::assume(&config, &sts, role, caller).await?;
                // As an ARN has it: the config has seen to that.
                Ok(Self::new(&config, region, role, role.split(':').nth(4).unwrap_or_default()))
            }
            _ => Ok(Self::new(&config, region, caller, account)),
        }
    }

    /// `arn` is of who calls, or of the role as which.
    fn new(config: &SdkConfig, region: &str, arn: &str, account: &str) -> Self {
        /// A client that tells of its calls.
        macro_rules! client {
            ($service:ident $(, $timeouts:expr)?) => {
                $service::Client::from_conf(
                    $service::config::Builder::from(config)$(.timeout_config($timeouts))?.interceptor(Calls).build(),
                )
            };
        }
        Self {
            cloudformation: client!(aws_sdk_cloudformation),
            ec2: client!(aws_sdk_ec2),
            lambda: client!(aws_sdk_lambda, patience::function_timeouts()),
            logs: client!(aws_sdk_cloudwatchlogs),
            rds: client!(aws_sdk_rds),
            s3: client!(aws_sdk_s3, patience::upload_timeouts()),
            secrets: client!(aws_sdk_secretsmanager),
            account: account.to_owned(),
            region: region.to_owned(),
            partition: arn.split(':').nth(1).unwrap_or("aws").to_owned(),
        }
    }
}

impl Aws {
    /// The versions of PostgreSQL of one major that RDS offers here for new instances, as RDS writes them.
    pub async fn postgres_versions(&self, major: u32) -> Result<Vec<String>, AwsError> {
        self.versions(Some(major.to_string())).await
    }

    /// Those of all majors.
    pub async fn all_postgres_versions(&self) -> Result<Vec<String>, AwsError> {
        self.versions(None).await
    }

    async fn versions(&self, major: Option<String>) -> Result<Vec<String>, AwsError> {
        let describe = call("rds", "DescribeDBEngineVersions");
        let request = self.rds.describe_db_engine_versions().engine("postgres").set_engine_version(major);
        let found =
            request.into_paginator().items().send().try_collect().await.map_err(|error| describe.failed(error))?;
        Ok(found.iter().filter_map(|version| version.engine_version()).map(str::to_owned).collect())
    }
}

/// Where nobody listens, nobody will in ten seconds: a wrong endpoint or a sandbox that has ended, and the first
/// call says so at once. What is throttled, cut off or answered with an error of the server's is asked again.
#[derive(Debug)]
struct NobodyListens;

impl ClassifyRetry for NobodyListens {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        let mut next = error.as_connector_error().map(|error| error as &(dyn Error + 'static));
        while let Some(error) = next {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
                return RetryAction::RetryForbidden;
            }
            next = error.source();
        }
        RetryAction::NoActionIndicated
    }

    fn name(&self) -> &'static str {
        "nobody listens"
    }
}

fn app_name() -> AppName {
    AppName::new("pgrotate").unwrap_or_else(|_| unreachable!("the name has only letters"))
}
