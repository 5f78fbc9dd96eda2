//! Whether a cluster of somebody else is such that its logins can rotate, and how it stands.

use super::{Desired, ENGINES, Observed, Outputs, servers};
use crate::code::Code;
use crate::model::Val;
use crate::resource::{Diff, Refusal, Settled};
use crate::resources::db_instance;
use crate::resources::security_group::GroupId;

/// What only its owner can change.
pub(super) fn refuse_the_unfit(cx: &mut Diff<'_>, want: &Desired, live: &Observed) -> Result<(), Refusal> {
    let what = &want.identifier;
    let unfit = |cause: String, hint: String| Err(Refusal::new(Code::UnfitCluster, cause, hint));
    if !ENGINES.contains(&live.engine.as_str()) {
        return unfit(
            format!("the cluster `{what}` runs {}, not PostgreSQL", live.engine),
            format!("name a cluster whose engine is {}", ENGINES.join(" or ")),
        );
    }
    if live.mode.as_deref() == Some("serverless") {
        return unfit(
            format!("`{what}` is Aurora Serverless v1, of which RDS does not keep the master password"),
            format!(
                "make it a provisioned one, or Serverless v2: aws rds modify-db-cluster --db-cluster-identifier {what} \
                 --engine-mode provisioned --allow-engine-mode-change --db-cluster-instance-class CLASS"
            ),
        );
    }
    if let Some(source) = &live.source {
        return unfit(
            format!("`{what}` replicates {source}, and no login can be changed in it"),
            "declare the cluster that it replicates, in a deployment of that one's region".to_owned(),
        );
    }
    if ["stopped", "inaccessible-encryption-credentials-recoverable"].contains(&live.status.as_str()) {
        return unfit(
            format!("the cluster `{what}` is {}", live.status),
            format!("aws rds start-db-cluster --db-cluster-identifier {what}"),
        );
    }
    if let Some(port) = live.port.filter(|port| *port != want.port) {
        return unfit(
            format!("the cluster `{what}` listens on port {port}, the config says {}", want.port),
            format!("set `port = {port}` in [database]"),
        );
    }
    if live.master_secret.is_none() && !["creating", "deleting"].contains(&live.status.as_str()) {
        return unfit(
            format!("RDS does not keep the master password of the cluster `{what}`, and nothing else may make logins in it"),
            format!(
                "aws rds modify-db-cluster --db-cluster-identifier {what} --manage-master-user-password --apply-immediately"
            ),
        );
    }
    if let Val::Known(group) = cx.output::<GroupId>(&want.group)
        && !live.groups.contains(&group)
    {
        let groups: Vec<_> = live.groups.iter().map(|id| id.0.as_str()).collect();
        return unfit(
            format!("the cluster `{what}` is not in the security group `{}` ({group})", want.group.address().name),
            format!("declare one of its groups: {}", groups.join(", ")),
        );
    }
    if !["creating", "deleting"].contains(&live.status.as_str()) && !live.members.iter().any(|member| member.is_writer) {
        return unfit(
            format!("the cluster `{what}` has no DB instance that writes, so nobody answers at its endpoint"),
            format!(
                "aws rds create-db-instance --db-cluster-identifier {what} --engine {} --db-instance-class CLASS \
                 --db-instance-identifier {what}-1",
                live.engine
            ),
        );
    }
    Ok(())
}

/// Whether a cluster is in working order
/// (docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html#Aurora.Status).
pub(super) fn standing(live: &Observed) -> Settled<Outputs> {
    match live.status.as_str() {
        "available" | "backing-up" | "storage-optimization" => {}
        "stopped" | "deleting" | "cloning-failed" | "migration-failed" | "inaccessible-encryption-credentials"
        | "inaccessible-encryption-credentials-recoverable" => {
            return Settled::Never { because: format!("the cluster is {}; see its events in the RDS console", live.status) };
        }
        status => return Settled::NotYet { saying: format!("the cluster is {status}") },
    }
    // The cluster is available as soon as its storage is: who answers is its writer.
    let Some(writer) = live.members.iter().find(|member| member.is_writer) else {
        return Settled::NotYet { saying: "the cluster has no writer yet".to_owned() };
    };
    let told = |what: String| format!("of the cluster's writer `{}`: {what}", writer.identifier);
    match db_instance::of_status(&writer.status) {
        Settled::Yes(()) => {}
        Settled::NotYet { saying } => return Settled::NotYet { saying: told(saying) },
        Settled::Never { because } => return Settled::Never { because: told(because) },
    }
    let (Some(server), Some(servers)) = (&live.writer, servers(live)) else {
        return Settled::NotYet { saying: "the cluster has no address yet".to_owned() };
    };
    match &live.master_secret {
        Some((arn, status)) if status == "active" || status == "rotating" => {
            Settled::Yes(Outputs { server: server.clone(), servers, master_secret: arn.clone() })
        }
        Some((_, status)) => Settled::NotYet { saying: format!("the master secret is {status}") },
        None => Settled::NotYet { saying: "the cluster has no master secret yet".to_owned() },
    }
}
