"""RDS's operations on Aurora PostgreSQL clusters, and CreateDBInstance of a member."""
from ..ec2 import groups as security
from ..registry import Request, operations
from ..secrets.rotation import run_managed
from ..secrets.store import Secrets
from ..world import Fault, Place, tag_list
from . import tags, versions
from .clusters import ENGINE, Cluster, Clusters
from .create import check_groups, check_identifier, check_master, check_password, check_port, subnet_group
from .instances import Instance, make_password
from .pages import page

# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.html: a writer and up to 15 readers
MOST = 16


def shown(cluster: Cluster) -> dict:
    place, told = cluster.place, dict(cluster.shown)
    address = None if cluster.status == "creating" else cluster.endpoint.address
    told |= {
        "DBClusterIdentifier": cluster.identifier, "DBClusterArn": cluster.arn, "DbClusterResourceId": cluster.resource_id,
        "Status": cluster.status, "Engine": ENGINE, "EngineVersion": cluster.version, "EngineMode": "provisioned",
        "Port": cluster.port, "MasterUsername": cluster.master, "DatabaseName": cluster.database,
        "DBSubnetGroup": cluster.subnet_group, "ClusterCreateTime": cluster.created, "MultiAZ": len(cluster.members()) > 1,
        "VpcSecurityGroups": [{"VpcSecurityGroupId": each, "Status": "active"} for each in cluster.groups],
        "DBClusterMembers": [{"DBInstanceIdentifier": each.identifier, "IsClusterWriter": each.identifier == cluster.writer,
                              "DBClusterParameterGroupStatus": "in-sync", "PromotionTier": 1} for each in cluster.members()],
        "ReadReplicaIdentifiers": [], "AssociatedRoles": [], "TagList": tag_list(cluster.tags), "AllocatedStorage": 1,
        "HostedZoneId": "Z2CSQNT2AAAAAA", "NetworkType": "IPV4", "CrossAccountClone": False,
    }
    if address:
        told |= {"Endpoint": address, "ReaderEndpoint": cluster.reader_endpoint.address}
    if cluster.master_secret:
        told["MasterUserSecret"] = {"SecretArn": cluster.master_secret, "SecretStatus": cluster.master_secret_status(),
                                    "KmsKeyId": place.arn("kms", "key/aws-secretsmanager")}
    return told


def _create(request: Request) -> dict:
    place, params = request.place, request.params
    clusters, identifier = place.of(Clusters), params["DBClusterIdentifier"].lower()
    check_identifier(identifier, "DBClusterIdentifier")
    if params["Engine"] != ENGINE:
        raise Fault("InvalidParameterValue", f"Invalid DB engine: {params['Engine']} (the sandbox has clusters of {ENGINE} only)")
    managed, password = params.get("ManageMasterUserPassword", False), params.get("MasterUserPassword")
    if managed and password is not None:
        raise Fault("InvalidParameterCombination", "You can't specify MasterUserPassword when ManageMasterUserPassword is enabled.")
    for name in ("MasterUsername", *(() if managed else ("MasterUserPassword",))):
        if not params.get(name):
            raise Fault("InvalidParameterValue", f"The parameter {name} must be provided and must not be blank.")
    check_master(params["MasterUsername"])
    if password is not None:
        check_password(password)
    version, port = versions.resolve(params.get("EngineVersion"), place), params.get("Port", 5432)
    check_port(port)
    group = subnet_group(place, params.get("DBSubnetGroupName"))
    groups = params.get("VpcSecurityGroupIds") or [place.of(security.Groups).default(group.vpc_id).group_id]
    check_groups(place, groups, group.vpc_id)
    given = tags.given(params.get("Tags"))
    if clusters.exists(identifier):
        raise Fault("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    told = {"BackupRetentionPeriod": params.get("BackupRetentionPeriod", 1), "StorageEncrypted": params.get("StorageEncrypted", False),
            "DeletionProtection": params.get("DeletionProtection", False), "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", False),
            "IAMDatabaseAuthenticationEnabled": params.get("EnableIAMDatabaseAuthentication", False)}
    cluster = Cluster(place, identifier, version, port, params["MasterUsername"], make_password() if managed else password,
                      params.get("DatabaseName"), group.vpc_id, group.name, list(group.subnets), list(groups), told, given)
    clusters.add(cluster, managed)
    return {"DBCluster": shown(cluster)}


def create_member(place: Place, params: dict) -> Instance:
    """What a cluster has, its members do not choose.
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html"""
    cluster, identifier = place.of(Clusters).get(params["DBClusterIdentifier"]), params["DBInstanceIdentifier"].lower()
    if params["Engine"] != ENGINE:
        raise Fault("InvalidParameterCombination", f"The engine name requested for your DB instance ({params['Engine']}) doesn't match "
                    f"the engine name of your DB cluster ({ENGINE}).")
    for name in ("MasterUsername", "MasterUserPassword", "ManageMasterUserPassword", "AllocatedStorage", "VpcSecurityGroupIds", "DBName"):
        if name in params:
            raise Fault("InvalidParameterCombination", f"{name} is the cluster's: it cannot be given for a DB instance of engine {ENGINE}.")
    _expect(cluster)
    members = cluster.members()
    if len(members) >= MOST:
        raise Fault("InstanceQuotaExceededFault", f"{cluster.identifier} has {MOST} members already.")
    if members and not (writer := cluster.writing()).address:
        raise Fault("InvalidDBClusterStateFault", f"The sandbox adds no reader before the writer {writer.identifier} is there.")
    if not members and cluster.had_members:
        raise Fault("InvalidDBClusterStateFault", "The sandbox's cluster has lost its data with its last member.")
    given = tags.given(params.get("Tags"))
    told = {
        "DBInstanceClass": params["DBInstanceClass"], "AllocatedStorage": 1, "StorageType": "aurora", "Iops": None, "StorageThroughput": None,
        "MaxAllocatedStorage": None, "StorageEncrypted": cluster.shown["StorageEncrypted"], "KmsKeyId": None, "MultiAZ": False,
        "BackupRetentionPeriod": cluster.shown["BackupRetentionPeriod"], "DeletionProtection": False, "CopyTagsToSnapshot": False,
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True), "MonitoringInterval": 0,
        "PreferredBackupWindow": "03:10-03:40", "PreferredMaintenanceWindow": "sun:04:30-sun:05:00", "LicenseModel": "postgresql-license",
        "IAMDatabaseAuthenticationEnabled": False, "PerformanceInsightsEnabled": False, "EnabledCloudwatchLogsExports": None,
        "CACertificateIdentifier": params.get("CACertificateIdentifier", "rds-ca-rsa2048-g1"), "PromotionTier": 1,
        "DBParameterGroupName": f"default.{ENGINE}{cluster.version.split('.')[0]}",
    }
    member = Instance(place, identifier, cluster.version, cluster.port, cluster.master, cluster.database, cluster.vpc_id,
                      cluster.subnet_group, list(cluster.subnets), cluster.groups, params.get("PubliclyAccessible", False), told, given,
                      cluster=cluster)
    cluster.add(member)
    return member


def _describe(request: Request) -> dict:
    clusters, params = request.place.of(Clusters), request.params
    found = [clusters.get(params["DBClusterIdentifier"])] if "DBClusterIdentifier" in params else clusters.all()
    for each in params.get("Filters", []):
        keys = {"db-cluster-id": lambda c: (c.identifier, c.arn), "db-cluster-resource-id": lambda c: (c.resource_id,),
                "engine": lambda c: (ENGINE,)}
        if each["Name"] not in keys:
            raise Fault("InvalidParameterValue", f"Unrecognized filter name: {each['Name']}")
        found = [c for c in found if set(keys[each["Name"]](c)) & set(each["Values"])]
    part, marker = page([shown(each) for each in found], params)
    return {"DBClusters": part, "Marker": marker}


def _expect(cluster: Cluster, status: str = "available") -> None:
    if cluster.status != status:
        raise Fault("InvalidDBClusterStateFault", f"DbCluster {cluster.identifier} is in {cluster.status} state but expected it to be one of {status}.")


def _modify(request: Request) -> dict:
    place, params = request.place, request.params
    clusters = place.of(Clusters)
    cluster = clusters.get(params["DBClusterIdentifier"])
    _expect(cluster)
    password, managed = params.get("MasterUserPassword"), params.get("ManageMasterUserPassword")
    if password is not None and (managed or cluster.master_secret and managed is None):
        raise Fault("InvalidParameterCombination", "You can't specify MasterUserPassword while the password is managed by RDS in Secrets Manager.")
    if managed is False and cluster.master_secret and password is None:
        raise Fault("InvalidParameterCombination", "MasterUserPassword must be specified when ManageMasterUserPassword is turned off.")
    if "VpcSecurityGroupIds" in params:
        check_groups(place, params["VpcSecurityGroupIds"], cluster.vpc_id)
        # The members' too: they share the list.
        cluster.groups[:] = params["VpcSecurityGroupIds"]
    if password is not None:
        check_password(password)
        clusters.release_master_secret(cluster)
        clusters.change_password(cluster, password)
    elif managed and not cluster.master_secret:
        clusters.change_password(cluster, make_password())
        clusters.make_master_secret(cluster)
    elif params.get("RotateMasterUserPassword"):
        if not cluster.master_secret:
            raise Fault("InvalidParameterCombination", "RotateMasterUserPassword needs a master password that RDS manages.")
        run_managed(place, place.of(Secrets).get(cluster.master_secret))
    cluster.shown.update({key: params[key] for key in ("DeletionProtection", "BackupRetentionPeriod", "CopyTagsToSnapshot") if key in params})
    return {"DBCluster": shown(cluster)}


def _fail_over(request: Request) -> dict:
    cluster = request.place.of(Clusters).get(request.params["DBClusterIdentifier"])
    _expect(cluster)
    readers = [each for each in cluster.members() if each.identifier != cluster.writer and each.status == "available"]
    if "TargetDBInstanceIdentifier" in request.params:
        target = cluster.member(request.params["TargetDBInstanceIdentifier"])
        readers = [each for each in readers if each is target]
    if not readers:
        raise Fault("InvalidDBClusterStateFault", f"Cannot find available target failover instance for cluster {cluster.identifier}.")
    cluster.fail_over(readers[0])
    return {"DBCluster": shown(cluster)}


def _delete(request: Request) -> dict:
    clusters, params = request.place.of(Clusters), request.params
    cluster = clusters.get(params["DBClusterIdentifier"])
    skip, final = params.get("SkipFinalSnapshot", False), params.get("FinalDBSnapshotIdentifier")
    if bool(skip) == bool(final):
        raise Fault("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified, and not with it.")
    if final:
        raise Fault("InvalidParameterCombination", "The sandbox makes no snapshots of clusters: SkipFinalSnapshot.")
    if cluster.shown["DeletionProtection"]:
        raise Fault("InvalidParameterCombination", "Cannot delete protected Cluster, please disable deletion protection and try again.")
    if cluster.members():
        raise Fault("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
    clusters.delete(cluster)
    return {"DBCluster": shown(cluster)}


def _stop(request: Request) -> dict:
    cluster = request.place.of(Clusters).get(request.params["DBClusterIdentifier"])
    _expect(cluster)
    if any(each.status != "available" for each in cluster.members()):
        raise Fault("InvalidDBInstanceStateFault", f"A DB instance of {cluster.identifier} is not in available state.")
    cluster.stop()
    return {"DBCluster": shown(cluster)}


def _start(request: Request) -> dict:
    cluster = request.place.of(Clusters).get(request.params["DBClusterIdentifier"])
    _expect(cluster, "stopped")
    cluster.start()
    return {"DBCluster": shown(cluster)}


operations("rds", CreateDBCluster=_create, DescribeDBClusters=_describe, ModifyDBCluster=_modify, FailoverDBCluster=_fail_over,
           DeleteDBCluster=_delete, StopDBCluster=_stop, StartDBCluster=_start)
