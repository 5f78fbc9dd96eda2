"""What RDS refuses. Sources: its API reference, by operation, unless a row says otherwise."""
from .strict import CODE_UNVERIFIED, Refusal, Strict, slug, without_metadata
from .support import SUBNETS, VPC, until

API = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_{}.html"
CREATE, MODIFY, DELETE = (API.format(f"{verb}DBInstance") for verb in ("Create", "Modify", "Delete"))
POSTGRES = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_PostgreSQL.html"
# Messages of RDS with their codes, as others met them.
SEEN = "https://github.com/{}"
TOKEN = "9" * 32


def create(**changed):
    """CreateDBInstance's parameters, all good but for what is changed; None leaves one out."""
    asked = {"DBInstanceIdentifier": "new", "DBInstanceClass": "db.t3.micro", "Engine": "postgres", "AllocatedStorage": 20,
             "StorageType": "gp3", "MasterUsername": "postgres", "MasterUserPassword": "a-long-password", "DBSubnetGroupName": "subnets",
             **changed}
    return {key: value for key, value in asked.items() if value is not None}


def creation(what, code, source, **changed) -> Refusal:
    return Refusal(what, code, "create_db_instance", create(**{"DBInstanceIdentifier": slug(what), **changed}), source)


def modification(what, code, source, instance="managed", **changes) -> Refusal:
    return Refusal(what, code, "modify_db_instance", {"DBInstanceIdentifier": instance, "ApplyImmediately": True, **changes}, source)


class Seen(Strict):
    SERVICE = "rds"

    def seen(self):
        rds = self.aws("rds")
        return [without_metadata(told) for told in (rds.describe_db_instances(), rds.describe_db_subnet_groups(), rds.describe_db_snapshots())]


class Instances(Seen):
    def prepare(self):
        rds, ec2 = self.aws("rds"), self.aws("ec2")
        self.instance("managed", wait=False, ManageMasterUserPassword=True, DeletionProtection=True, AllocatedStorage=40, EngineVersion="16.12")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.strange_group = ec2.create_security_group(GroupName="strange", Description="x", VpcId=vpc)["GroupId"]
        strange = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-north-1{zone}")["Subnet"]["SubnetId"]
                   for number, zone in enumerate("ab")]
        rds.create_db_subnet_group(DBSubnetGroupName="strange", DBSubnetGroupDescription="x", SubnetIds=strange)
        self.master = self.available("managed")["MasterUserSecret"]["SecretArn"]
        until(lambda: self.described("managed")["MasterUserSecret"]["SecretStatus"] == "active", "active")
        rds.create_db_snapshot(DBSnapshotIdentifier="taken", DBInstanceIdentifier="managed")
        until(lambda: rds.describe_db_snapshots()["DBSnapshots"][0]["Status"] == "available", "a snapshot")
        self.delays("instance_create=3600")
        self.instance("young", wait=False)

    CASES = (
        creation("an identifier that ends with a hyphen", "InvalidParameterValue", CREATE, DBInstanceIdentifier="new-"),
        creation("an identifier with two hyphens in a row", "InvalidParameterValue", CREATE, DBInstanceIdentifier="ne--w"),
        creation("an identifier that begins with a digit", "InvalidParameterValue", CREATE, DBInstanceIdentifier="1new"),
        creation("an identifier of 64 characters", "InvalidParameterValue", CREATE, DBInstanceIdentifier="n" * 64),
        creation("an identifier that is taken", "DBInstanceAlreadyExists", CREATE, DBInstanceIdentifier="managed"),
        creation("an identifier that is taken in other case", "DBInstanceAlreadyExists", CREATE, DBInstanceIdentifier="Managed"),
        creation("an engine that there is not", "InvalidParameterValue", SEEN.format("hashicorp/terraform/issues/18009"), Engine="postgresql"),
        creation("a class without db", "InvalidParameterValue", CREATE, DBInstanceClass="t3.micro"),
        creation("19 GiB of gp3", "InvalidParameterCombination", SEEN.format("convox/rack/issues/2846"), AllocatedStorage=19),
        creation("10 GiB of gp2", "InvalidParameterCombination", SEEN.format("convox/rack/issues/2846"), AllocatedStorage=10, StorageType="gp2"),
        creation("a storage type that there is not", "StorageTypeNotSupported", SEEN.format("aws/aws-cdk/issues/5345"), StorageType="gp9"),
        creation("IOPS for less than 400 GiB of gp3", "InvalidParameterCombination", CODE_UNVERIFIED, Iops=6000),
        creation("storage that may grow to what it is", "InvalidParameterCombination",
                 SEEN.format("ministryofjustice/cloud-platform-environments/pull/7483"), MaxAllocatedStorage=20),
        creation("a minor version that is withdrawn", "InvalidParameterCombination", POSTGRES, EngineVersion="16.1"),
        creation("a password and one that RDS manages", "InvalidParameterCombination", CREATE, ManageMasterUserPassword=True),
        creation("no password", "InvalidParameterValue", CREATE, MasterUserPassword=None),
        creation("a password of 7 characters", "InvalidParameterValue", CREATE, MasterUserPassword="sevenly"),
        creation("a password with a slash", "InvalidParameterValue", CREATE, MasterUserPassword="with/slash/inside"),
        creation("the master name rdsadmin", "InvalidParameterValue", SEEN.format("aws-cloudformation/cfn-lint/pull/4425"), MasterUsername="rdsadmin"),
        creation("the master name admin", "InvalidParameterValue", SEEN.format("aws/aws-cdk/issues/10579"), MasterUsername="admin"),
        creation("a master name that begins with pg", "InvalidParameterValue", SEEN.format("DataShades/ckan-aws-templates/issues/6"),
                 MasterUsername="pg_dba"),
        creation("a master name that begins with a digit", "InvalidParameterValue", CREATE, MasterUsername="1master"),
        creation("no master name", "InvalidParameterValue", CREATE, MasterUsername=None),
        creation("a database name that begins with a digit", "InvalidParameterValue", CREATE, DBName="1app"),
        creation("backups kept for 36 days", "InvalidParameterValue", CREATE, BackupRetentionPeriod=36),
        creation("the port 1149", "InvalidParameterValue", CREATE, Port=1149),
        creation("the port 65536", "InvalidParameterValue", CREATE, Port=65536),
        creation("a certificate authority that there is not", "CertificateNotFound", CREATE, CACertificateIdentifier="rds-ca-1999"),
        creation("a subnet group that is not there", "DBSubnetGroupNotFoundFault", CREATE, DBSubnetGroupName="none"),
        creation("a parameter group that is not there", "DBParameterGroupNotFound", CREATE, DBParameterGroupName="none"),
        creation("a parameter group of another major version", "InvalidParameterCombination", CODE_UNVERIFIED,
                 EngineVersion="16", DBParameterGroupName="default.postgres17"),
        creation("a security group that is not there", "InvalidParameterValue", CODE_UNVERIFIED, VpcSecurityGroupIds=["sg-00000000000000001"]),
        Refusal("a security group of another VPC", "InvalidParameterCombination", "create_db_instance",
                lambda made: create(VpcSecurityGroupIds=[made.strange_group]), SEEN.format("terraform-aws-modules/terraform-aws-rds/issues/451")),
        creation("a public instance in a VPC without internet gateway", "InvalidVPCNetworkStateFault", CREATE,
                 DBSubnetGroupName="strange", PubliclyAccessible=True),
        creation("a reserved tag", "InvalidParameterValue", CODE_UNVERIFIED, Tags=[{"Key": "aws:mine", "Value": "x"}]),
        modification("a change of what is not there", "DBInstanceNotFound", MODIFY, "none", AllocatedStorage=40),
        modification("a change of what is not available yet", "InvalidDBInstanceState", MODIFY, "young", AllocatedStorage=40),
        modification("less storage", "InvalidParameterCombination", MODIFY, AllocatedStorage=30),
        modification("an older version", "InvalidParameterCombination", POSTGRES, EngineVersion="16.8"),
        modification("another major version unasked", "InvalidParameterCombination", MODIFY, EngineVersion="17.8"),
        modification("a class that there is not", "InvalidParameterValue", MODIFY, DBInstanceClass="micro"),
        modification("backups kept for -1 days", "InvalidParameterValue", MODIFY, BackupRetentionPeriod=-1),
        modification("a password in the place of the managed one", "InvalidParameterCombination", MODIFY, MasterUserPassword="a-long-password"),
        modification("no managed password and none instead", "InvalidParameterCombination", MODIFY, ManageMasterUserPassword=False),
        Refusal("a change to a security group of another VPC", "InvalidParameterCombination", "modify_db_instance",
                lambda made: {"DBInstanceIdentifier": "managed", "VpcSecurityGroupIds": [made.strange_group]},
                SEEN.format("terraform-aws-modules/terraform-aws-rds/issues/451")),
        Refusal("a snapshot of what is being created", "InvalidDBInstanceState", "create_db_snapshot",
                {"DBSnapshotIdentifier": "new", "DBInstanceIdentifier": "young"}, API.format("CreateDBSnapshot")),
        Refusal("deleting without a word on a snapshot", "InvalidParameterCombination", "delete_db_instance",
                {"DBInstanceIdentifier": "young"}, DELETE),
        Refusal("deleting with a final snapshot and without", "InvalidParameterCombination", "delete_db_instance",
                {"DBInstanceIdentifier": "young", "SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "last"}, DELETE),
        Refusal("a final snapshot whose name is taken", "DBSnapshotAlreadyExists", "delete_db_instance",
                {"DBInstanceIdentifier": "young", "FinalDBSnapshotIdentifier": "taken"}, DELETE),
        Refusal("a final snapshot whose name ends with a hyphen", "InvalidParameterValue", "delete_db_instance",
                {"DBInstanceIdentifier": "young", "FinalDBSnapshotIdentifier": "last-"}, DELETE),
        Refusal("deleting what is protected", "InvalidParameterCombination", "delete_db_instance",
                {"DBInstanceIdentifier": "managed", "SkipFinalSnapshot": True}, DELETE),
        Refusal("deleting what is not there", "DBInstanceNotFound", "delete_db_instance",
                {"DBInstanceIdentifier": "none", "SkipFinalSnapshot": True}, DELETE),
        Refusal("describing what is not there", "DBInstanceNotFound", "describe_db_instances",
                {"DBInstanceIdentifier": "none"}, API.format("DescribeDBInstances")),
        Refusal("pages of ten", "InvalidParameterValue", "describe_db_instances", {"MaxRecords": 10}, API.format("DescribeDBInstances")),
        Refusal("a tag for what is no ARN", "InvalidParameterValue", "add_tags_to_resource",
                {"ResourceName": "managed", "Tags": [{"Key": "a", "Value": "b"}]}, API.format("AddTagsToResource")),
        Refusal("a tag for what is not there", "DBInstanceNotFound", "add_tags_to_resource",
                lambda made: {"ResourceName": f"arn:aws:rds:eu-north-1:{made.account}:db:none", "Tags": [{"Key": "a", "Value": "b"}]},
                API.format("AddTagsToResource")),
        Refusal("a tag for another account's instance", "InvalidParameterValue", "add_tags_to_resource",
                {"ResourceName": "arn:aws:rds:eu-north-1:999999999999:db:managed", "Tags": [{"Key": "a", "Value": "b"}]}, CODE_UNVERIFIED),
        Refusal("a reserved tag for what is there", "InvalidParameterValue", "add_tags_to_resource",
                lambda made: {"ResourceName": f"arn:aws:rds:eu-north-1:{made.account}:db:managed", "Tags": [{"Key": "aws:mine", "Value": "b"}]},
                CODE_UNVERIFIED),
        Refusal("a value for the managed secret", "InvalidRequestException", "secretsmanager.put_secret_value",
                lambda made: {"SecretId": made.master, "SecretString": "x", "ClientRequestToken": TOKEN},
                "https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html"),
        Refusal("deleting the managed secret", "InvalidRequestException", "secretsmanager.delete_secret",
                lambda made: {"SecretId": made.master, "RecoveryWindowInDays": 7},
                "https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html"),
        Refusal("a rotation function for the managed secret", "InvalidRequestException", "secretsmanager.rotate_secret",
                lambda made: {"SecretId": made.master, "ClientRequestToken": TOKEN,
                              "RotationLambdaARN": f"arn:aws:lambda:eu-north-1:{made.account}:function:f"},
                "https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html"),
    )


def subnet_group(operation, name, subnets, **more):
    """Parameters of CreateDBSubnetGroup or ModifyDBSubnetGroup; `subnets` by the names that `prepare` gives them."""
    description = {"DBSubnetGroupDescription": "x"} if operation == "create" else {}
    return lambda made: {"DBSubnetGroupName": name, **description, "SubnetIds": [made.subnets.get(each, each) for each in subnets], **more}


class SubnetGroups(Seen):
    def prepare(self):
        ec2, rds = self.aws("ec2"), self.aws("rds")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

        def subnet(vpc, cidr, zone):
            return ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"eu-north-1{zone}")["Subnet"]["SubnetId"]
        self.subnets = {"a": SUBNETS[0], "b": SUBNETS[1], "a too": subnet(VPC, "172.31.48.0/20", "a"),
                        "strange a": subnet(vpc, "10.0.0.0/24", "a"), "strange b": subnet(vpc, "10.0.1.0/24", "b")}
        self.instance("db")
        rds.create_db_subnet_group(DBSubnetGroupName="idle", DBSubnetGroupDescription="x", SubnetIds=SUBNETS)

    CASES = (
        Refusal("subnets of one zone", "DBSubnetGroupDoesNotCoverEnoughAZs", "create_db_subnet_group",
                subnet_group("create", "new", ["a", "a too"]), API.format("CreateDBSubnetGroup")),
        Refusal("subnets of two VPCs", "InvalidSubnet", "create_db_subnet_group",
                subnet_group("create", "new", ["a", "strange b"]), API.format("CreateDBSubnetGroup")),
        Refusal("a subnet that is not there", "InvalidParameterValue", "create_db_subnet_group",
                subnet_group("create", "new", ["a", "subnet-00000000000000001"]), SEEN.format("aws-samples/aws-cdk-examples/issues/824")),
        Refusal("no subnets", "InvalidSubnet", "create_db_subnet_group",
                subnet_group("create", "new", []), SEEN.format("terraform-aws-modules/terraform-aws-rds/issues/326")),
        Refusal("a name that is taken in other case", "DBSubnetGroupAlreadyExists", "create_db_subnet_group",
                subnet_group("create", "Subnets", ["a", "b"]), API.format("CreateDBSubnetGroup")),
        Refusal("the name default", "InvalidParameterValue", "create_db_subnet_group",
                subnet_group("create", "Default", ["a", "b"]), API.format("CreateDBSubnetGroup")),
        Refusal("a name with a slash", "InvalidParameterValue", "create_db_subnet_group",
                subnet_group("create", "with/slash", ["a", "b"]), API.format("CreateDBSubnetGroup")),
        Refusal("a reserved tag", "InvalidParameterValue", "create_db_subnet_group",
                subnet_group("create", "new", ["a", "b"], Tags=[{"Key": "aws:mine", "Value": "x"}]), CODE_UNVERIFIED),
        Refusal("a change of what is not there", "DBSubnetGroupNotFoundFault", "modify_db_subnet_group",
                subnet_group("modify", "none", ["a", "b"]), API.format("ModifyDBSubnetGroup")),
        Refusal("a move to another VPC", "InvalidParameterValue", "modify_db_subnet_group",
                subnet_group("modify", "idle", ["strange a", "strange b"]), SEEN.format("hashicorp/terraform-provider-aws/issues/27459")),
        Refusal("taking a subnet that is used", "SubnetAlreadyInUse", "modify_db_subnet_group",
                subnet_group("modify", "subnets", ["a too", "b"]), API.format("ModifyDBSubnetGroup")),
        Refusal("deleting what is used", "InvalidDBSubnetGroupStateFault", "delete_db_subnet_group",
                {"DBSubnetGroupName": "subnets"}, API.format("DeleteDBSubnetGroup")),
        Refusal("deleting what is not there", "DBSubnetGroupNotFoundFault", "delete_db_subnet_group",
                {"DBSubnetGroupName": "none"}, API.format("DeleteDBSubnetGroup")),
    )
