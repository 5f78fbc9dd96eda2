"""RDS's other operations: describing, modifying, deleting, tags."""
from ..certificates import LIFETIME
from ..registry import PASS_ON, Request, operations
from ..secrets.rotation import run_managed
from ..secrets.store import Secrets
from ..world import After, Fault, tag_list
from ..ec2 import vpc
from . import versions
from . import tags as tagging
from .clusters import Clusters
from .create import (CERTIFICATES, check_class, check_groups, check_growth, check_identifier, check_parameter_group,
                     check_password, check_public, check_storage)
from .instances import LINGERING_SHARE, Instance, Instances, Snapshot, make_password
from .pages import page
from .proxies import Proxies
from .replicas import refuse_password
from .subnets import SubnetGroups

# A change of these waits for ApplyImmediately or the maintenance window; of the others, AWS makes it at once.
_DEFERRABLE = ("DBInstanceClass", "AllocatedStorage", "StorageType", "Iops", "StorageThroughput", "MultiAZ", "EngineVersion",
               "CACertificateIdentifier", "BackupRetentionPeriod")
_AT_ONCE = ("DeletionProtection", "CopyTagsToSnapshot", "AutoMinorVersionUpgrade", "PreferredBackupWindow",
            "PreferredMaintenanceWindow", "MaxAllocatedStorage", "MonitoringInterval")


def shown(instance: Instance) -> dict:
    place, told = instance.place, dict(instance.shown)
    parameters, major = told.pop("DBParameterGroupName"), instance.version.split(".")[0]
    told |= {
        "DBInstanceIdentifier": instance.identifier, "DBInstanceArn": instance.arn, "DbiResourceId": instance.resource_id,
        "DBInstanceStatus": instance.status, "Engine": instance.engine, "EngineVersion": instance.version,
        "MasterUsername": instance.master, "DBName": instance.database, "PubliclyAccessible": instance.public,
        "DBSubnetGroup": {key: value for key, value in place.of(SubnetGroups).get(instance.subnet_group).shown().items()
                          if key not in ("DBSubnetGroupArn", "SupportedNetworkTypes")},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": each, "Status": "active"} for each in instance.groups],
        "DBSecurityGroups": [],
        "ReadReplicaDBInstanceIdentifiers": [each.identifier for each in place.of(Instances).replicas_of(instance)],
        "DbInstancePort": 0, "DBParameterGroups": [{"DBParameterGroupName": parameters, "ParameterApplyStatus": "in-sync"}],
        "OptionGroupMemberships": [{"OptionGroupName": f"default:postgres-{major}", "Status": "in-sync"}],
        "PendingModifiedValues": {key: value for key, value in instance.pending.items() if key != "StorageThroughput"},
        "TagList": tag_list(instance.tags), "NetworkType": "IPV4", "CustomerOwnedIpEnabled": False,
        "ActivityStreamStatus": "stopped", "BackupTarget": "region", "DedicatedLogVolume": False,
        "EngineLifecycleSupport": "open-source-rds-extended-support", "IsStorageConfigUpgradeAvailable": False,
    }
    if instance.cluster:
        told["DBClusterIdentifier"] = instance.cluster.identifier
    if instance.source:
        told["ReadReplicaSourceDBInstanceIdentifier"] = instance.source
    if instance.address:
        told["Endpoint"] = {"Address": instance.address, "Port": instance.port, "HostedZoneId": "Z2CSQNT2AAAAAA"}
        told["InstanceCreateTime"] = told["LatestRestorableTime"] = instance.created
        told["AvailabilityZone"] = vpc.subnet(place, instance.subnets[0])["AvailabilityZone"]
        told["CertificateDetails"] = {"CAIdentifier": told["CACertificateIdentifier"],
                                      "ValidTill": instance.certified + LIFETIME.total_seconds()}
    if instance.master_secret:
        told["MasterUserSecret"] = {"SecretArn": instance.master_secret, "SecretStatus": instance.master_secret_status(),
                                    "KmsKeyId": place.arn("kms", "key/aws-secretsmanager")}
    return told


def _describe(request: Request) -> dict:
    instances, params = request.place.of(Instances), request.params
    found = [instances.get(params["DBInstanceIdentifier"])] if "DBInstanceIdentifier" in params else instances.all()
    for each in params.get("Filters", []):
        keys = {"db-instance-id": lambda i: (i.identifier, i.arn), "dbi-resource-id": lambda i: (i.resource_id,),
                "engine": lambda i: (i.engine,),
                "db-cluster-id": lambda i: (i.cluster.identifier, i.cluster.arn) if i.cluster else ()}
        if each["Name"] not in keys:
            raise Fault("InvalidParameterValue", f"Unrecognized filter name: {each['Name']}")
        found = [i for i in found if set(keys[each["Name"]](i)) & set(each["Values"])]
    part, marker = page([shown(each) for each in found], params)
    return {"DBInstances": part, "Marker": marker}


def _modify(request: Request) -> dict:
    place, params = request.place, request.params
    instances = place.of(Instances)
    instance = instances.get(params["DBInstanceIdentifier"])
    if instance.status != "available" or instance.modified is not None:
        raise Fault("InvalidDBInstanceStateFault", "Database instance is not in available state.")
    changes = {key: params[key] for key in _DEFERRABLE if key in params and params[key] != instance.shown.get(key)}
    _check_changes(place, instance, params, changes)
    refuse_password(instance, params)
    _refuse_cluster(instance, params)
    _change_password(instances, instance, params)
    if "VpcSecurityGroupIds" in params:
        instance.groups = params["VpcSecurityGroupIds"]
    instance.public = params.get("PubliclyAccessible", instance.public)
    instance.apply({key: params[key] for key in _AT_ONCE if key in params})
    if "EnableIAMDatabaseAuthentication" in params:
        instance.shown["IAMDatabaseAuthenticationEnabled"] = params["EnableIAMDatabaseAuthentication"]
    if "DBParameterGroupName" in params:
        instance.shown["DBParameterGroupName"] = params["DBParameterGroupName"]
    if changes:
        instance.pending |= changes
        # Without ApplyImmediately they stay pending: the sandbox has no maintenance window.
        if params.get("ApplyImmediately"):
            seconds = place.delay("instance_modify")
            instance.modify_lingers, instance.modified = After(seconds * LINGERING_SHARE), After(seconds)
    return {"DBInstance": shown(instance)}


def _refuse_cluster(instance: Instance, params: dict) -> None:
    """They are the cluster's (API reference, CreateDBInstance); the code is not verified on AWS."""
    for name in ("MasterUserPassword", "ManageMasterUserPassword", "VpcSecurityGroupIds", "BackupRetentionPeriod"):
        if instance.cluster and name in params:
            raise Fault("InvalidParameterCombination", "The specified DB Instance is a member of a cluster. "
                        f"Modify {name} for the DB Instance using the ModifyDbCluster API")


def _check_changes(place, instance: Instance, params: dict, changes: dict) -> None:
    if "EngineVersion" in changes:
        changes["EngineVersion"] = versions.resolve(params["EngineVersion"], place)
        versions.check_upgrade(instance.version, changes["EngineVersion"], params.get("AllowMajorVersionUpgrade", False))
        if changes["EngineVersion"] == instance.version:
            del changes["EngineVersion"]
    if "DBInstanceClass" in changes:
        check_class(changes["DBInstanceClass"])
    if "AllocatedStorage" in changes or "StorageType" in changes:
        size = changes.get("AllocatedStorage", instance.shown["AllocatedStorage"])
        check_storage(changes.get("StorageType", instance.shown["StorageType"]), size)
        if size < instance.shown["AllocatedStorage"]:
            raise Fault("InvalidParameterCombination", "Requested allocated storage cannot be less than the current allocated storage.")
        if instance.shown["AllocatedStorage"] < size < instance.shown["AllocatedStorage"] * 1.1:
            raise Fault("InvalidParameterCombination", "Allocated storage must be increased by at least 10 percent.")
    check_growth(changes.get("AllocatedStorage", instance.shown["AllocatedStorage"]), params.get("MaxAllocatedStorage"))
    if params.get("PubliclyAccessible") and not instance.public:
        check_public(place, instance.vpc_id)
    if not 0 <= changes.get("BackupRetentionPeriod", 0) <= 35:
        raise Fault("InvalidParameterValue", f"Invalid backup retention period: {changes['BackupRetentionPeriod']}. Must be between 0 and 35.")
    if changes.get("CACertificateIdentifier", CERTIFICATES[0]) not in CERTIFICATES:
        raise Fault("CertificateNotFoundFault", f"Certificate not found: {changes['CACertificateIdentifier']}")
    if "VpcSecurityGroupIds" in params:
        check_groups(place, params["VpcSecurityGroupIds"], instance.vpc_id)
    if "DBParameterGroupName" in params:
        check_parameter_group(place, params["DBParameterGroupName"], instance.version)
    for unsupported in ("NewDBInstanceIdentifier", "DBPortNumber", "DBSubnetGroupName"):
        if unsupported in params:
            raise Fault("InvalidParameterCombination", f"The sandbox does not change {unsupported} of an instance.")


def _change_password(instances: Instances, instance: Instance, params: dict) -> None:
    password, managed = params.get("MasterUserPassword"), params.get("ManageMasterUserPassword")
    if password is not None and (managed or instance.master_secret and managed is None):
        raise Fault("InvalidParameterCombination", "You can't specify MasterUserPassword while the password is managed by RDS in Secrets Manager.")
    if managed is False and instance.master_secret and password is None:
        raise Fault("InvalidParameterCombination", "MasterUserPassword must be specified when ManageMasterUserPassword is turned off.")
    if password is not None:
        check_password(password)
        instances.release_master_secret(instance)
        instances.change_password(instance, password)
    elif managed and not instance.master_secret:
        made = make_password()
        instances.change_password(instance, made)
        instances.make_master_secret(instance, made)
    elif params.get("RotateMasterUserPassword"):
        if not instance.master_secret:
            raise Fault("InvalidParameterCombination", "RotateMasterUserPassword needs a master password that RDS manages.")
        run_managed(instance.place, instance.place.of(Secrets).get(instance.master_secret))


def _delete(request: Request) -> dict:
    instances, params = request.place.of(Instances), request.params
    instance = instances.get(params["DBInstanceIdentifier"])
    skip, final = params.get("SkipFinalSnapshot", False), params.get("FinalDBSnapshotIdentifier")
    if instance.status == "deleting":
        raise Fault("InvalidDBInstanceStateFault", f"Instance {instance.identifier} is already being deleted.")
    if skip and final:
        raise Fault("InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot.")
    if not skip and not final and not instance.cluster:
        raise Fault("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if instance.shown["DeletionProtection"]:
        raise Fault("InvalidParameterCombination", "Cannot delete protected DB Instance, please disable deletion protection and try again.")
    if instance.cluster:
        # A member is nothing to take a snapshot of; https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBInstance.html
        instance.cluster.check_leaving(instance)
    if final:
        check_identifier(final, "FinalDBSnapshotIdentifier", 255)
        if final.lower() in instances.snapshots:
            raise Fault("DBSnapshotAlreadyExistsFault", f"Cannot create the snapshot because a snapshot with the identifier {final} already exists.")
        if instance.status in ("creating", "failed"):
            raise Fault("InvalidDBInstanceStateFault", f"Cannot create a snapshot because the database instance {instance.identifier} "
                        "is not currently in the available state.")
    instances.delete(instance, final and final.lower())
    return {"DBInstance": shown(instance)}


# --- snapshots ------------------------------------------------------------------------------------

def _shown_snapshot(snapshot: Snapshot) -> dict:
    return {**snapshot.instance, "DBSnapshotIdentifier": snapshot.identifier, "DBSnapshotArn": snapshot.arn,
            "SnapshotType": "manual", "Status": "available" if snapshot.ready else "creating",
            "PercentProgress": 100 if snapshot.ready else 10, "SnapshotCreateTime": snapshot.created,
            "TagList": tag_list(snapshot.tags)}


def _snapshot(instances: Instances, identifier: str) -> Snapshot:
    found = instances.snapshots.get(identifier.rsplit(":", 1)[-1].lower())
    if found is None:
        raise Fault("DBSnapshotNotFoundFault", f"DBSnapshot {identifier} not found.")
    return found


def _create_snapshot(request: Request) -> dict:
    instances, params = request.place.of(Instances), request.params
    identifier = params["DBSnapshotIdentifier"].lower()
    check_identifier(identifier, "DBSnapshotIdentifier", 255)
    if identifier in instances.snapshots:
        raise Fault("DBSnapshotAlreadyExistsFault", f"Cannot create the snapshot because a snapshot with the identifier {identifier} already exists.")
    instance = instances.get(params["DBInstanceIdentifier"])
    if instance.status != "available":
        raise Fault("InvalidDBInstanceStateFault", "Database instance is not in available state.")
    given = tagging.given(params.get("Tags"))
    made = instances.snapshot(instance, identifier)
    made.tags |= given
    return {"DBSnapshot": _shown_snapshot(made)}


def _describe_snapshots(request: Request) -> dict:
    instances, params = request.place.of(Instances), request.params
    found = [_snapshot(instances, params["DBSnapshotIdentifier"])] if "DBSnapshotIdentifier" in params else list(instances.snapshots.values())
    for key in ("DBInstanceIdentifier", "DbiResourceId"):
        if key in params:
            found = [each for each in found if each.instance[key].lower() == params[key].lower()]
    part, marker = page([_shown_snapshot(each) for each in found], params)
    return {"DBSnapshots": part, "Marker": marker}


def _delete_snapshot(request: Request) -> dict:
    instances = request.place.of(Instances)
    found = _snapshot(instances, request.params["DBSnapshotIdentifier"])
    if not found.ready:
        raise Fault("InvalidDBSnapshotStateFault", "Cannot delete the snapshot because it is not currently in the available state.")
    del instances.snapshots[found.identifier]
    return {"DBSnapshot": {**_shown_snapshot(found), "Status": "deleted"}}


# --- tags, versions, certificates -------------------------------------------------------------------

def _tags(request: Request) -> dict[str, str] | None:
    arn, here = request.params["ResourceName"], request.place
    if not arn.startswith(f"arn:aws:rds:{here.region}:{here.account.number}:"):
        raise Fault("InvalidParameterValue", f"Invalid resource name: {arn}")
    for kind in (Instances, Clusters, SubnetGroups, Proxies):
        found = request.place.of(kind).tags_of(arn)
        if found is not None:
            return found
    name = arn.rsplit(":", 1)[-1]
    if ":db:" in arn:
        raise Fault("DBInstanceNotFoundFault", f"DBInstance {name} not found.")
    if ":cluster:" in arn:
        raise Fault("DBClusterNotFoundFault", f"DBCluster {name} not found.")
    if ":subgrp:" in arn:
        raise Fault("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.")
    if ":snapshot:" in arn:
        raise Fault("DBSnapshotNotFoundFault", f"DBSnapshot {name} not found.")
    return None


def _list_tags(request: Request):
    tags = _tags(request)
    return PASS_ON if tags is None else {"TagList": tag_list(tags)}


def _add_tags(request: Request):
    tags, given = _tags(request), tagging.given(request.params["Tags"])
    if tags is None:
        return PASS_ON
    tags.update(given)
    return {}


def _remove_tags(request: Request):
    tags = _tags(request)
    if tags is None:
        return PASS_ON
    for key in request.params["TagKeys"]:
        tags.pop(key, None)
    return {}


def _engine_versions(request: Request) -> dict:
    params = request.params
    if params.get("Engine", "postgres") != "postgres":
        return {"DBEngineVersions": []}
    asked = params.get("EngineVersion", "")
    withdrawn = request.place.of(versions.Withdrawn).versions
    known = [each for each in versions.all_offered() if params.get("IncludeAll") or each not in withdrawn]
    found = [each for each in known if not asked or each == asked or each.split(".")[0] == asked]
    if params.get("DefaultOnly"):
        found = [each for each in found if each == f"{each.split('.')[0]}.{versions.DEFAULT_MINOR[each.split('.')[0]]}"]
        found = found if asked else found[:1]
    told = [{
        "Engine": "postgres", "EngineVersion": each, "MajorEngineVersion": each.split(".")[0],
        "Status": "deprecated" if each in withdrawn else "available",
        "DBParameterGroupFamily": f"postgres{each.split('.')[0]}", "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": f"PostgreSQL {each}",
        "ValidUpgradeTarget": [{"Engine": "postgres", "EngineVersion": other, "AutoUpgrade": False,
                                "IsMajorVersionUpgrade": other.split(".")[0] != each.split(".")[0]}
                               for other in versions.all_offered() if versions.key(other) > versions.key(each)],
    } for each in found]
    part, marker = page(told, params)
    return {"DBEngineVersions": part, "Marker": marker}


def _certificates(request: Request) -> dict:
    wanted = request.params.get("CertificateIdentifier")
    return {"DefaultCertificateForNewLaunches": CERTIFICATES[0],
            "Certificates": [{"CertificateIdentifier": each, "CertificateType": "CA", "CertificateArn":
                              f"arn:aws:rds:{request.place.region}::cert:{each}"} for each in CERTIFICATES if wanted in (None, each)]}


operations("rds", DescribeDBInstances=_describe, ModifyDBInstance=_modify, DeleteDBInstance=_delete,
           CreateDBSnapshot=_create_snapshot, DescribeDBSnapshots=_describe_snapshots, DeleteDBSnapshot=_delete_snapshot,
           ListTagsForResource=_list_tags, AddTagsToResource=_add_tags, RemoveTagsFromResource=_remove_tags,
           DescribeDBEngineVersions=_engine_versions, DescribeCertificates=_certificates)
