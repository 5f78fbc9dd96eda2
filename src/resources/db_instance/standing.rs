//! How an instance stands, whatever is wanted of it.

use super::{Observed, Outputs, Servers, Spec};
use crate::resource::Settled;

/// Whether it works and takes changes.
pub(super) fn is_ready(live: &Observed) -> bool {
    ["available", "storage-optimization", "backing-up", "configuring-enhanced-monitoring"]
        .contains(&live.status.as_str())
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
    match live.status.as_str() {
        _ if is_ready(live) => {}
        "failed" | "incompatible-network" | "incompatible-parameters" | "incompatible-restore"
        | "inaccessible-encryption-credentials" | "storage-full" | "stopped" | "restore-error" => {
            return Settled::Never {
                because: format!("the instance is {}; see its events in the RDS console", live.status),
            };
        }
        status => return Settled::NotYet { saying: format!("the instance is {status}") },
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
