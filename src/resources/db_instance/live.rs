//! The live half of `db_instance`.

use super::standing::is_optimizing;
use super::{Certificate, Change, DbInstance, Desired, ENGINE, MasterSecretArn, Observed, Server, Version};
use crate::aws::{Aws, AwsError, InstanceLook, Look, absent, call};
use crate::execute::Applied;
use crate::model::{Seen, address_of};
use crate::resource::Known;
use crate::resources::db_subnet_group::{add_tags, rds_tags, read_tags};
use crate::resources::security_group::{GroupId, named};
use crate::resources::{Live, LiveError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl Live for DbInstance {
    /// Creating takes 5 to 15 minutes, a large restore or storage change hours; past two, somebody
    /// should look.
    const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(match look.instance(&want.identifier).await? {
                None => Seen::Absent,
                Some(instance) => {
                    Seen::Present(Observed { replicas: replicas(look, &instance).await?, ..observed(&instance)? })
                }
            });
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        // An instance that is only referred to has no change to make.
        let Some(spec) = &want.spec else { return Ok(Applied::Accepted) };
        let (storage, backup) = (as_i32(spec.storage), as_i32(spec.backup));
        let modify = call("rds", "ModifyDBInstance");
        match change {
            Change::Create { group, version } => {
                let create = call("rds", "CreateDBInstance");
                let answer = aws
                    .rds
                    .create_db_instance()
                    .db_instance_identifier(&want.identifier)
                    .engine(ENGINE)
                    .engine_version(version.to_string())
                    .db_instance_class(&spec.class)
                    .allocated_storage(storage)
                    .storage_type(&spec.storage_type)
                    .storage_encrypted(spec.encrypted)
                    .master_username(&spec.master)
                    .manage_master_user_password(true)
                    .db_subnet_group_name(&spec.subnet_group.address().name)
                    .vpc_security_group_ids(known.get(group)?.0)
                    .port(i32::from(want.port))
                    .publicly_accessible(spec.public)
                    .backup_retention_period(backup)
                    .auto_minor_version_upgrade(true)
                    .copy_tags_to_snapshot(true)
                    .deletion_protection(spec.deletion_protection)
                    .set_tags(Some(rds_tags(&named(&want.identifier, &want.mark.tags()))))
                    .send()
                    .await
                    .map_err(|error| create.failed(error));
                absent(answer, &["DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"])?;
            }
            Change::Await => {}
            Change::Modify { group, version, keep_password } => {
                let Some(live) = Look::new(aws).instance(&want.identifier).await? else {
                    return Err(modify.unexpected("the instance is gone").into());
                };
                let live = observed(&live)?;
                let takes_storage = !is_optimizing(&live);
                let groups = match group {
                    None => None,
                    Some(group) => {
                        let mut groups: BTreeSet<_> = live.groups.difference(&want.former_groups).cloned().collect();
                        groups.insert(known.get(group)?);
                        Some(groups.into_iter().map(|group| group.0).collect())
                    }
                };
                let answer = aws
                    .rds
                    .modify_db_instance()
                    .db_instance_identifier(&want.identifier)
                    .set_engine_version(version.map(|version| version.to_string()))
                    .set_db_instance_class((live.class != spec.class).then(|| spec.class.clone()))
                    .set_allocated_storage((takes_storage && live.storage != spec.storage).then_some(storage))
                    .set_storage_type(
                        (takes_storage && live.storage_type != spec.storage_type).then(|| spec.storage_type.clone()),
                    )
                    .publicly_accessible(spec.public)
                    .backup_retention_period(backup)
                    .copy_tags_to_snapshot(true)
                    .auto_minor_version_upgrade(true)
                    .deletion_protection(spec.deletion_protection)
                    .set_vpc_security_group_ids(groups)
                    .set_manage_master_user_password(keep_password.then_some(true))
                    // Otherwise class and version wait for the maintenance window, and the next plan would
                    // show the same change again.
                    .apply_immediately(true)
                    .send()
                    .await;
                return modified(aws, want, answer.map_err(|error| modify.failed(error))).await;
            }
            Change::SetTags { arn } => add_tags(aws, arn, &want.mark.tags()).await?,
            Change::Unprotect => {
                let request = aws.rds.modify_db_instance().db_instance_identifier(&want.identifier);
                let answer = request.deletion_protection(false).apply_immediately(true).send().await;
                return modified(aws, want, answer.map_err(|error| modify.failed(error))).await;
            }
            Change::Delete { snapshot } => return delete(aws, want, snapshot.as_deref()).await,
        }
        Ok(Applied::Accepted)
    }
}

/// RDS's code where an instance is at something else; on the wire it is mostly written without "Fault".
const BUSY: &[&str] = &["InvalidDBInstanceState", "InvalidDBInstanceStateFault"];

/// An instance that is backed up, or changed by somebody else since it was looked at, takes the change later.
async fn modified<T>(aws: &Aws, want: &Desired, answer: Result<T, AwsError>) -> Result<Applied, LiveError> {
    match answer {
        Ok(_) => Ok(Applied::Accepted),
        Err(error) if error.is(BUSY) => match Look::new(aws).instance(&want.identifier).await? {
            Some(live) => Ok(Applied::NotYet {
                saying: format!("the instance is {}: {error}", live.db_instance_status().unwrap_or("somewhere between")),
            }),
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn delete(aws: &Aws, want: &Desired, snapshot: Option<&str>) -> Result<Applied, LiveError> {
    let delete = call("rds", "DeleteDBInstance");
    let answer = aws
        .rds
        .delete_db_instance()
        .db_instance_identifier(&want.identifier)
        .skip_final_snapshot(snapshot.is_none())
        .set_final_db_snapshot_identifier(snapshot.map(str::to_owned))
        .send()
        .await
        .map_err(|error| delete.failed(error));
    match answer {
        // Being created, modified, or deleted already.
        Err(error) if error.is(BUSY) => {
            let live = Look::new(aws).instance(&want.identifier).await?;
            match live.as_ref().and_then(|live| live.db_instance_status()) {
                None | Some("deleting") => Ok(Applied::Accepted),
                Some(status) => Ok(Applied::NotYet { saying: format!("the instance is {status}") }),
            }
        }
        answer => {
            absent(answer, &["DBInstanceNotFound", "DBInstanceNotFoundFault"])?;
            Ok(Applied::Accepted)
        }
    }
}

/// The API counts in `i32`; the config's ranges are far below.
fn as_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The read replicas of `instance` and theirs, which RDS for PostgreSQL has since 14.1
/// (docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PostgreSQL.Replication.ReadReplicas.html). One in another
/// region is told by its ARN, and is not within the functions' reach; one that is on its way has no address yet.
async fn replicas(look: &Look<'_>, instance: &InstanceLook) -> Result<Vec<Server>, LiveError> {
    let mut found = BTreeMap::new();
    let mut queue = instance.read_replica_db_instance_identifiers().to_vec();
    let mut known = BTreeSet::new();
    while let Some(identifier) = queue.pop() {
        if identifier.starts_with("arn:") || !known.insert(identifier.clone()) {
            continue;
        }
        // Deleted since.
        let Some(replica) = look.instance(&identifier).await? else { continue };
        queue.extend(replica.read_replica_db_instance_identifiers().iter().cloned());
        if let Some(server) = server(&replica) {
            found.insert(identifier, server);
        }
    }
    Ok(found.into_values().collect())
}

/// Where an instance listens; None while it has no address yet.
pub(in crate::resources) fn server(instance: &InstanceLook) -> Option<Server> {
    let endpoint = instance.endpoint()?;
    Some(Server { host: endpoint.address()?.to_owned(), port: u16::try_from(endpoint.port()?).ok()? })
}

/// How the certificate of an instance's server stands now; None where RDS does not tell.
pub(in crate::resources) fn certificate(instance: &InstanceLook) -> Option<Certificate> {
    let certificate = instance.certificate_details()?;
    let until = certificate.valid_till()?.secs();
    let authority = certificate.ca_identifier().unwrap_or("an unknown authority");
    Some(Certificate::of(authority, until, jiff::Timestamp::now().as_second()))
}

fn observed(instance: &InstanceLook) -> Result<Observed, LiveError> {
    let describe = call("rds", "DescribeDBInstances");
    let text = |field: Option<&str>, name: &str| describe.expect(field, name).map(str::to_owned);
    let count = |field: Option<i32>| field.and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
    let version = text(instance.engine_version(), "EngineVersion")?;
    let server = server(instance);
    let port = server.as_ref().map(|server| server.port);
    Ok(Observed {
        arn: text(instance.db_instance_arn(), "DBInstanceArn")?,
        resource_id: text(instance.dbi_resource_id(), "DbiResourceId")?,
        engine: text(instance.engine(), "Engine")?,
        cluster: instance.db_cluster_identifier().map(str::to_owned),
        status: text(instance.db_instance_status(), "DBInstanceStatus")?,
        version: Version::parse(&version)
            .ok_or_else(|| describe.unexpected(format!("EngineVersion `{version}`")))?,
        class: text(instance.db_instance_class(), "DBInstanceClass")?,
        storage: count(instance.allocated_storage()),
        storage_type: instance.storage_type().unwrap_or_default().to_owned(),
        subnet_group: instance
            .db_subnet_group()
            .and_then(|group| group.db_subnet_group_name())
            .unwrap_or_default()
            .to_owned(),
        groups: instance
            .vpc_security_groups()
            .iter()
            .filter_map(|group| group.vpc_security_group_id())
            .map(|id| GroupId(id.to_owned()))
            .collect(),
        public: instance.publicly_accessible().unwrap_or(false),
        backup: count(instance.backup_retention_period()),
        // While an instance is being created only `DbInstancePort` tells the port, and may be 0.
        port: port
            .or_else(|| instance.db_instance_port().and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0)),
        master: instance.master_username().unwrap_or_default().to_owned(),
        deletion_protection: instance.deletion_protection().unwrap_or(false),
        encrypted: instance.storage_encrypted().unwrap_or(false),
        copy_tags: instance.copy_tags_to_snapshot().unwrap_or(false),
        minor_upgrades: instance.auto_minor_version_upgrade().unwrap_or(false),
        master_secret: instance.master_user_secret().and_then(|secret| {
            Some((
                MasterSecretArn(secret.secret_arn()?.to_owned()),
                secret.secret_status().unwrap_or("creating").to_owned(),
            ))
        }),
        certificate: certificate(instance),
        pending: instance.pending_modified_values().is_some_and(|values| {
            values.db_instance_class().is_some()
                || values.allocated_storage().is_some()
                || values.storage_type().is_some()
                || values.engine_version().is_some()
                || values.backup_retention_period().is_some()
        }),
        tags: read_tags(instance.tag_list()),
        server,
        replicas: Vec::new(),
    })
}

/// An instance that carries a deployment's tags, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tagged {
    pub identifier: String,
    pub arn: String,
    /// That its tags name.
    pub address: String,
    /// Ids of the security groups that it is in.
    pub groups: BTreeSet<String>,
}

/// All instances that say they are `deployment`'s, by name. RDS filters by no tag, and tells each instance's with it: one
/// call for a hundred instances. Those that are going are not among them.
pub async fn tagged(aws: &Aws, deployment: &str) -> Result<Vec<Tagged>, LiveError> {
    let describe = call("rds", "DescribeDBInstances");
    let found = aws.rds.describe_db_instances().into_paginator().items().send();
    let found = found.try_collect().await.map_err(|error| describe.failed(error))?;
    let mut tagged: Vec<_> = found
        .iter()
        .filter(|instance| instance.db_instance_status() != Some("deleting"))
        .filter_map(|instance| {
            Some(Tagged {
                identifier: instance.db_instance_identifier()?.to_owned(),
                arn: instance.db_instance_arn()?.to_owned(),
                address: address_of(deployment, &read_tags(instance.tag_list()))?,
                groups: instance
                    .vpc_security_groups()
                    .iter()
                    .filter_map(|group| group.vpc_security_group_id().map(str::to_owned))
                    .collect(),
            })
        })
        .collect();
    tagged.sort();
    Ok(tagged)
}
