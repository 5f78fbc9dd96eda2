"""What EC2 refuses. Sources: its list of error codes, unless a row says otherwise."""
from .strict import CODE_UNVERIFIED, Refusal, Strict
from .support import SUBNETS, VPC, until

CODES = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"
RULES = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html"
PRIVATE_DNS = "https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html"
SERVICE = "com.amazonaws.eu-north-1.secretsmanager"
ABSENT_GROUP, ABSENT_SUBNET, ABSENT_ENDPOINT = "sg-00000000000000001", "subnet-00000000000000001", "vpce-00000000000000001"
# Which each group may have, inbound and outbound each.
RULES_QUOTA = 60


def new_group(**changed):
    asked = {"GroupName": "new", "Description": "x", "VpcId": VPC, **changed}
    return {key: value for key, value in asked.items() if value is not None}


def tagged(kind, key):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": "x"}]}]


def rule(group="group", **changed):
    """A request of one rule; what is None is left out, and group names are those that `prepare` gives."""
    asked = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.1.0.0/16"}], **changed}

    def parameters(made):
        told = {key: value for key, value in asked.items() if value is not None}
        if "peer" in told:
            peer = told.pop("peer")
            told |= {"IpRanges": [], "UserIdGroupPairs": [{"GroupId": made.groups.get(peer, peer)}]}
        return {"GroupId": made.groups.get(group, group), "IpPermissions": [told]}
    return parameters


class Groups(Strict):
    SERVICE = "ec2"

    def prepare(self):
        ec2 = self.aws("ec2")
        strange_vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.groups = {name: self.group(name, open_to_all=False) for name in ("group", "referred", "endpoint-s", "full", "tagged", "instance-s")}
        self.groups["strange"] = ec2.create_security_group(GroupName="strange", Description="x", VpcId=strange_vpc)["GroupId"]
        self.groups["default"] = ec2.describe_security_groups(Filters=[
            {"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [VPC]}])["SecurityGroups"][0]["GroupId"]
        for parameters in (rule(IpRanges=[{"CidrIp": "10.0.0.0/8"}]), rule(peer="referred"),
                           rule("full", IpRanges=[{"CidrIp": f"10.{number}.0.0/16"} for number in range(RULES_QUOTA)])):
            ec2.authorize_security_group_ingress(**parameters(self))
        ec2.create_tags(Resources=[self.groups["tagged"]], Tags=[{"Key": f"tag-{number}", "Value": "x"} for number in range(50)])
        self.endpoint(self.groups["endpoint-s"])
        self.instance(VpcSecurityGroupIds=[self.groups["instance-s"]])

    def seen(self):
        ec2 = self.aws("ec2")
        return ec2.describe_security_groups()["SecurityGroups"], ec2.describe_security_group_rules()["SecurityGroupRules"]

    CASES = (
        Refusal("a name that looks like an id", "InvalidParameterValue", "create_security_group", new_group(GroupName="sg-mine"),
                "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"),
        Refusal("the name default", "InvalidParameterValue", "create_security_group", new_group(GroupName="default"), CODE_UNVERIFIED),
        Refusal("a name with an umlaut", "InvalidParameterValue", "create_security_group", new_group(GroupName="gruppe-für-alle"),
                "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"),
        Refusal("a name that is taken", "InvalidGroup.Duplicate", "create_security_group", new_group(GroupName="group"), CODES),
        Refusal("a description with an umlaut", "InvalidParameterValue", "create_security_group", new_group(Description="für alle"),
                "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"),
        Refusal("no description", "MissingParameter", "create_security_group", new_group(Description=None), CODES),
        Refusal("a VPC that is not there", "InvalidVpcID.NotFound", "create_security_group", new_group(VpcId="vpc-00000000000000001"), CODES),
        Refusal("a reserved tag at creation", "InvalidParameterValue", "create_security_group",
                new_group(TagSpecifications=tagged("security-group", "aws:mine")), "https://github.com/jcjorel/ec2-spot-converter/issues/13"),
        Refusal("tags for another kind", "InvalidParameterValue", "create_security_group",
                new_group(TagSpecifications=tagged("vpc-endpoint", "mine")), CODE_UNVERIFIED),
        Refusal("a rule that is there", "InvalidPermission.Duplicate", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.0.0.0/8"}]), CODES),
        Refusal("a rule that is there by a CIDR with host bits", "InvalidPermission.Duplicate", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.2.3/8"}]), "https://github.com/ansible/ansible/issues/25403"),
        Refusal("the same rule twice in one request", "InvalidParameterValue", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.0.0/16"}, {"CidrIp": "10.1.0.0/16"}]), "https://github.com/input-output-hk/bitte/pull/24"),
        Refusal("a new rule beside one that is there", "InvalidPermission.Duplicate", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.0.0/16"}, {"CidrIp": "10.0.0.0/8"}]), CODES),
        Refusal("a CIDR of three numbers", "InvalidParameterValue", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.1/24"}]), RULES),
        Refusal("a mask of 33 bits", "InvalidParameterValue", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.1.1/33"}]), RULES),
        Refusal("an IPv6 CIDR as an IPv4 one", "InvalidParameterValue", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "::/0"}]), CODE_UNVERIFIED),
        Refusal("ports from high to low", "InvalidParameterValue", "authorize_security_group_ingress", rule(FromPort=443, ToPort=80), CODE_UNVERIFIED),
        Refusal("the port 65536", "InvalidParameterValue", "authorize_security_group_ingress", rule(FromPort=65536, ToPort=65536), CODE_UNVERIFIED),
        Refusal("TCP without ports", "InvalidParameterValue", "authorize_security_group_ingress", rule(FromPort=None, ToPort=None),
                "botocore's users, AWS's message: Must specify both from and to ports with TCP/UDP"),
        Refusal("a protocol that there is not", "InvalidParameterValue", "authorize_security_group_ingress", rule(IpProtocol="tpc"), RULES),
        Refusal("a rule without a source", "MissingParameter", "authorize_security_group_ingress", rule(IpRanges=None),
                "https://github.com/boto/boto3/issues/1078"),
        Refusal("no rule at all", "MissingParameter", "authorize_security_group_ingress", lambda made: {"GroupId": made.groups["group"]}, CODES),
        Refusal("a rule for a group that is not there", "InvalidGroup.NotFound", "authorize_security_group_ingress", rule(ABSENT_GROUP), CODES),
        Refusal("a rule for what is no group's id", "InvalidGroupId.Malformed", "authorize_security_group_ingress", rule("sg-nonsense"), CODES),
        Refusal("a source group that is not there", "InvalidGroup.NotFound", "authorize_security_group_ingress", rule(peer=ABSENT_GROUP), CODES),
        Refusal("a source group of another VPC", "InvalidGroup.NotFound", "authorize_security_group_ingress", rule(peer="strange"), CODES),
        Refusal("a rule's description with an umlaut", "InvalidParameterValue", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.0.0/16", "Description": "für alle"}]),
                "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html"),
        Refusal("a rule's description of 256 characters", "InvalidParameterValue", "authorize_security_group_ingress",
                rule(IpRanges=[{"CidrIp": "10.1.0.0/16", "Description": "x" * 256}]),
                "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html"),
        Refusal("the 61st rule", "RulesPerSecurityGroupLimitExceeded", "authorize_security_group_ingress",
                rule("full", IpRanges=[{"CidrIp": "10.100.0.0/16"}]), CODES),
        Refusal("revoking by what it says a rule that is not there", "InvalidPermission.NotFound", "revoke_security_group_ingress", rule(), CODES),
        Refusal("revoking by its id a rule that is not there", "InvalidSecurityGroupRuleId.NotFound", "revoke_security_group_ingress",
                lambda made: {"GroupId": made.groups["group"], "SecurityGroupRuleIds": ["sgr-00000000000000001"]}, CODES),
        Refusal("describing a rule that is not there", "InvalidSecurityGroupRuleId.NotFound", "describe_security_group_rules",
                {"SecurityGroupRuleIds": ["sgr-00000000000000001"]}, CODES),
        Refusal("describing a group that is not there", "InvalidGroup.NotFound", "describe_security_groups", {"GroupIds": [ABSENT_GROUP]}, CODES),
        Refusal("a filter that there is not", "InvalidParameterValue", "describe_security_groups",
                {"Filters": [{"Name": "colour", "Values": ["red"]}]}, CODES),
        Refusal("deleting a group that another's rule names", "DependencyViolation", "delete_security_group",
                lambda made: {"GroupId": made.groups["referred"]}, CODES),
        Refusal("deleting a group of an endpoint", "DependencyViolation", "delete_security_group",
                lambda made: {"GroupId": made.groups["endpoint-s"]}, CODES),
        Refusal("deleting a group of an instance", "DependencyViolation", "delete_security_group",
                lambda made: {"GroupId": made.groups["instance-s"]}, CODES),
        Refusal("deleting the default group", "CannotDelete", "delete_security_group", lambda made: {"GroupId": made.groups["default"]}, CODES),
        Refusal("deleting a group that is not there", "InvalidGroup.NotFound", "delete_security_group", {"GroupId": ABSENT_GROUP}, CODES),
        Refusal("a tag for what is not there", "InvalidID", "create_tags",
                {"Resources": [ABSENT_GROUP], "Tags": [{"Key": "a", "Value": "b"}]}, CODES),
        Refusal("a reserved tag", "InvalidParameterValue", "create_tags",
                lambda made: {"Resources": [made.groups["group"]], "Tags": [{"Key": "aws:mine", "Value": "b"}]}, CODE_UNVERIFIED),
        Refusal("the 51st tag", "TagLimitExceeded", "create_tags",
                lambda made: {"Resources": [made.groups["tagged"]], "Tags": [{"Key": "one-more", "Value": "b"}]}, CODES),
    )


def new_endpoint(**changed):
    def parameters(made):
        asked = {"VpcId": VPC, "VpcEndpointType": "Interface", "ServiceName": SERVICE, "SubnetIds": SUBNETS,
                 "SecurityGroupIds": ["group"], "PrivateDnsEnabled": False, **changed}
        for key in ("SubnetIds", "SecurityGroupIds"):
            asked[key] = [made.named.get(each, each) for each in asked[key]]
        return {key: made.named.get(value, value) if isinstance(value, str) else value for key, value in asked.items()}
    return parameters


class Endpoints(Strict):
    SERVICE = "ec2"

    def prepare(self):
        ec2 = self.aws("ec2")
        strange = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.named = {
            "group": self.group("group"), "strange vpc": strange,
            "strange group": ec2.create_security_group(GroupName="strange", Description="x", VpcId=strange)["GroupId"],
            "strange subnet": ec2.create_subnet(VpcId=strange, CidrBlock="10.0.0.0/24", AvailabilityZone="eu-north-1a")["Subnet"]["SubnetId"],
            "neighbour": ec2.create_subnet(VpcId=VPC, CidrBlock="172.31.48.0/20", AvailabilityZone="eu-north-1a")["Subnet"]["SubnetId"]}
        self.named["endpoint"] = self.endpoint(self.named["group"])
        ec2.create_vpc_endpoint(**new_endpoint(ClientToken="used")(self))
        until(lambda: all(each["State"] == "available" for each in self.seen()), "available")

    def seen(self):
        return self.aws("ec2").describe_vpc_endpoints()["VpcEndpoints"]

    CASES = (
        Refusal("a second endpoint with private DNS", "InvalidParameter", "create_vpc_endpoint", new_endpoint(PrivateDnsEnabled=True), PRIVATE_DNS),
        Refusal("private DNS where the VPC has no host names", "InvalidParameter", "create_vpc_endpoint",
                new_endpoint(VpcId="strange vpc", SubnetIds=["strange subnet"], SecurityGroupIds=["strange group"], PrivateDnsEnabled=True), PRIVATE_DNS),
        Refusal("a service of another region", "InvalidServiceName", "create_vpc_endpoint",
                new_endpoint(ServiceName="com.amazonaws.us-east-1.secretsmanager"), CODES),
        Refusal("a service that there is not", "InvalidServiceName", "create_vpc_endpoint",
                new_endpoint(ServiceName="com.amazonaws.eu-north-1.secretmanager"), CODES),
        Refusal("a gateway for a service that has none", "InvalidParameter", "create_vpc_endpoint",
                lambda made: {"VpcId": VPC, "ServiceName": SERVICE, "VpcEndpointType": "Gateway"}, CODE_UNVERIFIED),
        Refusal("a VPC that is not there", "InvalidVpcID.NotFound", "create_vpc_endpoint", new_endpoint(VpcId="vpc-00000000000000001"), CODES),
        Refusal("a subnet that is not there", "InvalidSubnetID.NotFound", "create_vpc_endpoint",
                new_endpoint(SubnetIds=[ABSENT_SUBNET]), CODES),
        Refusal("a subnet of another VPC", "InvalidParameter", "create_vpc_endpoint", new_endpoint(SubnetIds=["strange subnet"]), CODES),
        Refusal("two subnets of one zone", "DuplicateSubnetsInSameZone", "create_vpc_endpoint",
                new_endpoint(SubnetIds=[SUBNETS[0], "neighbour"]), CODES),
        Refusal("a group of another VPC", "InvalidParameter", "create_vpc_endpoint", new_endpoint(SecurityGroupIds=["strange group"]), CODES),
        Refusal("a policy that is no JSON", "InvalidPolicyDocument", "create_vpc_endpoint", new_endpoint(PolicyDocument="everything"), CODES),
        Refusal("tags for another kind", "InvalidParameterValue", "create_vpc_endpoint",
                new_endpoint(TagSpecifications=tagged("security-group", "mine")), CODE_UNVERIFIED),
        Refusal("a token for another request", "IdempotentParameterMismatch", "create_vpc_endpoint",
                new_endpoint(ClientToken="used", SubnetIds=SUBNETS[:1]), CODES),
        Refusal("describing what is not there", "InvalidVpcEndpointId.NotFound", "describe_vpc_endpoints",
                {"VpcEndpointIds": [ABSENT_ENDPOINT]}, CODES),
        Refusal("describing what is no endpoint's id", "InvalidVpcEndpointId.Malformed", "describe_vpc_endpoints",
                {"VpcEndpointIds": ["endpoint"]}, CODES),
        Refusal("changing what is not there", "InvalidVpcEndpointId.NotFound", "modify_vpc_endpoint",
                {"VpcEndpointId": ABSENT_ENDPOINT, "PrivateDnsEnabled": False}, CODES),
        Refusal("a change to a second subnet of one zone", "DuplicateSubnetsInSameZone", "modify_vpc_endpoint",
                lambda made: {"VpcEndpointId": made.named["endpoint"], "AddSubnetIds": [made.named["neighbour"]]}, CODES),
        Refusal("a change to a group of another VPC", "InvalidParameter", "modify_vpc_endpoint",
                lambda made: {"VpcEndpointId": made.named["endpoint"], "AddSecurityGroupIds": [made.named["strange group"]]}, CODES),
    )

    def test_deleting_what_is_not_there_fails_inside_an_answer_of_200(self):
        failed, = self.aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[ABSENT_ENDPOINT])["Unsuccessful"]
        self.assertEqual((failed["ResourceId"], failed["Error"]["Code"]), (ABSENT_ENDPOINT, "InvalidVpcEndpoint.NotFound"))
