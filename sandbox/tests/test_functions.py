import concurrent.futures
import io
import json
import os

from .support import SUBNETS, VPC, Case, until, zipped

TELL = '''
def handle(event):
    print("saying something", flush=True)
    return {"environment": dict(os.environ), "cwd": os.getcwd(), "files": sorted(os.listdir()), "event": event, "pid": os.getpid()}
'''
READ = '''
def handle(event):
    return SecretsManager().get_secret_value(SecretId=event)["SecretString"]
'''


class Functions(Case):
    def test_a_clean_environment_and_the_zip_s_files(self):
        os.environ["LEAKED_FROM_THE_HOST"] = "yes"
        self.function("f", TELL, Environment={"Variables": {"OWN": "value"}})
        self.aws("lambda").update_function_code(FunctionName="f", ZipFile=zipped(TELL, data__json="{}"))
        self.active("f")
        error, told = self.invoke("f", {"a": 1})
        self.assertIsNone(error)
        environment = told["environment"]
        self.assertEqual((environment["OWN"], told["event"], told["cwd"]), ("value", {"a": 1}, environment["LAMBDA_TASK_ROOT"]))
        self.assertEqual(told["files"], ["bootstrap", "data.json"])
        self.assertEqual(environment["AWS_ENDPOINT_URL"], self.state["endpoint"])
        allowed = {"OWN", "PATH", "LANG", "TZ", "_HANDLER", "LC_CTYPE", "PWD"}  # PWD is the test function's shell's
        self.assertEqual([name for name in environment if not name.startswith(("AWS_", "LAMBDA_")) and name not in allowed], [])
        self.assertTrue(environment["AWS_ACCESS_KEY_ID"].startswith("ASIA"))

    def test_processes_are_reused_and_run_side_by_side(self):
        self.function("f", "import time\n" + TELL.replace("    print", "    time.sleep(event); print"))
        _, one = self.invoke("f", 0)
        _, two = self.invoke("f", 0)
        self.assertEqual(one["pid"], two["pid"])
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            told = list(pool.map(lambda _: self.invoke("f", 0.5)[1]["pid"], range(3)))
        self.assertEqual(len(set(told)), 3)

    def test_an_update_ends_no_other_account_s_processes(self):
        self.function("f", "import time\n" + TELL.replace("    print", "    time.sleep(event); print"))
        _, before = self.invoke("f", 0)
        other = Case()
        other.setUp()
        self.addCleanup(other.doCleanups)
        other.function("f", TELL)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.invoke, "f", 0.5)
            other.aws("lambda").update_function_configuration(FunctionName="f", Timeout=9)
            error, told = running.result()
        self.assertEqual((error, told["pid"]), (None, before["pid"]))

    def test_failures(self):
        self.function("f", "def handle(event):\n    if event == 'exit': os._exit(3)\n    if event == 'hang': time.sleep(60)\n    raise ValueError('no')")
        self.assertEqual(self.invoke("f"), ("Unhandled", {"errorMessage": "no", "errorType": "ValueError"}))
        error, told = self.invoke("f", "exit")
        self.assertEqual((error, told["errorType"]), ("Unhandled", "Runtime.ExitError"))
        self.aws("lambda").update_function_configuration(FunctionName="f", Timeout=1)
        self.active("f")
        error, told = self.invoke("f", "hang")
        self.assertEqual(error, "Unhandled")
        self.assertIn("Task timed out after 1", told["errorMessage"])

    def test_logs(self):
        self.function("f", TELL)
        self.invoke("f")
        logs = self.aws("logs")
        streams = logs.describe_log_streams(logGroupName="/aws/lambda/f", orderBy="LastEventTime", descending=True, limit=1)["logStreams"]
        lines = [each["message"] for each in logs.get_log_events(logGroupName="/aws/lambda/f", logStreamName=streams[0]["logStreamName"])["events"]]
        self.assertIn("saying something", lines)
        self.assertTrue(lines[0].startswith("START RequestId"))
        self.assertTrue(logs.filter_log_events(logGroupName="/aws/lambda/f", filterPattern="something")["events"])

    def test_states(self):
        self.delays("function_active=0.7")
        lambda_, role = self.aws("lambda"), self.role("r")
        create = {"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "bootstrap", "Code": {"ZipFile": zipped(TELL)}, "Role": role}
        self.assertEqual(lambda_.create_function(**create)["State"], "Pending")
        self.refused("ResourceConflictException", lambda_.create_function, **create)
        self.refused("ResourceConflictException", lambda_.invoke, FunctionName="f", Payload=b"{}")
        self.active("f")
        lambda_.update_function_configuration(FunctionName="f", Timeout=9)
        self.refused("ResourceConflictException", lambda_.update_function_code, FunctionName="f", ZipFile=zipped(TELL))
        self.active("f")

    def test_what_creation_refuses(self):
        lambda_ = self.aws("lambda")
        common = {"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "bootstrap", "Code": {"ZipFile": zipped(TELL)}}
        role = self.role("r", {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
        nobody = f"arn:aws:iam::{self.account}:role/nobody"
        code = "InvalidParameterValueException"
        self.assertIn("cannot be assumed", self.refused(code, lambda_.create_function, Role=nobody, **common))
        bad = {"SubnetIds": SUBNETS, "SecurityGroupIds": ["sg-00000000000000001"]}
        self.assertIn("InvalidGroup.NotFound", self.refused(code, lambda_.create_function, Role=role, VpcConfig=bad, **common))
        bad = {"SubnetIds": ["subnet-00000000000000001"], "SecurityGroupIds": [self.group()]}
        self.assertIn("InvalidSubnetID.NotFound", self.refused(code, lambda_.create_function, Role=role, VpcConfig=bad, **common))
        self.refused(code, lambda_.create_function, Role=role, Environment={"Variables": {"AWS_REGION": "x"}}, **common)
        self.refused(code, lambda_.create_function, Role=role, Environment={"Variables": {"LONG": "x" * 4096}}, **common)

    def test_a_function_in_a_vpc_holds_its_group_for_a_while(self):
        group = self.group()
        self.function("f", TELL, **self.private(group))
        config = self.aws("lambda").get_function_configuration(FunctionName="f")["VpcConfig"]
        self.assertEqual((config["VpcId"], config["SubnetIds"], config["SecurityGroupIds"]), (VPC, SUBNETS, [group]))
        self.delays("function_interfaces=0.7")
        delete = self.aws("ec2").delete_security_group
        self.refused("DependencyViolation", delete, GroupId=group)
        self.aws("lambda").delete_function(FunctionName="f")
        self.refused("DependencyViolation", delete, GroupId=group)

        def deleted():
            try:
                return delete(GroupId=group)
            except self.aws("ec2").exceptions.ClientError:
                return None
        until(deleted, "the interfaces are gone")


class Permissions(Case):
    def secrets(self, *names, **parameters):
        for name in names:
            self.aws("secretsmanager").create_secret(Name=name, SecretString=f"value of {name}", ClientRequestToken=name.ljust(32, "-"), **parameters)

    def assert_denied(self, function, event, action):
        error, told = self.invoke(function, event)
        self.assertEqual(error, "Unhandled")
        self.assertIn("AccessDeniedException", told["errorMessage"])
        self.assertIn(f"not authorized to perform: secretsmanager:{action}", told["errorMessage"])

    def test_a_role_s_policies_are_enforced(self):
        self.secrets("mine", "other")
        self.function("f", READ, {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                                  "Resource": f"arn:aws:secretsmanager:eu-north-1:{self.account}:secret:mine-??????"})
        self.assertEqual(self.invoke("f", "mine"), (None, "value of mine"))
        self.assert_denied("f", "other", "GetSecretValue")
        self.aws("iam").put_role_policy(RoleName="f-role", PolicyName="no", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}]}))
        self.assert_denied("f", "mine", "GetSecretValue")
        denied = [entry for entry in self.requests() if entry["error"] == "AccessDeniedException"]
        self.assertEqual({entry["caller"] for entry in denied}, {"function:f"})

    def test_the_rotation_condition_key(self):
        self.secrets("rotated", "other")
        arn = self.function("f", READ, {
            "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": "*",
            "Condition": {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn":
                                           f"arn:aws:lambda:eu-north-1:{self.account}:function:f"}}})
        self.assert_denied("f", "rotated", "GetSecretValue")
        self.aws("secretsmanager").rotate_secret(SecretId="rotated", RotationLambdaARN=arn, RotationRules={"AutomaticallyAfterDays": 9},
                                                 RotateImmediately=False, ClientRequestToken="t" * 32)
        self.assertEqual(self.invoke("f", "rotated"), (None, "value of rotated"))
        self.assert_denied("f", "other", "GetSecretValue")

    def test_conditions_on_tags(self):
        self.secrets("ours", Tags=[{"Key": "pgrotate:deployment", "Value": "article"}])
        self.secrets("theirs")
        for key in ("aws:ResourceTag", "secretsmanager:ResourceTag"):
            name = "f-" + key[:3]
            self.function(name, READ, {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
                                       "Condition": {"StringEquals": {f"{key}/pgrotate:deployment": "article"}}})
            self.assertEqual(self.invoke(name, "ours"), (None, "value of ours"))
            self.assert_denied(name, "theirs", "GetSecretValue")

    def test_a_client_is_its_account_s_root(self):
        told = self.aws("sts").get_caller_identity()
        self.assertEqual((told["Account"], told["Arn"]), (self.account, f"arn:aws:iam::{self.account}:root"))
        self.function("f", "import botocore.session\ndef handle(event):\n    return botocore.session.Session().create_client('sts').get_caller_identity()['Arn']")
        self.assertEqual(self.invoke("f"), (None, f"arn:aws:sts::{self.account}:assumed-role/f-role/f"))


class Network(Case):
    """Which ways are open, by security groups, endpoints and routes."""

    def setUp(self):
        super().setUp()
        self.ec2 = self.aws("ec2")
        self.function_group, self.database_group, self.endpoint_group = (self.group(name, open_to_all=False) for name in ("f", "d", "e"))
        self.aws("secretsmanager").create_secret(Name="s", SecretString="x", ClientRequestToken="s" * 32)

    def allow(self, group, port, **peer):
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}])

    def assert_timeout(self, name="f"):
        error, told = self.invoke(name, "s")
        self.assertEqual(error, "Unhandled")
        self.assertRegex(told["errorMessage"], r"Task timed out after 20\.00 seconds")

    def test_without_an_endpoint_there_is_no_way_to_secrets_manager(self):
        self.function("f", READ, **self.private(self.function_group))
        self.assert_timeout()
        self.assertTrue(self.aws("logs").filter_log_events(logGroupName="/aws/lambda/f", filterPattern="timed")["events"])
        endpoint = self.endpoint(self.endpoint_group)
        self.assert_timeout()  # its group lets nothing in
        self.allow(self.endpoint_group, 443, UserIdGroupPairs=[{"GroupId": self.function_group}])
        self.assertEqual(self.invoke("f", "s"), (None, "x"))
        self.ec2.revoke_security_group_egress(GroupId=self.function_group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        self.assert_timeout()  # nor does the function's let anything out
        self.ec2.authorize_security_group_egress(GroupId=self.function_group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": self.endpoint_group}]}])
        self.assertEqual(self.invoke("f", "s"), (None, "x"))
        self.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=False)
        self.assert_timeout()

    def test_cidrs_of_the_vpc_open_the_endpoint_too(self):
        self.function("f", READ, **self.private(self.function_group))
        self.endpoint(self.endpoint_group)
        self.allow(self.endpoint_group, 443, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
        self.assert_timeout()
        self.allow(self.endpoint_group, 443, IpRanges=[{"CidrIp": "172.31.0.0/16"}])
        self.assertEqual(self.invoke("f", "s"), (None, "x"))

    def test_the_database_s_group_must_let_the_function_in(self):
        address = self.instance(VpcSecurityGroupIds=[self.database_group])["Endpoint"]["Address"]
        self.function("f", READ, Environment={"Variables": {"HOSTS": f"db={address}"}}, **self.private(self.function_group))
        self.endpoint(self.endpoint_group)
        self.allow(self.endpoint_group, 443, UserIdGroupPairs=[{"GroupId": self.function_group}])
        self.assert_timeout()
        self.allow(self.database_group, 5432, UserIdGroupPairs=[{"GroupId": self.function_group}])
        self.assertEqual(self.invoke("f", "s"), (None, "x"))

    def test_a_nat_is_a_way_out_and_an_internet_gateway_none(self):
        self.function("f", READ, **self.private(self.function_group))
        self.assert_timeout()
        nat = self.ec2.create_nat_gateway(SubnetId=SUBNETS[0], ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        table = self.ec2.create_route_table(VpcId=VPC)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        for subnet in SUBNETS:
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.assertEqual(self.invoke("f", "s"), (None, "x"))

    def test_other_services_do_not_answer_through_that_endpoint(self):
        self.function("f", "import botocore.session, botocore.config\ndef handle(event):\n"
                           "    config = botocore.config.Config(connect_timeout=1, read_timeout=1, retries={'max_attempts': 0})\n"
                           "    return botocore.session.Session().create_client('rds', config=config).describe_db_instances()['DBInstances']",
                      **self.private(self.function_group))
        self.endpoint(self.endpoint_group)
        self.allow(self.endpoint_group, 443, UserIdGroupPairs=[{"GroupId": self.function_group}])
        error, told = self.invoke("f", None)
        self.assertEqual((error, told["errorType"]), ("Unhandled", "ReadTimeoutError"))


class Storage(Case):
    def test_buckets(self):
        s3, name = self.aws("s3"), f"bucket-{self.account}"
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        self.refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        self.assertEqual(set(block.values()), {True})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        self.assertEqual(s3.get_bucket_tagging(Bucket=name)["TagSet"], [{"Key": "a", "Value": "b"}])
        s3.put_object(Bucket=name, Key="k", Body=io.BytesIO(b"content"), ExpectedBucketOwner=self.account)
        self.assertEqual(s3.head_object(Bucket=name, Key="k")["ContentLength"], 7)
        self.refused("404", s3.head_object, Bucket=name, Key="none")
        self.refused("BucketNotEmpty", s3.delete_bucket, Bucket=name)
        for call, more in ((s3.get_object, {"Key": "k"}), (s3.get_bucket_tagging, {}), (s3.delete_bucket, {})):
            self.refused("AccessDenied", call, Bucket=name, ExpectedBucketOwner="000000000000", **more)
        self.refused("403", s3.head_bucket, Bucket=name, ExpectedBucketOwner="000000000000")
        self.account, self._clients = str(int(self.account) + 500000), {}
        self.refused("AccessDenied", self.aws("s3").get_object, Bucket=name, Key="k")
        self.refused("BucketAlreadyExists", self.aws("s3").create_bucket, Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        told = {(entry["operation"], entry["error"]) for entry in self.requests()}
        self.assertIn(("GetObject", "AccessDenied"), told)


class Validation(Case):
    """Requests are checked against the API's model, for every service that has one of ours or MiniStack's."""

    def test_lambda_logs_and_iam(self):
        role = self.role("r")
        create = {"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "bootstrap", "Code": {"ZipFile": zipped(TELL)}, "Role": role}
        for change in ({"Timeout": 901}, {"MemorySize": 64}, {"FunctionName": "no spaces"}, {"Role": "no-arn"}):
            with self.subTest(change):
                self.refused("ValidationException", self.aws("lambda").create_function, **{**create, **change})
        self.refused("InvalidParameterException", self.aws("logs").create_log_group, logGroupName="bad name?")
        self.refused("ValidationError", self.aws("iam").create_role, RoleName="bad name", AssumeRolePolicyDocument="{}")
        self.refused("MissingParameter", self.aws("ec2").create_security_group, GroupName="g")
        self.refused("ValidationException", self.aws("events").put_rule, Name="bad name", EventPattern="{}")
