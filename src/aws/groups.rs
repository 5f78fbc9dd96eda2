//! Security groups and their rules, as found.

use super::{Aws, AwsError, Look, call};
use crate::model::Tags;
use aws_sdk_ec2::types::{Filter, SecurityGroupRule, Tag};
use std::collections::{BTreeMap, BTreeSet};

/// Groups as they were asked for.
#[derive(Debug, Clone, Default)]
pub struct GroupsLook(BTreeMap<(String, String), GroupLook>);

impl GroupsLook {
    /// A name is one group's within its VPC only.
    pub fn get(&self, vpc: &str, name: &str) -> Option<&GroupLook> {
        self.0.get(&(vpc.to_owned(), name.to_owned()))
    }
}

/// A security group and its rules.
#[derive(Debug, Clone)]
pub struct GroupLook {
    pub id: String,
    /// Unique in its VPC.
    pub name: String,
    pub vpc: String,
    pub tags: Tags,
    pub rules: Vec<SecurityGroupRule>,
}

/// What carries a deployment's tag in EC2, whatever the config says now.
#[derive(Debug, Clone, Default)]
pub struct TaggedLook {
    pub groups: Vec<GroupLook>,
    /// Rules, in groups of whomever.
    pub rules: Vec<SecurityGroupRule>,
    /// Endpoint id and tags, with the VPC and the service.
    pub endpoints: Vec<EndpointLook>,
}

/// An interface endpoint, as far as it is needed to tell whose it is.
#[derive(Debug, Clone)]
pub struct EndpointLook {
    pub id: String,
    pub vpc: String,
    pub service: String,
    pub tags: Tags,
}

impl Look<'_> {
    /// Groups by (VPC, name), each with all its rules: two calls, however many groups, and none when the same
    /// were asked for before.
    pub async fn groups(&self, names: &BTreeSet<(&str, &str)>) -> Result<GroupsLook, AwsError> {
        let key = names.iter().map(|(vpc, name)| format!("{vpc}/{name}")).collect::<Vec<_>>().join("\n");
        let cell = self.once_groups(&key);
        cell.get_or_try_init(|| find(self.aws, names)).await.cloned()
    }
}

impl Aws {
    /// Groups, rules and endpoints whose tag `key` is `value`: three calls.
    pub async fn tagged_in_ec2(&self, key: &str, value: &str) -> Result<TaggedLook, AwsError> {
        let tag = || Filter::builder().name(format!("tag:{key}")).values(value).build();
        let groups = async {
            let describe = call("ec2", "DescribeSecurityGroups");
            let request = self.ec2.describe_security_groups().filters(tag()).into_paginator().items().send();
            let found = request.try_collect().await.map_err(|error| describe.failed(error))?;
            found.iter().map(group).collect::<Result<Vec<_>, _>>()
        };
        let rules = async {
            let describe = call("ec2", "DescribeSecurityGroupRules");
            let request = self.ec2.describe_security_group_rules().filters(tag()).into_paginator().items().send();
            request.try_collect().await.map_err(|error| describe.failed(error))
        };
        let endpoints = async {
            let describe = call("ec2", "DescribeVpcEndpoints");
            let request = self.ec2.describe_vpc_endpoints().filters(tag()).into_paginator().items().send();
            let found = request.try_collect().await.map_err(|error| describe.failed(error))?;
            Ok(found
                .iter()
                // A deleted one is listed for a while.
                .filter(|endpoint| {
                    !endpoint.state().is_some_and(|state| {
                        ["deleting", "deleted"].iter().any(|gone| state.as_str().eq_ignore_ascii_case(gone))
                    })
                })
                .map(|endpoint| EndpointLook {
                    id: endpoint.vpc_endpoint_id().unwrap_or_default().to_owned(),
                    vpc: endpoint.vpc_id().unwrap_or_default().to_owned(),
                    service: endpoint.service_name().unwrap_or_default().to_owned(),
                    tags: ec2_tags(endpoint.tags()),
                })
                .collect())
        };
        let (groups, rules, endpoints) = futures_util::future::try_join3(groups, rules, endpoints).await?;
        Ok(TaggedLook { groups, rules, endpoints })
    }

    /// Groups by id; those that do not exist are left out.
    pub async fn groups_by_id(&self, ids: &BTreeSet<String>) -> Result<Vec<GroupLook>, AwsError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let describe = call("ec2", "DescribeSecurityGroups");
        let filter = Filter::builder().name("group-id").set_values(Some(ids.iter().cloned().collect())).build();
        let request = self.ec2.describe_security_groups().filters(filter).into_paginator().items().send();
        let found = request.try_collect().await.map_err(|error| describe.failed(error))?;
        found.iter().map(group).collect()
    }

    /// All rules of some groups.
    pub async fn rules_of(&self, groups: &BTreeSet<String>) -> Result<Vec<SecurityGroupRule>, AwsError> {
        let describe = call("ec2", "DescribeSecurityGroupRules");
        let filter = Filter::builder().name("group-id").set_values(Some(groups.iter().cloned().collect())).build();
        let request = self.ec2.describe_security_group_rules().filters(filter).into_paginator().items().send();
        request.try_collect().await.map_err(|error| describe.failed(error))
    }
}

async fn find(aws: &Aws, names: &BTreeSet<(&str, &str)>) -> Result<GroupsLook, AwsError> {
    let describe = call("ec2", "DescribeSecurityGroups");
    let filter = |name: &str, values: BTreeSet<&str>| {
        Filter::builder().name(name).set_values(Some(values.into_iter().map(str::to_owned).collect())).build()
    };
    let request = aws
        .ec2
        .describe_security_groups()
        .filters(filter("vpc-id", names.iter().map(|(vpc, _)| *vpc).collect()))
        .filters(filter("group-name", names.iter().map(|(_, name)| *name).collect()));
    let groups = request.into_paginator().items().send().try_collect().await.map_err(|error| describe.failed(error))?;
    let mut found = BTreeMap::new();
    for each in &groups {
        let group = group(each)?;
        found.insert((group.vpc.clone(), group.name.clone()), group);
    }
    if !found.is_empty() {
        for rule in aws.rules_of(&found.values().map(|group| group.id.clone()).collect()).await? {
            if let Some(group) = found.values_mut().find(|group| Some(group.id.as_str()) == rule.group_id()) {
                group.rules.push(rule);
            }
        }
    }
    Ok(GroupsLook(found))
}

/// Without its rules.
fn group(group: &aws_sdk_ec2::types::SecurityGroup) -> Result<GroupLook, AwsError> {
    let describe = call("ec2", "DescribeSecurityGroups");
    Ok(GroupLook {
        id: describe.expect(group.group_id(), "GroupId")?.to_owned(),
        name: describe.expect(group.group_name(), "GroupName")?.to_owned(),
        vpc: group.vpc_id().unwrap_or_default().to_owned(),
        tags: ec2_tags(group.tags()),
        rules: Vec::new(),
    })
}

/// Tags as EC2 lists them.
pub fn ec2_tags(tags: &[Tag]) -> Tags {
    super::tags(tags.iter().map(|tag| (tag.key(), tag.value())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deployment that moves to another VPC has its groups in both for a while.
    #[test]
    fn a_name_is_one_group_s_in_its_vpc() {
        let group = |vpc: &str, id: &str| {
            let (vpc, name) = (vpc.to_owned(), "pgrotate-article-function".to_owned());
            let look = GroupLook { id: id.to_owned(), name, vpc, tags: Tags::new(), rules: Vec::new() };
            ((look.vpc.clone(), look.name.clone()), look)
        };
        let found = GroupsLook(BTreeMap::from([group("vpc-old", "sg-1"), group("vpc-new", "sg-2")]));
        let id = |vpc: &str| found.get(vpc, "pgrotate-article-function").map(|group| group.id.as_str());
        assert_eq!((id("vpc-old"), id("vpc-new"), id("vpc-other")), (Some("sg-1"), Some("sg-2"), None));
    }
}
