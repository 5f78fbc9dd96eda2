//! How an instance stands, whatever is wanted of it.

use super::{Observed, Outputs, Servers, Spec};
use crate::resource::Settled;

/// States in which an instance works and takes changes.
const READY: [&str; 4] = ["available", "storage-optimization", "backing-up", "configuring-enhanced-monitoring"];

/// Whether it works and takes changes.
pub(super) fn is_ready(live: &Observed) -> bool {
    READY.contains(&live.status.as_str())
}

/// Whether an instance in that state works, be it alone or a cluster's.
pub(in crate::resources) fn of_status(status: &str) -> Settled<()> {
    match status {
        _ if READY.contains(&status) => Settled::Yes(()),
        "failed" | "incompatible-network" | "incompatible-parameters" | "incompatible-restore"
        | "inaccessible-encryption-credentials" | "storage-full" | "stopped" | "restore-error" => {
            Settled::Never { because: format!("the instance is {status}; see its events in the RDS console") }
        }
        status => Settled::NotYet { saying: format!("the instance is {status}") },
    }
}

/// Whether somebody has taken the master's password out of RDS's hands. RDS tells of a secret only where it keeps one, and
/// from the moment on in which it is asked to
/// (github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds/pull/377). While an instance is created, it
/// does not tell.
pub(super) fn is_unmanaged(live: &Observed) -> bool {
    live.master_secret.is_none() && live.status != "creating"
}

/// What ends this state is more storage, and RDS takes that change in it
/// (repost.aws/knowledge-center/rds-out-of-storage).
pub(super) fn is_outgrown(spec: &Spec, live: &Observed) -> bool {
    live.status == "storage-full" && spec.storage > live.storage
}

/// A change of the storage goes on in the background for hours, and RDS takes no other one until it has ended
/// (docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.ModifyingExisting.html).
pub(super) fn is_optimizing(live: &Observed) -> bool {
    live.status == "storage-optimization"
}

/// Whether an instance is in working order, whatever is wanted of it.
pub(super) fn standing(live: &Observed) -> Settled<Outputs> {
    match of_status(&live.status) {
        Settled::Yes(()) => {}
        Settled::NotYet { saying } => return Settled::NotYet { saying },
        Settled::Never { because } => return Settled::Never { because },
    }
    if live.pending {
        return Settled::NotYet { saying: "changes of the instance are pending".to_owned() };
    }
    let Some(server) = &live.server else {
        return Settled::NotYet { saying: "the instance has no address yet".to_owned() };
    };
    match &live.master_secret {
        Some((arn, status)) if status == "active" || status == "rotating" => {
            let servers = Servers::of(server, &live.replicas);
            Settled::Yes(Outputs { server: server.clone(), servers, master_secret: arn.clone() })
        }
        Some((_, status)) => Settled::NotYet { saying: format!("the master secret is {status}") },
        None => Settled::NotYet { saying: "the instance has no master secret yet".to_owned() },
    }
}
