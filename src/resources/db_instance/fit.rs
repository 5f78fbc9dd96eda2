//! Whether an instance that is there can be what the config says of it.

use super::standing::standing;
use super::{Change, Desired, ENGINE, Observed, Spec, wait};
use crate::code::Code;
use crate::model::{Seen, Val};
use crate::resource::{Adoption, Claim, Diff, Refusal, Settled, Step, claim, unobservable};

/// Whether it is ours, or is to be taken over.
pub(super) fn claimed(want: &Desired, live: &Observed) -> Result<Claim, Refusal> {
    let Observed { arn, version, class, storage, storage_type, .. } = live;
    let what = format!(
        "the DB instance `{}` ({arn}: PostgreSQL {version}, {class}, {storage} GiB {storage_type})",
        want.identifier
    );
    // One that was restored from a snapshot carries the tags of the one that it may be to replace.
    claim(&want.mark, &live.tags, Adoption::ByOrRenamed { table: "[database]", declared: want.adopt }, &what)
}

/// An instance of somebody else: it must be such that its logins can rotate.
pub(super) fn referred(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
    let what = &want.identifier;
    let live = match live {
        Seen::Absent => {
            return Err(Refusal::new(
                Code::NoSuchResource,
                format!("there is no DB instance `{what}`"),
                "correct `identifier`; if it is a cluster, name it as `cluster`; or set `manage = true` in [database] to have it made",
            ));
        }
        Seen::Unobservable(why) => return Err(unobservable(why)),
        Seen::Present(live) => live,
    };
    // Its logins are the cluster's, its endpoint loses the writer in a failover, and RDS keeps the cluster's password.
    if let Some(cluster) = &live.cluster {
        return Err(Refusal::new(
            Code::UnfitInstance,
            format!("`{what}` is a member of the DB cluster `{cluster}`"),
            format!("set `cluster = \"{cluster}\"` in [database], in the place of `identifier`"),
        ));
    }
    if live.engine != ENGINE {
        return Err(Refusal::new(
            Code::UnfitInstance,
            format!("`{what}` runs {}, not PostgreSQL", live.engine),
            "name an instance whose engine is postgres",
        ));
    }
    if let Some(port) = live.port.filter(|port| *port != want.port) {
        return Err(Refusal::new(
            Code::UnfitInstance,
            format!("`{what}` listens on port {port}, the config says {}", want.port),
            format!("set `port = {port}` in [database]"),
        ));
    }
    if live.master_secret.is_none() {
        return Err(Refusal::new(
            Code::UnfitInstance,
            format!("RDS does not keep the master password of `{what}`, and nothing else may make logins in it"),
            format!("aws rds modify-db-instance --db-instance-identifier {what} --manage-master-user-password --apply-immediately"),
        ));
    }
    if let Val::Known(group) = cx.output(&want.group)
        && !live.groups.contains(&group)
    {
        return Err(Refusal::new(
            Code::UnfitInstance,
            format!("`{what}` is not in the security group `{}` ({group})", want.group.address().name),
            format!("declare one of its groups: {}", live.groups.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ")),
        ));
    }
    match standing(live) {
        Settled::Yes(_) => Ok(Vec::new()),
        Settled::NotYet { saying } => Ok(vec![wait(cx, saying)]),
        Settled::Never { because } => Err(Refusal::new(Code::UnfitInstance, because, "mend the instance, and plan again")),
    }
}

/// What RDS cannot change in place, or pgrotate does not.
pub(super) fn refuse_the_impossible(want: &Desired, spec: &Spec, live: &Observed) -> Result<(), Refusal> {
    let what = &want.identifier;
    if let Some(cluster) = &live.cluster {
        return Err(Refusal::new(
            Code::CannotChange,
            format!("`{what}` is a member of the DB cluster `{cluster}`, and pgrotate manages no clusters"),
            format!("refer to it: set `cluster = \"{cluster}\"` in [database], in the place of `identifier`"),
        ));
    }
    if live.engine != ENGINE {
        return Err(Refusal::new(
            Code::CannotChange,
            format!("`{what}` runs {}, not PostgreSQL; that cannot be changed in place", live.engine),
            "use another identifier for a new instance",
        ));
    }
    if live.version.major != spec.version.major {
        return Err(Refusal::new(
            Code::CannotChange,
            format!("`{what}` runs PostgreSQL {}, the config wants {}", live.version, spec.version),
            "upgrade the major version yourself, then declare it; pgrotate plans no major upgrade",
        ));
    }
    if live.storage > spec.storage {
        return Err(Refusal::new(
            Code::CannotChange,
            format!("`{what}` has {} GiB, the config wants {}: RDS never shrinks storage", live.storage, spec.storage),
            format!("set `storage.gib` to at least {}", live.storage),
        ));
    }
    for (name, is, should) in [
        ("subnet group", live.subnet_group.clone(), spec.subnet_group.address().name.clone()),
        ("encryption", live.encrypted.to_string(), spec.encrypted.to_string()),
        ("master user", live.master.clone(), spec.master.clone()),
        ("port", live.port.unwrap_or(want.port).to_string(), want.port.to_string()),
    ] {
        if is != should {
            return Err(Refusal::new(
                Code::CannotChange,
                format!("the {name} of `{what}` is {is}, the config wants {should}; that cannot be changed in place"),
                format!("declare {is}, or use another identifier for a new instance"),
            ));
        }
    }
    Ok(())
}
