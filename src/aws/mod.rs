//! Clients of the AWS services we use, one account and region. Endpoints, profiles and credentials come
//! from where every AWS tool takes them.

mod error;
mod groups;
mod look;
mod network;

pub use error::{AwsError, Call, absent, call};
pub use groups::{EndpointLook, GroupLook, TaggedLook, ec2_tags};
pub use look::{InstanceLook, Look, SecretLook};
pub use network::{NetworkLook, NetworkQuestion, ServiceEndpoint, SubnetLook, VpcLook, WayOut};

use aws_config::{AppName, BehaviorVersion, Region, retry::RetryConfig};

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

impl Aws {
    pub fn place(&self) -> crate::model::Place {
        crate::model::Place {
            partition: self.partition.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
        }
    }

    /// Loads credentials for `region` and asks AWS whose they are: one call.
    pub async fn connect(region: &str) -> Result<Self, AwsError> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            // Five attempts, backing off to at most 20 s: control-plane throttles of a busy account pass
            // within that, and a person is told within half a minute when they do not.
            .retry_config(RetryConfig::standard().with_max_attempts(5))
            .app_name(app_name())
            .load()
            .await;
        let whoami = call("sts", "GetCallerIdentity");
        let identity =
            aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.map_err(|e| whoami.failed(e))?;
        let arn = whoami.expect(identity.arn(), "Arn")?;
        Ok(Self {
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            rds: aws_sdk_rds::Client::new(&config),
            s3: aws_sdk_s3::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            account: whoami.expect(identity.account(), "Account")?.to_owned(),
            region: region.to_owned(),
            partition: arn.split(':').nth(1).unwrap_or("aws").to_owned(),
        })
    }
}

impl Aws {
    /// The versions of PostgreSQL of one major that RDS offers here for new instances, as RDS writes them.
    pub async fn postgres_versions(&self, major: u32) -> Result<Vec<String>, AwsError> {
        let describe = call("rds", "DescribeDBEngineVersions");
        let request = self.rds.describe_db_engine_versions().engine("postgres").engine_version(major.to_string());
        let found =
            request.into_paginator().items().send().try_collect().await.map_err(|error| describe.failed(error))?;
        Ok(found.iter().filter_map(|version| version.engine_version()).map(str::to_owned).collect())
    }
}

fn app_name() -> AppName {
    AppName::new("pgrotate").unwrap_or_else(|_| unreachable!("the name has only letters"))
}
