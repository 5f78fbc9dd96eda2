//! The network a deployment stands in: nothing of it is ours, all of it must be there.

use super::{Aws, AwsError, absent, call};
use aws_sdk_ec2::types::{Filter, VpcAttributeName};
use std::collections::BTreeMap;

/// What the desired model needs to know of the VPC.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkLook {
    /// None: there is no such VPC.
    pub vpc: Option<VpcLook>,
    /// Subnets that exist, of those that were asked for.
    pub subnets: BTreeMap<String, SubnetLook>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VpcLook {
    /// All IPv4 CIDRs in use, in order.
    pub cidrs: Vec<String>,
    /// Private DNS of an endpoint needs both.
    pub dns_support: bool,
    pub dns_hostnames: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SubnetLook {
    pub vpc: String,
    pub zone: String,
}

impl Aws {
    /// Looks up a VPC and some subnets: four calls.
    pub async fn network(&self, vpc: &str, subnets: &[&str]) -> Result<NetworkLook, AwsError> {
        // Filters find nothing where there is nothing; asking by id would answer with an error for the
        // first one missing and hide the others.
        let filter = |name: &str, values: &[&str]| {
            Filter::builder().name(name).set_values(Some(values.iter().map(|v| (*v).to_owned()).collect())).build()
        };
        let describe = call("ec2", "DescribeVpcs");
        let vpcs = self.ec2.describe_vpcs().filters(filter("vpc-id", &[vpc])).send();
        let describe_subnets = call("ec2", "DescribeSubnets");
        let found = self.ec2.describe_subnets().filters(filter("subnet-id", subnets)).send();
        let (vpcs, found) = futures_util::future::join(vpcs, found).await;
        let vpcs = vpcs.map_err(|error| describe.failed(error))?;
        let found = found.map_err(|error| describe_subnets.failed(error))?;

        let vpc_look = match vpcs.vpcs().first() {
            None => None,
            Some(found) => {
                let mut cidrs: Vec<_> = found
                    .cidr_block_association_set()
                    .iter()
                    .filter_map(|association| association.cidr_block())
                    .chain(found.cidr_block())
                    .map(str::to_owned)
                    .collect();
                cidrs.sort();
                cidrs.dedup();
                let (dns_support, dns_hostnames) = futures_util::future::try_join(
                    self.vpc_attribute(vpc, VpcAttributeName::EnableDnsSupport),
                    self.vpc_attribute(vpc, VpcAttributeName::EnableDnsHostnames),
                )
                .await?;
                Some(VpcLook { cidrs, dns_support, dns_hostnames })
            }
        };
        let subnets = found
            .subnets()
            .iter()
            .filter_map(|subnet| {
                let look = SubnetLook {
                    vpc: subnet.vpc_id()?.to_owned(),
                    zone: subnet.availability_zone().unwrap_or_default().to_owned(),
                };
                Some((subnet.subnet_id()?.to_owned(), look))
            })
            .collect();
        Ok(NetworkLook { vpc: vpc_look, subnets })
    }

    async fn vpc_attribute(&self, vpc: &str, attribute: VpcAttributeName) -> Result<bool, AwsError> {
        let describe = call("ec2", "DescribeVpcAttribute");
        let answer = self.ec2.describe_vpc_attribute().vpc_id(vpc).attribute(attribute).send().await;
        let answer = absent(answer.map_err(|error| describe.failed(error)), &["InvalidVpcID.NotFound"])?;
        Ok(answer.is_some_and(|answer| {
            [answer.enable_dns_support(), answer.enable_dns_hostnames()]
                .into_iter()
                .flatten()
                .any(|value| value.value() == Some(true))
        }))
    }
}
