//! The live half of `db_cluster`.

use super::{Change, DbCluster, Desired, MasterSecretArn, Member, Observed, Server};
use crate::aws::{Aws, ClusterLook, InstanceLook, Look, call};
use crate::execute::Applied;
use crate::model::Seen;
use crate::resource::Known;
use crate::resources::db_instance::{certificate, server};
use crate::resources::security_group::GroupId;
use crate::resources::{Live, LiveError};
use std::collections::BTreeMap;
use std::time::Duration;

impl Live for DbCluster {
    /// As of an instance: what others have begun may be a restore or a major upgrade.
    const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(match look.cluster(&want.identifier).await? {
                None => Seen::Absent,
                Some(cluster) => Seen::Present(observed(&cluster, &members(look.aws, &want.identifier).await?)?),
            });
        }
        Ok(seen)
    }

    async fn apply(_aws: &Aws, _want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Await => Ok(Applied::Accepted),
        }
    }
}

/// The DB instances of a cluster, by identifier.
async fn members(aws: &Aws, cluster: &str) -> Result<BTreeMap<String, InstanceLook>, LiveError> {
    let describe = call("rds", "DescribeDBInstances");
    let filter = aws_sdk_rds::types::Filter::builder().name("db-cluster-id").values(cluster).build();
    let found = aws.rds.describe_db_instances().filters(filter).into_paginator().items().send();
    let found = found.try_collect().await.map_err(|error| describe.failed(error))?;
    let named = found.into_iter().filter_map(|member| Some((member.db_instance_identifier()?.to_owned(), member)));
    Ok(named.collect())
}

/// How Aurora Auto Scaling calls the readers that it adds, and takes away again by itself
/// (docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Integrating.AutoScaling.html tells of them, and public
/// reports of RDS's events of their names). They are reached by the reader endpoint; nobody's secret names one, and that they come and go is no drift.
const SCALED: &str = "application-autoscaling-";

fn observed(cluster: &ClusterLook, instances: &BTreeMap<String, InstanceLook>) -> Result<Observed, LiveError> {
    let describe = call("rds", "DescribeDBClusters");
    let text = |field: Option<&str>, name: &str| describe.expect(field, name).map(str::to_owned);
    let port = cluster.port().and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0);
    let at = |host: &str| Some(Server { host: host.to_owned(), port: port? });
    let mut custom: Vec<_> = cluster.custom_endpoints().iter().filter_map(|host| at(host)).collect();
    custom.sort_by(|one, other| one.host.cmp(&other.host));
    let mut members: Vec<_> = cluster
        .db_cluster_members()
        .iter()
        .filter_map(|member| Some((member.db_instance_identifier()?, member.is_cluster_writer().unwrap_or(false))))
        // A failover may have made one of them the writer: then it is one like others until it is no more.
        .filter(|(identifier, is_writer)| *is_writer || !identifier.starts_with(SCALED))
        .map(|(identifier, is_writer)| {
            // One that has gone since the cluster told of it has no state to tell.
            let instance = instances.get(identifier);
            Member {
                identifier: identifier.to_owned(),
                is_writer,
                status: instance.and_then(|look| look.db_instance_status()).unwrap_or("gone").to_owned(),
                server: instance.filter(|_| !identifier.starts_with(SCALED)).and_then(server),
                certificate: instance.and_then(certificate),
            }
        })
        .collect();
    members.sort_by(|one, other| one.identifier.cmp(&other.identifier));
    Ok(Observed {
        arn: text(cluster.db_cluster_arn(), "DBClusterArn")?,
        resource_id: text(cluster.db_cluster_resource_id(), "DbClusterResourceId")?,
        engine: text(cluster.engine(), "Engine")?,
        mode: cluster.engine_mode().map(str::to_owned),
        version: text(cluster.engine_version(), "EngineVersion")?,
        status: text(cluster.status(), "Status")?,
        source: cluster.replication_source_identifier().filter(|source| !source.is_empty()).map(str::to_owned),
        port,
        writer: cluster.endpoint().and_then(at),
        others: cluster.reader_endpoint().and_then(at).into_iter().chain(custom).collect(),
        members,
        groups: cluster
            .vpc_security_groups()
            .iter()
            .filter_map(|group| group.vpc_security_group_id())
            .map(|id| GroupId(id.to_owned()))
            .collect(),
        master: cluster.master_username().unwrap_or_default().to_owned(),
        master_secret: cluster.master_user_secret().and_then(|secret| {
            let status = secret.secret_status().unwrap_or("creating").to_owned();
            Some((MasterSecretArn(secret.secret_arn()?.to_owned()), status))
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::db_cluster::servers;
    use aws_sdk_rds::types::{DbCluster as Cluster, DbClusterMember, DbInstance, Endpoint};

    fn instance(identifier: &str) -> (String, InstanceLook) {
        let at = Endpoint::builder().address(format!("{identifier}.example")).port(5432).build();
        let instance = DbInstance::builder().db_instance_identifier(identifier).db_instance_status("available");
        (identifier.to_owned(), instance.endpoint(at).build())
    }

    /// `writer` is one of `members`; all but `gone` are found.
    fn seen(members: &[&str], writer: &str, gone: &str) -> Observed {
        let member = |identifier: &&str| {
            DbClusterMember::builder().db_instance_identifier(*identifier).is_cluster_writer(*identifier == writer).build()
        };
        let cluster = Cluster::builder()
            .db_cluster_arn("arn")
            .db_cluster_resource_id("cluster-1")
            .engine("aurora-postgresql")
            .engine_version("16.9")
            .status("available")
            .port(5432)
            .endpoint("writer.example")
            .reader_endpoint("reader.example")
            .custom_endpoints("b.example")
            .custom_endpoints("a.example")
            .set_db_cluster_members(Some(members.iter().map(member).collect()))
            .build();
        let found = members.iter().filter(|identifier| **identifier != gone).map(|identifier| instance(identifier));
        observed(&cluster, &found.collect()).expect("all that it needs is there")
    }

    /// The writer's endpoint first, whatever AWS lists first, and the same after a failover.
    #[test]
    fn what_leads_to_a_cluster_is_told_in_one_order() {
        for writer in ["one", "two"] {
            let seen = seen(&["two", "one"], writer, "");
            let writes: Vec<_> = seen.members.iter().filter(|member| member.is_writer).collect();
            assert_eq!(writes.iter().map(|member| member.identifier.as_str()).collect::<Vec<_>>(), [writer]);
            let told = "writer.example:5432,reader.example:5432,a.example:5432,b.example:5432,one.example:5432,two.example:5432";
            assert_eq!(servers(&seen).expect("an address").to_string(), told);
        }
    }

    /// They come and go by themselves. One that has become the writer counts as such, and its address as none.
    #[test]
    fn readers_of_auto_scaling_are_nobodys_servers() {
        let scaled = "application-autoscaling-0a1b";
        let names = |seen: &Observed| seen.members.iter().map(|member| member.identifier.clone()).collect::<Vec<_>>();
        let reads = seen(&["one", scaled], "one", "");
        assert_eq!(names(&reads), ["one"]);
        let writes = seen(&["one", scaled], scaled, "");
        assert_eq!(names(&writes), [scaled, "one"]);
        assert_eq!(servers(&reads), servers(&writes));
    }

    /// Deleted between the two questions.
    #[test]
    fn a_member_that_is_gone_has_no_address() {
        let seen = seen(&["one", "two"], "one", "two");
        assert_eq!((seen.members[1].status.as_str(), &seen.members[1].server), ("gone", &None));
    }
}
