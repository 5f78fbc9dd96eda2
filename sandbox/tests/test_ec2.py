from .support import SUBNETS, VPC, Case, until

SERVICE = "com.amazonaws.eu-north-1.secretsmanager"


class Vpc(Case):
    def test_a_new_account_has_the_article_s_network(self):
        ec2 = self.aws("ec2")
        vpc, = ec2.describe_vpcs(VpcIds=[VPC])["Vpcs"]
        self.assertEqual((vpc["CidrBlock"], [each["CidrBlock"] for each in vpc["CidrBlockAssociationSet"]]), ("172.31.0.0/16", ["172.31.0.0/16"]))
        self.assertEqual([each["VpcId"] for each in ec2.describe_vpcs()["Vpcs"]], [VPC])
        subnets = ec2.describe_subnets(SubnetIds=SUBNETS)["Subnets"]
        self.assertEqual({each["AvailabilityZone"] for each in subnets}, {"eu-north-1a", "eu-north-1b"})
        self.assertEqual({each["SubnetId"] for each in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [VPC]}])["Subnets"]}, set(SUBNETS))
        for name, shown in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
            self.assertTrue(ec2.describe_vpc_attribute(VpcId=VPC, Attribute=name)[shown]["Value"])
        self.refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=["vpc-00000000000000001"])
        self.refused("InvalidSubnetID.NotFound", ec2.describe_subnets, SubnetIds=["subnet-00000000000000001"])

    def test_the_very_first_request_may_be_any_service_s(self):
        self.aws("rds").create_db_subnet_group(DBSubnetGroupName="g", DBSubnetGroupDescription="x", SubnetIds=SUBNETS)


class Groups(Case):
    def setUp(self):
        super().setUp()
        self.ec2 = self.aws("ec2")

    def rules(self, group, egress=False):
        return [each for each in self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
                if each["IsEgress"] == egress]

    def allow(self, group, direction="ingress", tags=(), **peer):
        call = getattr(self.ec2, f"authorize_security_group_{direction}")
        more = {"TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": list(tags)}]} if tags else {}
        return call(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, **peer}], **more)

    def test_a_new_group_lets_everything_out_by_a_rule_that_can_be_revoked(self):
        group = self.group(open_to_all=False)
        rule, = self.rules(group, egress=True)
        self.assertEqual((rule["IpProtocol"], rule["CidrIpv4"], rule["FromPort"]), ("-1", "0.0.0.0/0", -1))
        self.assertRegex(rule["SecurityGroupRuleId"], r"^sgr-[0-9a-f]{17}$")
        self.assertEqual(self.rules(group), [])
        self.ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
        self.assertEqual(self.rules(group, egress=True), [])
        self.refused("InvalidSecurityGroupRuleId.NotFound", self.ec2.revoke_security_group_egress, GroupId=group,
                     SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])

    def test_rules_have_ids_tags_and_no_duplicates(self):
        group = self.group(open_to_all=False)
        other = self.group(open_to_all=False)
        made = self.allow(group, tags=[{"Key": "a", "Value": "b"}], IpRanges=[{"CidrIp": "203.0.113.7/32", "Description": "office"}])
        rule, = made["SecurityGroupRules"]
        self.assertEqual((rule["CidrIpv4"], rule["Description"], rule["Tags"]), ("203.0.113.7/32", "office", [{"Key": "a", "Value": "b"}]))
        self.refused("InvalidPermission.Duplicate", self.allow, group=group, IpRanges=[{"CidrIp": "203.0.113.7/32"}])
        canonical, = self.allow(other, IpRanges=[{"CidrIp": "10.1.2.3/8"}])["SecurityGroupRules"]
        self.assertEqual(canonical["CidrIpv4"], "10.0.0.0/8")
        self.allow(group, UserIdGroupPairs=[{"GroupId": other}])
        self.assertEqual(self.rules(group)[1]["ReferencedGroupInfo"]["GroupId"], other)
        self.refused("InvalidPermission.Duplicate", self.allow, group=group, UserIdGroupPairs=[{"GroupId": other}])
        self.refused("InvalidGroup.NotFound", self.allow, group=group, UserIdGroupPairs=[{"GroupId": "sg-00000000000000001"}])
        self.refused("InvalidGroupId.Malformed", self.allow, group="sg-nonsense", IpRanges=[{"CidrIp": "1.1.1.1/32"}])
        self.refused("InvalidParameterValue", self.allow, group=group, IpRanges=[{"CidrIp": "1.1.1/32"}])
        self.refused("InvalidParameterValue", self.allow, group=group, IpRanges=[{"CidrIp": "1.1.1.1/32", "Description": "ümlaut"}])
        shown = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        self.assertEqual(len(shown), 1)
        self.assertEqual((shown[0]["IpRanges"], shown[0]["UserIdGroupPairs"][0]["GroupId"]),
                         ([{"CidrIp": "203.0.113.7/32", "Description": "office"}], other))
        by_tag = self.ec2.describe_security_group_rules(Filters=[{"Name": "tag:a", "Values": ["b"]}])["SecurityGroupRules"]
        self.assertEqual([each["SecurityGroupRuleId"] for each in by_tag], [rule["SecurityGroupRuleId"]])
        self.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": {
            "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "CidrIpv4": "203.0.113.7/32", "Description": "home"}}])
        self.assertEqual(self.rules(group)[0]["Description"], "home")
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}])
        self.assertEqual(len(self.rules(group)), 1)
        self.refused("InvalidPermission.NotFound", self.ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}])

    def test_names_filters_and_tags(self):
        group = self.ec2.create_security_group(GroupName="mine", Description="x", VpcId=VPC, TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "pgrotate:address", "Value": "security_group.db"}]}])["GroupId"]
        self.refused("InvalidGroup.Duplicate", self.group, name="mine")
        self.refused("InvalidVpcID.NotFound", self.ec2.create_security_group, GroupName="o", Description="x", VpcId="vpc-00000000000000001")
        for name, value in (("group-name", "mine"), ("group-id", group), ("tag:pgrotate:address", "security_group.db")):
            found = self.ec2.describe_security_groups(Filters=[{"Name": name, "Values": [value]}, {"Name": "vpc-id", "Values": [VPC]}])
            self.assertEqual([each["GroupId"] for each in found["SecurityGroups"]], [group])
        self.refused("InvalidParameterValue", self.ec2.describe_security_groups, Filters=[{"Name": "colour", "Values": ["red"]}])
        self.refused("InvalidGroup.NotFound", self.ec2.describe_security_groups, GroupIds=["sg-00000000000000001"])
        self.ec2.create_tags(Resources=[group], Tags=[{"Key": "more", "Value": "1"}])
        self.ec2.delete_tags(Resources=[group], Tags=[{"Key": "pgrotate:address"}])
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["Tags"], [{"Key": "more", "Value": "1"}])
        found = self.aws("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "more"}])["ResourceTagMappingList"]
        self.assertEqual([each["ResourceARN"].split("/")[-1] for each in found], [group])

    def test_what_is_used_cannot_be_deleted(self):
        used, by_rule, by_endpoint = (self.group(open_to_all=False) for _ in range(3))
        self.allow(used, UserIdGroupPairs=[{"GroupId": by_rule}])
        self.endpoint(by_endpoint)
        self.instance(VpcSecurityGroupIds=[used], wait=False)
        for group in (used, by_rule, by_endpoint):
            self.refused("DependencyViolation", self.ec2.delete_security_group, GroupId=group)
        self.ec2.revoke_security_group_ingress(GroupId=used, SecurityGroupRuleIds=[self.rules(used)[0]["SecurityGroupRuleId"]])
        self.ec2.delete_security_group(GroupId=by_rule)
        self.refused("InvalidGroup.NotFound", self.ec2.delete_security_group, GroupId=by_rule)
        default, = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
        self.refused("CannotDelete", self.ec2.delete_security_group, GroupId=default["GroupId"])


class Endpoints(Case):
    def setUp(self):
        super().setUp()
        self.ec2 = self.aws("ec2")
        self.asked = {"VpcId": VPC, "VpcEndpointType": "Interface", "ServiceName": SERVICE, "SubnetIds": SUBNETS,
                      "SecurityGroupIds": [self.group("e")], "PrivateDnsEnabled": True}

    def shown(self, **parameters):
        return self.ec2.describe_vpc_endpoints(**parameters)["VpcEndpoints"]

    def test_life(self):
        self.delays("endpoint_create=0.7,endpoint_delete=0.7")
        made = self.ec2.create_vpc_endpoint(ClientToken="t", TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "a", "Value": "b"}]}],
                                            **self.asked)["VpcEndpoint"]
        endpoint = made["VpcEndpointId"]
        self.assertEqual(made["State"], "pending")
        again = self.ec2.create_vpc_endpoint(ClientToken="t", TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "a", "Value": "b"}]}],
                                             **self.asked)["VpcEndpoint"]
        self.assertEqual(again["VpcEndpointId"], endpoint)
        self.refused("IncorrectState", self.ec2.modify_vpc_endpoint, VpcEndpointId=endpoint, PrivateDnsEnabled=False)
        until(lambda: self.shown(VpcEndpointIds=[endpoint])[0]["State"] == "available", "available")
        for name, value in (("service-name", SERVICE), ("vpc-id", VPC), ("vpc-endpoint-type", "Interface"), ("tag:a", "b")):
            self.assertEqual(len(self.shown(Filters=[{"Name": name, "Values": [value]}])), 1)
            self.assertEqual(self.shown(Filters=[{"Name": name, "Values": ["other"]}]), [])
        shown, = self.shown()
        self.assertEqual((shown["PrivateDnsEnabled"], shown["Groups"], sorted(shown["SubnetIds"])),
                         (True, [{"GroupId": self.asked["SecurityGroupIds"][0], "GroupName": "e"}], sorted(SUBNETS)))
        other = self.group("other")
        self.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSecurityGroupIds=[other], RemoveSecurityGroupIds=self.asked["SecurityGroupIds"])
        self.assertEqual(self.shown()[0]["Groups"], [{"GroupId": other, "GroupName": "other"}])
        self.assertEqual(self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"], [])
        self.assertEqual(self.shown()[0]["State"], "deleting")
        until(lambda: not self.shown(), "gone")
        self.refused("InvalidVpcEndpointId.NotFound", self.shown, VpcEndpointIds=[endpoint])
        failed, = self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"]
        self.assertEqual(failed["Error"]["Code"], "InvalidVpcEndpoint.NotFound")

    def test_private_dns_is_had_once_and_needs_the_vpc_s(self):
        self.ec2.create_vpc_endpoint(**self.asked)
        self.assertIn("conflicting DNS domain", self.refused("InvalidParameter", self.ec2.create_vpc_endpoint, **self.asked))
        self.ec2.create_vpc_endpoint(**{**self.asked, "PrivateDnsEnabled": False})
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.assertIn("enableDnsHostnames", self.refused("InvalidParameter", self.ec2.create_vpc_endpoint, VpcId=vpc, VpcEndpointType="Interface",
                                                         ServiceName=SERVICE, PrivateDnsEnabled=True))

    def test_what_creation_refuses(self):
        for code, change in (("InvalidServiceName", {"ServiceName": "com.amazonaws.us-east-1.secretsmanager"}),
                             ("InvalidVpcID.NotFound", {"VpcId": "vpc-00000000000000001"}),
                             ("InvalidSubnetID.NotFound", {"SubnetIds": ["subnet-00000000000000001"]}),
                             ("InvalidGroup.NotFound", {"SecurityGroupIds": ["sg-00000000000000001"]}),
                             ("DuplicateSubnetsInSameZone", {"SubnetIds": [SUBNETS[0], SUBNETS[0]]})):
            with self.subTest(change):
                self.refused(code, self.ec2.create_vpc_endpoint, **{**self.asked, **change})
