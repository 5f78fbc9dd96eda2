//! The network a deployment stands in: nothing of it is ours, all of it must be there.

use super::{Aws, AwsError, absent, call};
use crate::model::Tags;
use aws_sdk_ec2::types::{Filter, Route, RouteState, SecurityGroupRule, VpcAttributeName};
use std::collections::{BTreeMap, BTreeSet};

/// What the desired model needs to know of the VPC.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkLook {
    /// None: there is no such VPC.
    pub vpc: Option<VpcLook>,
    /// Subnets that exist, of those that were asked for.
    pub subnets: BTreeMap<String, SubnetLook>,
    /// Security groups that exist, of those that were asked for.
    pub groups: BTreeSet<String>,
    /// Where each of the subnets sends what is for the internet, if routes were asked for.
    pub ways_out: BTreeMap<String, WayOut>,
    /// Interface endpoints of the service that was asked for, in the VPC.
    pub endpoints: Vec<ServiceEndpoint>,
}

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct NetworkQuestion<'a> {
    pub vpc: &'a str,
    pub subnets: &'a [&'a str],
    /// Ids of security groups.
    pub groups: &'a [&'a str],
    /// Whether to follow the subnets' routes.
    pub routes: bool,
    /// The service whose endpoints to look for, `com.amazonaws.REGION.NAME`.
    pub service: Option<&'a str>,
}

/// The route to 0.0.0.0/0 of a subnet.
#[derive(Debug, Clone, PartialEq)]
pub struct WayOut {
    /// `rtb-…`; None where the VPC's tables tell of none.
    pub table: Option<String>,
    /// `nat-…`, `igw-…`, `tgw-…` and so on; None: there is no such route, or it leads nowhere (`blackhole`).
    pub target: Option<String>,
}

/// An interface endpoint of somebody's.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceEndpoint {
    pub id: String,
    pub private_dns: bool,
    /// In lower case.
    pub state: String,
    pub groups: BTreeSet<String>,
    /// Who may open HTTPS connections to it, by its groups: CIDRs, groups, prefix lists.
    pub admits: BTreeSet<String>,
}

impl ServiceEndpoint {
    /// Whether clients in its VPC find it under the service's own name, now or in a moment.
    pub fn is_usable(&self) -> bool {
        self.private_dns && ["available", "pending"].contains(&self.state.as_str())
    }
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
    /// IPv4.
    pub cidr: String,
}

/// Secrets Manager speaks HTTPS.
const HTTPS: i32 = 443;

/// A VPC, or a subnet of one, that a config may mean by its tags: [`super::VpcFound`] and [`super::SubnetFound`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: String,
    /// Of a subnet.
    pub zone: Option<String>,
    pub tags: Tags,
}

pub(super) fn filter(name: &str, values: &[&str]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.iter().map(|value| (*value).to_owned()).collect())).build()
}

/// Whether a rule lets somebody in at a TCP port.
pub(super) fn lets_in(rule: &SecurityGroupRule, port: i32) -> bool {
    let covers = rule.from_port().is_some_and(|from| from <= port) && rule.to_port().is_some_and(|to| port <= to);
    !rule.is_egress().unwrap_or(false)
        && match rule.ip_protocol() {
            Some("-1") => true,
            // By number too, as the API takes it.
            Some("tcp" | "6") => covers,
            _ => false,
        }
}

fn client(rule: &SecurityGroupRule) -> Option<String> {
    let group = rule.referenced_group_info().and_then(|group| group.group_id());
    rule.cidr_ipv4().or(rule.cidr_ipv6()).or(rule.prefix_list_id()).or(group).map(str::to_owned)
}

impl Aws {
    /// Looks up a VPC and some subnets: four calls, and one or two more for what else is asked.
    pub async fn network(&self, question: NetworkQuestion<'_>) -> Result<NetworkLook, AwsError> {
        let NetworkQuestion { vpc, subnets, groups, routes, service } = question;
        let base = self.vpc_and_subnets(vpc, subnets);
        let groups = async {
            let ids = groups.iter().map(|id| (*id).to_owned()).collect();
            Ok(self.groups_by_id(&ids).await?.into_iter().map(|group| group.id).collect())
        };
        let ways_out = async { if routes { self.ways_out(vpc, subnets).await } else { Ok(BTreeMap::new()) } };
        let endpoints = async {
            match service {
                Some(service) => self.endpoints_of(vpc, service).await,
                None => Ok(Vec::new()),
            }
        };
        let ((vpc, subnets), groups, ways_out, endpoints) =
            futures_util::future::try_join4(base, groups, ways_out, endpoints).await?;
        Ok(NetworkLook { vpc, subnets, groups, ways_out, endpoints })
    }

    async fn vpc_and_subnets(
        &self,
        vpc: &str,
        subnets: &[&str],
    ) -> Result<(Option<VpcLook>, BTreeMap<String, SubnetLook>), AwsError> {
        // Filters find nothing where there is nothing; asking by id would answer with an error for the
        // first one missing and hide the others.
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
                    cidr: subnet.cidr_block().unwrap_or_default().to_owned(),
                };
                Some((subnet.subnet_id()?.to_owned(), look))
            })
            .collect();
        Ok((vpc_look, subnets))
    }

    /// A subnet follows the table it is associated with, or else its VPC's main one (VPC guide, "Route tables").
    async fn ways_out(&self, vpc: &str, subnets: &[&str]) -> Result<BTreeMap<String, WayOut>, AwsError> {
        let describe = call("ec2", "DescribeRouteTables");
        let request = self.ec2.describe_route_tables().filters(filter("vpc-id", &[vpc]));
        let tables =
            request.into_paginator().items().send().try_collect().await.map_err(|error| describe.failed(error))?;
        let way = |subnet: &&str| {
            let own = tables.iter().find(|table| table.associations().iter().any(|a| a.subnet_id() == Some(*subnet)));
            let main = || tables.iter().find(|table| table.associations().iter().any(|a| a.main() == Some(true)));
            let table = own.or_else(main);
            let route = table.and_then(|table| {
                let everywhere = |route: &&Route| route.destination_cidr_block() == Some("0.0.0.0/0");
                table.routes().iter().find(everywhere).filter(|route| route.state() != Some(&RouteState::Blackhole))
            });
            let target = route.and_then(|route| {
                route
                    .nat_gateway_id()
                    .or(route.gateway_id())
                    .or(route.transit_gateway_id())
                    .or(route.network_interface_id())
                    .or(route.instance_id())
                    .or(route.vpc_peering_connection_id())
                    .or(route.local_gateway_id())
                    .or(route.carrier_gateway_id())
            });
            let table = table.and_then(|table| table.route_table_id()).map(str::to_owned);
            ((*subnet).to_owned(), WayOut { table, target: target.map(str::to_owned) })
        };
        Ok(subnets.iter().map(way).collect())
    }

    async fn endpoints_of(&self, vpc: &str, service: &str) -> Result<Vec<ServiceEndpoint>, AwsError> {
        let describe = call("ec2", "DescribeVpcEndpoints");
        let request = self
            .ec2
            .describe_vpc_endpoints()
            .filters(filter("vpc-id", &[vpc]))
            .filters(filter("service-name", &[service]))
            .filters(filter("vpc-endpoint-type", &["Interface"]));
        let found =
            request.into_paginator().items().send().try_collect().await.map_err(|error| describe.failed(error))?;
        let groups_of = |endpoint: &aws_sdk_ec2::types::VpcEndpoint| -> BTreeSet<String> {
            endpoint.groups().iter().filter_map(|group| group.group_id()).map(str::to_owned).collect()
        };
        let all: BTreeSet<_> = found.iter().flat_map(groups_of).collect();
        let rules = if all.is_empty() { Vec::new() } else { self.rules_of(&all).await? };
        Ok(found
            .iter()
            .filter_map(|endpoint| {
                let groups = groups_of(endpoint);
                let mine = rules.iter().filter(|rule| rule.group_id().is_some_and(|id| groups.contains(id)));
                Some(ServiceEndpoint {
                    id: endpoint.vpc_endpoint_id()?.to_owned(),
                    private_dns: endpoint.private_dns_enabled().unwrap_or(false),
                    state: endpoint.state()?.as_str().to_ascii_lowercase(),
                    admits: mine.filter(|rule| lets_in(rule, HTTPS)).filter_map(client).collect(),
                    groups,
                })
            })
            .collect())
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
