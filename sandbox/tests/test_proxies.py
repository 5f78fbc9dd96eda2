from .strict import CODE_UNVERIFIED, MODEL, Refusal, Strict, without_metadata
from .support import SUBNETS, VPC, Case, until

API = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBProxy.html"
ROLE = "arn:aws:iam::123456789012:role/proxy"


def secret(account: str, name: str = "app_secret-AbCdEf") -> str:
    return f"arn:aws:secretsmanager:eu-north-1:{account}:secret:{name}"


def asked(account: str, **changed) -> dict:
    """CreateDBProxy's parameters, all good but for what is changed; None leaves one out."""
    all_good = {"DBProxyName": "front", "EngineFamily": "POSTGRESQL", "RoleArn": ROLE, "VpcSubnetIds": SUBNETS,
                "Auth": [{"SecretArn": secret(account)}], **changed}
    return {key: value for key, value in all_good.items() if value is not None}


class Proxies(Case):
    def test_a_proxy_lives(self):
        self.delays("proxy_create=1,proxy_delete=1")
        rds = self.aws("rds")
        made = rds.create_db_proxy(**asked(self.account, Auth=[{"SecretArn": secret(self.account), "UserName": "app"}],
                                           Tags=[{"Key": "a", "Value": "b"}]))["DBProxy"]
        self.assertEqual((made["Status"], made["VpcId"], made["DefaultAuthScheme"]), ("creating", VPC, "NONE"))
        self.assertEqual(made["Auth"], [{"SecretArn": secret(self.account), "UserName": "app", "AuthScheme": "SECRETS",
                                         "IAMAuth": "DISABLED", "ClientPasswordAuthType": "POSTGRES_SCRAM_SHA_256"}])
        self.assertEqual(rds.list_tags_for_resource(ResourceName=made["DBProxyArn"])["TagList"], [{"Key": "a", "Value": "b"}])
        self.refused("InvalidDBProxyStateFault", rds.delete_db_proxy, DBProxyName="front")
        until(lambda: rds.describe_db_proxies(DBProxyName="Front")["DBProxies"][0]["Status"] == "available", "available")
        self.assertEqual(rds.delete_db_proxy(DBProxyName="front")["DBProxy"]["Status"], "deleting")
        self.assertEqual(rds.describe_db_proxies()["DBProxies"][0]["Status"], "deleting")
        until(lambda: not rds.describe_db_proxies()["DBProxies"], "gone")
        for operation in (rds.describe_db_proxies, rds.delete_db_proxy):
            self.refused("DBProxyNotFoundFault", operation, DBProxyName="front")

    def test_pages(self):
        rds = self.aws("rds")
        for number in range(21):
            rds.create_db_proxy(**asked(self.account, DBProxyName=f"front{number}"))
        first = rds.describe_db_proxies(MaxRecords=20)
        second = rds.describe_db_proxies(MaxRecords=20, Marker=first["Marker"])
        self.assertEqual((len(first["DBProxies"]), len(second["DBProxies"]), "Marker" in second), (20, 1, False))

    def test_iam_needs_no_secrets(self):
        made = self.aws("rds").create_db_proxy(**asked(self.account, Auth=None, DefaultAuthScheme="IAM_AUTH"))["DBProxy"]
        self.assertEqual((made["Auth"], made["DefaultAuthScheme"]), ([], "IAM_AUTH"))


class Refused(Strict):
    SERVICE = "rds"

    def prepare(self):
        self.aws("rds").create_db_proxy(**asked(self.account, DBProxyName="taken"))
        vpc = self.aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.strange = self.aws("ec2").create_security_group(GroupName="strange", Description="x", VpcId=vpc)["GroupId"]
        self.elsewhere = self.aws("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24",
                                                       AvailabilityZone="eu-north-1a")["Subnet"]["SubnetId"]

    def seen(self):
        return without_metadata(self.aws("rds").describe_db_proxies())

    @staticmethod
    def row(what, code, source, **changed) -> Refusal:
        return Refusal(what, code, "create_db_proxy", lambda made: asked(made.account, **{
            key: value(made) if callable(value) else value for key, value in changed.items()}), source)

    CASES = (
        row("a name that is taken", "DBProxyAlreadyExistsFault", API, DBProxyName="Taken"),
        row("a name with two hyphens in a row", "InvalidParameterValue", MODEL, DBProxyName="a--b"),
        row("an engine family that there is not", "InvalidParameterValue", MODEL, EngineFamily="ORACLE"),
        row("a subnet that is not there", "InvalidSubnet", API, VpcSubnetIds=[SUBNETS[0], "subnet-00000000000000000"]),
        row("subnets of one zone", "InvalidSubnet", CODE_UNVERIFIED, VpcSubnetIds=SUBNETS[:1]),
        row("subnets of two VPCs", "InvalidSubnet", CODE_UNVERIFIED, VpcSubnetIds=lambda made: [SUBNETS[1], made.elsewhere]),
        row("a security group of another VPC", "InvalidParameterValue", CODE_UNVERIFIED,
            VpcSecurityGroupIds=lambda made: [made.strange]),
        row("no secret and no IAM", "InvalidParameterCombination", CODE_UNVERIFIED, Auth=None),
        row("what is no secret", "InvalidParameterValue", CODE_UNVERIFIED, Auth=[{"SecretArn": ROLE}]),
    )
