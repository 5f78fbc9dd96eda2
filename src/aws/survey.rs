//! What an account has that a new deployment could be for: networks and databases, each in one list.

use super::groups::ec2_tags;
use super::network::{Candidate, filter, lets_in};
use super::{Aws, AwsError, absent, call};
use crate::model::Tags;
use aws_sdk_ec2::types::Tag;
use std::collections::BTreeSet;

/// A VPC, to choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct VpcFound {
    pub id: String,
    /// Its tag `Name`.
    pub name: Option<String>,
    /// The first of its IPv4 CIDRs.
    pub cidr: String,
    pub is_default: bool,
    pub tags: Tags,
}

impl From<VpcFound> for Candidate {
    fn from(vpc: VpcFound) -> Self {
        Self { id: vpc.id, zone: None, tags: vpc.tags }
    }
}

/// A subnet, to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetFound {
    pub id: String,
    /// Its tag `Name`.
    pub name: Option<String>,
    pub zone: String,
    /// IPv4.
    pub cidr: String,
    pub tags: Tags,
}

impl From<SubnetFound> for Candidate {
    fn from(subnet: SubnetFound) -> Self {
        Self { id: subnet.id, zone: Some(subnet.zone), tags: subnet.tags }
    }
}

/// A DB instance or a DB cluster, of whatever engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFound {
    pub identifier: String,
    pub engine: String,
    pub version: String,
    /// As RDS writes it, such as `available`.
    pub status: String,
    /// None while it has no address yet.
    pub port: Option<u16>,
    pub master: Option<String>,
    pub subnet_group: Option<String>,
    /// Ids of the security groups that it is in, in order.
    pub groups: BTreeSet<String>,
    /// The cluster that an instance is a member of.
    pub member_of: Option<String>,
    /// What it replicates.
    pub replica_of: Option<String>,
    pub tags: Tags,
}

/// A DB subnet group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetGroupFound {
    pub vpc: String,
    /// Ids, in order.
    pub subnets: BTreeSet<String>,
}

/// A security group of a database, to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFound {
    pub name: String,
    /// Whether one of its rules lets somebody in at the database's port.
    pub admits: bool,
}

/// The region that the environment, or the profile that it names, is set to.
pub async fn default_region() -> Option<String> {
    let region = aws_config::default_provider::region::default_provider();
    aws_config::meta::region::ProvideRegion::region(&region).await.map(|region| region.to_string())
}

fn name_of(tags: &[Tag]) -> Option<String> {
    let name = tags.iter().find(|tag| tag.key() == Some("Name")).and_then(|tag| tag.value());
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

fn port(port: Option<i32>) -> Option<u16> {
    port.and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0)
}

impl Aws {
    /// All VPCs: the default one first, the others by name and id.
    pub async fn vpcs(&self) -> Result<Vec<VpcFound>, AwsError> {
        let describe = call("ec2", "DescribeVpcs");
        let found = self.ec2.describe_vpcs().into_paginator().items().send().try_collect().await;
        let found = found.map_err(|error| describe.failed(error))?;
        let mut vpcs: Vec<_> = found
            .iter()
            .filter_map(|vpc| {
                Some(VpcFound {
                    id: vpc.vpc_id()?.to_owned(),
                    name: name_of(vpc.tags()),
                    cidr: vpc.cidr_block().unwrap_or_default().to_owned(),
                    is_default: vpc.is_default().unwrap_or(false),
                    tags: ec2_tags(vpc.tags()),
                })
            })
            .collect();
        vpcs.sort_by_key(|vpc| (!vpc.is_default, vpc.name.clone(), vpc.id.clone()));
        Ok(vpcs)
    }

    /// All subnets of a VPC, by zone and id.
    pub async fn subnets_in(&self, vpc: &str) -> Result<Vec<SubnetFound>, AwsError> {
        let describe = call("ec2", "DescribeSubnets");
        let request = self.ec2.describe_subnets().filters(filter("vpc-id", &[vpc]));
        let found =
            request.into_paginator().items().send().try_collect().await.map_err(|error| describe.failed(error))?;
        let mut subnets: Vec<_> = found
            .iter()
            .filter_map(|subnet| {
                Some(SubnetFound {
                    id: subnet.subnet_id()?.to_owned(),
                    name: name_of(subnet.tags()),
                    zone: subnet.availability_zone()?.to_owned(),
                    cidr: subnet.cidr_block().unwrap_or_default().to_owned(),
                    tags: ec2_tags(subnet.tags()),
                })
            })
            .collect();
        subnets.sort_by(|one, other| (&one.zone, &one.id).cmp(&(&other.zone, &other.id)));
        Ok(subnets)
    }

    /// All DB instances, members of clusters and replicas too, by identifier.
    pub async fn instances(&self) -> Result<Vec<DatabaseFound>, AwsError> {
        let describe = call("rds", "DescribeDBInstances");
        let found = self.rds.describe_db_instances().into_paginator().items().send().try_collect().await;
        let found = found.map_err(|error| describe.failed(error))?;
        let mut all: Vec<_> = found
            .iter()
            .filter_map(|instance| {
                let replicated = instance.read_replica_source_db_instance_identifier();
                let replicated = replicated.or(instance.read_replica_source_db_cluster_identifier());
                Some(DatabaseFound {
                    identifier: instance.db_instance_identifier()?.to_owned(),
                    engine: instance.engine()?.to_owned(),
                    version: instance.engine_version().unwrap_or_default().to_owned(),
                    status: instance.db_instance_status().unwrap_or_default().to_owned(),
                    port: port(instance.endpoint().and_then(|endpoint| endpoint.port()))
                        .or_else(|| port(instance.db_instance_port())),
                    master: instance.master_username().map(str::to_owned),
                    subnet_group: instance
                        .db_subnet_group()
                        .and_then(|group| group.db_subnet_group_name())
                        .map(str::to_owned),
                    groups: instance
                        .vpc_security_groups()
                        .iter()
                        .filter_map(|group| group.vpc_security_group_id().map(str::to_owned))
                        .collect(),
                    member_of: instance.db_cluster_identifier().map(str::to_owned),
                    replica_of: replicated.filter(|source| !source.is_empty()).map(str::to_owned),
                    tags: super::tags(instance.tag_list().iter().map(|tag| (tag.key(), tag.value()))),
                })
            })
            .collect();
        all.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        Ok(all)
    }

    /// All DB clusters, by identifier. Those of Neptune and DocumentDB may be among them.
    pub async fn clusters(&self) -> Result<Vec<DatabaseFound>, AwsError> {
        let describe = call("rds", "DescribeDBClusters");
        let found = self.rds.describe_db_clusters().into_paginator().items().send().try_collect().await;
        let found = found.map_err(|error| describe.failed(error))?;
        let mut all: Vec<_> = found
            .iter()
            .filter_map(|cluster| {
                let replicated = cluster.replication_source_identifier();
                Some(DatabaseFound {
                    identifier: cluster.db_cluster_identifier()?.to_owned(),
                    engine: cluster.engine()?.to_owned(),
                    version: cluster.engine_version().unwrap_or_default().to_owned(),
                    status: cluster.status().unwrap_or_default().to_owned(),
                    port: port(cluster.port()),
                    master: cluster.master_username().map(str::to_owned),
                    subnet_group: cluster.db_subnet_group().map(str::to_owned),
                    groups: cluster
                        .vpc_security_groups()
                        .iter()
                        .filter_map(|group| group.vpc_security_group_id().map(str::to_owned))
                        .collect(),
                    member_of: None,
                    replica_of: replicated.filter(|source| !source.is_empty()).map(str::to_owned),
                    tags: super::tags(cluster.tag_list().iter().map(|tag| (tag.key(), tag.value()))),
                })
            })
            .collect();
        all.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        Ok(all)
    }

    /// Where a DB subnet group lies; None: there is none of that name.
    pub async fn subnet_group(&self, name: &str) -> Result<Option<SubnetGroupFound>, AwsError> {
        let describe = call("rds", "DescribeDBSubnetGroups");
        let answer = self.rds.describe_db_subnet_groups().db_subnet_group_name(name).send().await;
        let answer = answer.map_err(|error| describe.failed(error));
        let Some(answer) = absent(answer, super::NO_SUBNET_GROUP)? else { return Ok(None) };
        let Some(group) = answer.db_subnet_groups().first() else { return Ok(None) };
        let subnets = group.subnets().iter().filter_map(|subnet| subnet.subnet_identifier().map(str::to_owned));
        let vpc = describe.expect(group.vpc_id(), "VpcId")?.to_owned();
        Ok(Some(SubnetGroupFound { vpc, subnets: subnets.collect() }))
    }

    /// Security groups of a database that listens on `port`, by name.
    pub async fn groups_at(&self, ids: &BTreeSet<String>, port: u16) -> Result<Vec<GroupFound>, AwsError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (groups, rules) = futures_util::future::try_join(self.groups_by_id(ids), self.rules_of(ids)).await?;
        let mut found: Vec<_> = groups
            .into_iter()
            .map(|group| {
                let mut own = rules.iter().filter(|rule| rule.group_id() == Some(group.id.as_str()));
                GroupFound { admits: own.any(|rule| lets_in(rule, i32::from(port))), name: group.name }
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }
}
