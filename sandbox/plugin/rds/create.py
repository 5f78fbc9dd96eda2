"""CreateDBInstance: what AWS refuses, and its defaults."""
import re

from ministack.core.responses import request_scope
from ministack.services import ec2 as ministack_ec2
from ministack.services import rds as ministack_rds

from ..ec2 import groups as security
from ..ec2 import vpc
from ..registry import Request, operations
from ..world import Fault, Place
from . import tags, versions
from .instances import Instance, Instances
from .subnets import SubnetGroup, SubnetGroups

_IDENTIFIER = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_CLASS = re.compile(r"db\.[a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9-]+")
_MASTER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_DATABASE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
# `admin` is a word that RDS keeps on PostgreSQL only: https://github.com/aws-cloudformation/cfn-lint/pull/4425
_RESERVED = ("admin", "rdsadmin", "rdsrepladmin", "rds_superuser", "rds_password", "rds_iam", "rds_replication", "rds_ad")
_STORAGE_MINIMUM = {"gp2": 20, "gp3": 20, "io1": 100, "io2": 100, "standard": 10}
# One set of these per region; rsa2048 is what a new instance gets.
CERTIFICATES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")


def check_identifier(text: str, what: str = "DBInstanceIdentifier", longest: int = 63) -> None:
    if len(text) > longest or not _IDENTIFIER.fullmatch(text):
        raise Fault("InvalidParameterValue", f"The parameter {what} is not a valid identifier. Identifiers must begin with a letter; "
                    "must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.")


def check_password(text: str) -> None:
    if len(text) < 8:
        raise Fault("InvalidParameterValue", "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.")
    if len(text) > 128 or any(letter in "/@\" " or not 32 < ord(letter) < 127 for letter in text):
        raise Fault("InvalidParameterValue", "The parameter MasterUserPassword is not a valid password. Only printable ASCII "
                    "characters besides '/', '@', '\"', ' ' may be used.")


def check_master(master: str) -> None:
    if not _MASTER.fullmatch(master):
        raise Fault("InvalidParameterValue", f"MasterUsername {master} is not valid: it must begin with a letter and have up to "
                    "63 letters, digits and underscores.")
    if master.lower() in _RESERVED or master.lower().startswith("pg_"):
        raise Fault("InvalidParameterValue", f"MasterUsername {master} cannot be used as it is a reserved word used by the engine")


def check_port(port: int) -> None:
    if not 1150 <= port <= 65535:
        raise Fault("InvalidParameterValue", f"Invalid port {port}: it must be between 1150 and 65535.")


def check_class(text: str) -> None:
    if not _CLASS.fullmatch(text):
        raise Fault("InvalidParameterValue", f"Invalid DB Instance class: {text}")


def check_storage(kind: str, size: int) -> None:
    if kind not in _STORAGE_MINIMUM:
        raise Fault("StorageTypeNotSupportedFault", f"Invalid storage type: {kind}")
    if not _STORAGE_MINIMUM[kind] <= size <= 65536:
        raise Fault("InvalidParameterCombination", f"Invalid storage size for engine name postgres and storage type {kind}: {size}")


def check_groups(place: Place, groups: list[str], vpc_id: str) -> None:
    for each in groups:
        try:
            group = place.of(security.Groups).get(each)
        except Fault as fault:
            raise Fault("InvalidParameterValue", f"Invalid security group , groupId= {each}, groupName=.") from fault
        if group.vpc_id != vpc_id:  # not the documented InvalidVPCNetworkStateFault: terraform-aws-rds issues 344, 395, 451
            raise Fault("InvalidParameterCombination", "The DB instance and EC2 security group are in different VPCs. "
                        f"The DB instance is in {vpc_id} and the EC2 security group is in {group.vpc_id}")


def check_parameter_group(place: Place, name: str, version: str) -> None:
    wanted = f"postgres{version.split('.')[0]}"
    with request_scope(place.account.number, place.region):
        found = ministack_rds._param_groups.get(name)
    if found is None and name not in [f"default.postgres{major}" for major in versions.OFFERED]:
        raise Fault("DBParameterGroupNotFoundFault", f"DBParameterGroup not found: {name}")
    family = found["DBParameterGroupFamily"] if found else name.removeprefix("default.")
    if family != wanted:
        raise Fault("InvalidParameterCombination", f"The Parameter Group {name} with DBParameterGroupFamily {family} can't be used "
                    f"for this instance. Please use a Parameter Group with DBParameterGroupFamily {wanted}")


def check_growth(size: int, most: int | None) -> None:
    if most is not None and most <= size:
        raise Fault("InvalidParameterCombination", "Max storage size must be greater than storage size")


def check_public(place: Place, vpc_id: str) -> None:
    """https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html"""
    if not _has_internet_gateway(place, vpc_id):
        raise Fault("InvalidVPCNetworkStateFault", "Cannot create a publicly accessible DBInstance. The specified VPC has no "
                    "internet gateway attached. Update the VPC and then try again")
    if not vpc.dns(place, vpc_id):
        raise Fault("InvalidVPCNetworkStateFault", "Cannot create a publicly accessible DBInstance. The specified VPC does not "
                    "support DNS resolution, DNS hostnames, or both. Update the VPC and then try again")


def _required(params: dict, *names: str) -> None:
    for name in names:
        if params.get(name) in (None, ""):
            raise Fault("InvalidParameterValue" if name != "AllocatedStorage" else "InvalidParameterCombination",
                        f"The parameter {name} must be provided and must not be blank.")


def subnet_group(place: Place, name: str | None) -> SubnetGroup:
    groups = place.of(SubnetGroups)
    if name is None and "default" not in groups.by_name:  # AWS makes it from the default VPC's subnets
        with request_scope(place.account.number, place.region):
            ministack_ec2._ensure_defaults_initialized()
            subnets = [each["SubnetId"] for each in ministack_ec2._subnets.values() if each["DefaultForAz"]]
        groups.by_name["default"] = SubnetGroup(place, "default", "default", vpc.VPC, subnets, {})
    return groups.get(name or "default")


def _has_internet_gateway(place: Place, vpc_id: str) -> bool:
    with request_scope(place.account.number, place.region):
        return any(each["VpcId"] == vpc_id for gateway in ministack_ec2._internet_gateways.values()
                   for each in gateway["Attachments"])


def _create(request: Request) -> dict:
    from .api import shown  # which imports us
    place, params = request.place, request.params
    instances, identifier = place.of(Instances), params["DBInstanceIdentifier"].lower()
    check_identifier(identifier)
    if "DBClusterIdentifier" in params:
        from .cluster_api import create_member  # which imports us
        check_class(params["DBInstanceClass"])
        if instances.exists(identifier):
            raise Fault("DBInstanceAlreadyExistsFault", "DB instance already exists")
        return {"DBInstance": shown(create_member(place, params))}
    if params["Engine"] != "postgres":
        raise Fault("InvalidParameterValue", f"Invalid DB engine: {params['Engine']} (the sandbox has only postgres)")
    check_class(params["DBInstanceClass"])
    _required(params, "AllocatedStorage", "MasterUsername")
    managed = params.get("ManageMasterUserPassword", False)
    if managed and "MasterUserPassword" in params:
        raise Fault("InvalidParameterCombination", "You can't specify MasterUserPassword when ManageMasterUserPassword is enabled.")
    if not managed:
        _required(params, "MasterUserPassword")
        check_password(params["MasterUserPassword"])
    master = params["MasterUsername"]
    check_master(master)
    version = versions.resolve(params.get("EngineVersion"), place)
    kind = params.get("StorageType", "gp2")
    check_storage(kind, params["AllocatedStorage"])
    check_growth(params["AllocatedStorage"], params.get("MaxAllocatedStorage"))
    # Below 400 GiB, gp3 on PostgreSQL has its baseline and no other:
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html
    if kind == "gp3" and params["AllocatedStorage"] < 400 and ("Iops" in params or "StorageThroughput" in params):
        raise Fault("InvalidParameterCombination", "You can't specify IOPS or storage throughput for engine postgres and a "
                    "storage size less than 400.")
    if "DBName" in params and not _DATABASE.fullmatch(params["DBName"]):
        raise Fault("InvalidParameterValue", "DBName must begin with a letter and contain only alphanumeric characters.")
    port = params.get("Port", 5432)
    check_port(port)
    if not 0 <= params.get("BackupRetentionPeriod", 1) <= 35:
        raise Fault("InvalidParameterValue", f"Invalid backup retention period: {params['BackupRetentionPeriod']}. Must be between 0 and 35.")
    if params.get("CACertificateIdentifier", CERTIFICATES[0]) not in CERTIFICATES:
        raise Fault("CertificateNotFoundFault", f"Certificate not found: {params['CACertificateIdentifier']}")
    group = subnet_group(place, params.get("DBSubnetGroupName"))
    groups = params.get("VpcSecurityGroupIds") or [place.of(security.Groups).default(group.vpc_id).group_id]
    check_groups(place, groups, group.vpc_id)
    parameters = params.get("DBParameterGroupName") or f"default.postgres{version.split('.')[0]}"
    check_parameter_group(place, parameters, version)
    if params.get("PubliclyAccessible"):
        check_public(place, group.vpc_id)
    given = tags.given(params.get("Tags"))
    if instances.exists(identifier):
        raise Fault("DBInstanceAlreadyExistsFault", "DB instance already exists")
    instance = Instance(
        place, identifier, version, port, master, params.get("DBName"), group.vpc_id, group.name, list(group.subnets),
        list(groups), params.get("PubliclyAccessible", _has_internet_gateway(place, group.vpc_id)),
        _shown_as_asked(place, params, kind, parameters), given)
    instances.add(instance, None if managed else params["MasterUserPassword"])
    return {"DBInstance": shown(instance)}


def _shown_as_asked(place: Place, params: dict, kind: str, parameters: str) -> dict:
    encrypted = params.get("StorageEncrypted", False) or "KmsKeyId" in params
    return {
        "DBInstanceClass": params["DBInstanceClass"], "AllocatedStorage": params["AllocatedStorage"], "StorageType": kind,
        "Iops": params.get("Iops", 3000 if kind == "gp3" else None),
        "StorageThroughput": params.get("StorageThroughput", 125 if kind == "gp3" else None),
        "MaxAllocatedStorage": params.get("MaxAllocatedStorage"),
        "StorageEncrypted": encrypted,
        "KmsKeyId": params.get("KmsKeyId") or (place.arn("kms", "key/aws-rds") if encrypted else None),
        "BackupRetentionPeriod": params.get("BackupRetentionPeriod", 1),
        "PreferredBackupWindow": params.get("PreferredBackupWindow", "03:10-03:40"),
        "PreferredMaintenanceWindow": params.get("PreferredMaintenanceWindow", "sun:04:30-sun:05:00"),
        "MultiAZ": params.get("MultiAZ", False), "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", False),
        "DeletionProtection": params.get("DeletionProtection", False),
        "IAMDatabaseAuthenticationEnabled": params.get("EnableIAMDatabaseAuthentication", False),
        "PerformanceInsightsEnabled": params.get("EnablePerformanceInsights", False),
        "MonitoringInterval": params.get("MonitoringInterval", 0),
        "EnabledCloudwatchLogsExports": params.get("EnableCloudwatchLogsExports") or None,
        "CACertificateIdentifier": params.get("CACertificateIdentifier", CERTIFICATES[0]),
        "LicenseModel": "postgresql-license", "DBParameterGroupName": parameters,
    }


operations("rds", CreateDBInstance=_create)
