"""CreateDBInstanceReadReplica: a real streaming replica behind it."""
from ..registry import Request, operations
from ..world import Fault
from . import tags
from .create import check_class, check_groups, check_identifier, check_public
from .instances import Instance, Instances

# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReadRepl.html: of one source
MOST = 15


def _create(request: Request) -> dict:
    from .api import shown  # which imports us
    place, params = request.place, request.params
    instances, identifier = place.of(Instances), params["DBInstanceIdentifier"].lower()
    check_identifier(identifier)
    source = instances.get(params.get("SourceDBInstanceIdentifier", ""))
    _check_source(instances, source)
    check_class(params.get("DBInstanceClass", source.shown["DBInstanceClass"]))
    groups = params.get("VpcSecurityGroupIds") or list(source.groups)
    check_groups(place, groups, source.vpc_id)
    if params.get("PubliclyAccessible"):
        check_public(place, source.vpc_id)
    given = tags.given(params.get("Tags"))
    if instances.exists(identifier):
        raise Fault("DBInstanceAlreadyExistsFault", "DB instance already exists")
    told = {**source.shown, "BackupRetentionPeriod": 0, "DeletionProtection": params.get("DeletionProtection", False),
            "DBInstanceClass": params.get("DBInstanceClass", source.shown["DBInstanceClass"])}
    replica = Instance(place, identifier, source.version, source.port, source.master, source.database, source.vpc_id,
                       source.subnet_group, list(source.subnets), groups, params.get("PubliclyAccessible", False), told, given,
                       source=source.identifier)
    instances.add_replica(replica, source)
    return {"DBInstance": shown(replica)}


def _check_source(instances: Instances, source: Instance) -> None:
    if source.master_secret:
        # As told in https://github.com/terraform-aws-modules/terraform-aws-rds/issues/532, of MySQL; the User guide's
        # "Limitations for Secrets Manager integration" says the same of all engines but SQL Server.
        raise Fault("InvalidParameterValue", "Creating read replicas for source instance with engine postgres where "
                    "ManageMasterUserPassword is enabled is not supported.")
    if source.status != "available":
        raise Fault("InvalidDBInstanceStateFault", f"The source instance {source.identifier} is not in available state.")
    if not source.shown["BackupRetentionPeriod"] and source.source is None:
        raise Fault("InvalidDBInstanceStateFault", "Automated backups are not enabled for this database instance. To enable "
                    "automated backups, use ModifyDBInstance to set the backup retention period to a non-zero value.")
    if len(instances.replicas_of(source)) >= MOST:
        raise Fault("InstanceQuotaExceededFault", f"{source.identifier} has {MOST} read replicas already.")


def refuse_password(instance: Instance, params: dict) -> None:
    """https://github.com/terraform-aws-modules/terraform-aws-rds/issues/526"""
    if instance.source is not None and {"MasterUserPassword", "ManageMasterUserPassword"} & params.keys():
        raise Fault("InvalidParameterCombination", "Cannot change master user password on an RDS postgres Read Replica because "
                    "it uses physical replication and therefore cannot differ from its parent.")


operations("rds", CreateDBInstanceReadReplica=_create)
