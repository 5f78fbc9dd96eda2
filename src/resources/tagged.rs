//! All that carries a deployment's tag, whatever its config says now: where to look for what is no longer
//! declared. Lists may lag by minutes, and tags can be copied: what is found here is looked at by its own
//! Describe, and must bear the name that its address gives, before anything is done to it.

use super::secret::{self, Tagged};
use super::security_group_rule as rule;
use super::{LiveError, db_instance, stack};
use crate::aws::{Aws, EndpointLook, GroupLook};
use function_contract::{encode_tag, tag};
use std::collections::BTreeSet;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub secrets: Vec<Tagged>,
    pub instances: Vec<db_instance::Tagged>,
    pub groups: Vec<GroupLook>,
    /// Groups of others that hold rules of ours.
    pub other_groups: Vec<GroupLook>,
    pub rules: Vec<rule::Tagged>,
    pub endpoints: Vec<EndpointLook>,
    /// Names of stacks.
    pub stacks: Vec<String>,
}

/// Looks for all of it: six calls where each list fits a page, one more where rules of ours are in groups of others.
pub async fn tagged(aws: &Aws, deployment: &str) -> Result<Found, LiveError> {
    let (secrets, instances, ec2, stacks) = futures_util::future::try_join4(
        secret::tagged(aws, deployment),
        db_instance::tagged(aws, deployment),
        async { Ok(aws.tagged_in_ec2(tag::DEPLOYMENT, &encode_tag(deployment)).await?) },
        stack::tagged(aws, deployment),
    )
    .await?;
    let rules: Vec<_> = ec2.rules.iter().filter_map(rule::tagged).collect();
    let known: BTreeSet<_> = ec2.groups.iter().map(|group| group.id.clone()).collect();
    let others = rules.iter().map(|rule| rule.standing.group.clone()).filter(|group| !known.contains(group)).collect();
    let other_groups = aws.groups_by_id(&others).await?;
    Ok(Found { secrets, instances, groups: ec2.groups, other_groups, rules, endpoints: ec2.endpoints, stacks })
}
