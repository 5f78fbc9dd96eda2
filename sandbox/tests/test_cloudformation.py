import json

from .support import SUBNETS, VPC, Case, until, zipped

CODE = "def handle(event):\n    return os.environ.get('GREETING', 'none') + ' {}'"
TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {"Bucket": {"Type": "String"}, "Key": {"Type": "String"}, "Greeting": {"Type": "String", "Default": "hello"},
                   "Alarm": {"Type": "String", "Default": "yes"}, "Subnets": {"Type": "CommaDelimitedList"}, "Group": {"Type": "String"}},
    "Conditions": {"WithAlarm": {"Fn::Equals": [{"Ref": "Alarm"}, "yes"]}},
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": {"Fn::Sub": "${AWS::StackName}-role"},
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
                {"Effect": "Allow", "Action": "ec2:*NetworkInterface*", "Resource": "*"}]}}]}},
        "LogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Join": ["", ["/aws/lambda/", "f"]]}, "RetentionInDays": 30}},
        "Function": {"Type": "AWS::Lambda::Function", "DependsOn": ["LogGroup"], "Properties": {
            "FunctionName": "f", "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 20, "MemorySize": 256, "Architectures": ["x86_64"],
            "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"S3Bucket": {"Ref": "Bucket"}, "S3Key": {"Ref": "Key"}},
            "Environment": {"Variables": {"GREETING": {"Ref": "Greeting"}}},
            "VpcConfig": {"SubnetIds": {"Ref": "Subnets"}, "SecurityGroupIds": [{"Ref": "Group"}]},
            "Tags": [{"Key": "own", "Value": "tag"}]}},
        "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
            "FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", "Principal": "secretsmanager.amazonaws.com",
            "SourceAccount": {"Ref": "AWS::AccountId"}}},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Name": "failed-rotations", "EventPattern": {"source": ["aws.secretsmanager"]}}},
        "FailureAlarm": {"Type": "AWS::CloudWatch::Alarm", "Condition": "WithAlarm", "Properties": {
            "AlarmName": "failed-rotations", "Namespace": "AWS/Events", "MetricName": "TriggeredRules", "Statistic": "Sum", "Period": 300,
            "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Dimensions": [{"Name": "RuleName", "Value": {"Ref": "Rule"}}]}},
    },
    "Outputs": {"FunctionArn": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}}, "RoleName": {"Value": {"Ref": "Role"}},
                "Joined": {"Value": {"Fn::Join": ["-", ["a", {"Ref": "Function"}]]}},
                "OnlyWithAlarm": {"Condition": "WithAlarm", "Value": "there"}},
}


class StackCase(Case):
    def setUp(self):
        super().setUp()
        self.cf = self.aws("cloudformation")
        self.bucket, self.group_id = f"code-{self.account}", self.group("f")
        self.aws("s3").create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        for version in ("one", "two"):
            self.aws("s3").put_object(Bucket=self.bucket, Key=version, Body=zipped(CODE.format(version)))

    def parameters(self, **changed):
        values = {"Bucket": self.bucket, "Key": "one", "Subnets": ",".join(SUBNETS), "Group": self.group_id, **changed}
        return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]

    def create(self, template=TEMPLATE, name="stack", **parameters):
        return self.cf.create_stack(**{"StackName": name, "TemplateBody": template if isinstance(template, str) else json.dumps(template),
                                       "Capabilities": ["CAPABILITY_NAMED_IAM"], "Parameters": self.parameters(),
                                       "Tags": [{"Key": "pgrotate:deployment", "Value": "article"}], **parameters})

    def update(self, template=TEMPLATE, **parameters):
        if "UsePreviousTemplate" not in parameters:
            parameters["TemplateBody"] = json.dumps(template)
        return self.cf.update_stack(**{"StackName": "stack", "Capabilities": ["CAPABILITY_NAMED_IAM"], "Parameters": self.parameters(),
                                       "Tags": [{"Key": "pgrotate:deployment", "Value": "article"}], **parameters})

    def stack(self, name="stack"):
        return self.cf.describe_stacks(StackName=name)["Stacks"][0]

    def reached(self, status, name="stack"):
        def look():
            now = self.stack(name)
            if now["StackStatus"].endswith("_COMPLETE") or now["StackStatus"].endswith("FAILED"):
                events = [f"{each['LogicalResourceId']} {each['ResourceStatus']} {each.get('ResourceStatusReason', '')}"
                          for each in self.cf.describe_stack_events(StackName=name)["StackEvents"]]
                self.assertEqual(now["StackStatus"], status, "\n".join(events))
                return now
            return None
        return until(look, status)

    def called(self):
        self.endpoint_made = getattr(self, "endpoint_made", None) or self.endpoint(self.group_id)
        return self.invoke("f")[1]

    def gone(self):
        try:
            self.stack()
        except self.cf.exceptions.ClientError as error:
            self.assertEqual(error.response["Error"]["Code"], "ValidationError")
            return True
        return False


class Stacks(StackCase):
    def test_creation_makes_everything(self):
        self.delays("stack_create=0.5")
        stack_id = self.create()["StackId"]
        self.assertEqual(self.stack()["StackStatus"], "CREATE_IN_PROGRESS")
        self.assertEqual(self.aws("lambda").list_functions()["Functions"], [])
        stack = self.reached("CREATE_COMPLETE")
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        arn = f"arn:aws:lambda:eu-north-1:{self.account}:function:f"
        self.assertEqual(outputs, {"FunctionArn": arn, "RoleName": "stack-role", "Joined": "a-f", "OnlyWithAlarm": "there"})
        self.assertEqual((stack["StackId"], stack["Tags"]), (stack_id, [{"Key": "pgrotate:deployment", "Value": "article"}]))
        config = self.aws("lambda").get_function_configuration(FunctionName="f")
        self.assertEqual((config["VpcConfig"]["VpcId"], config["VpcConfig"]["SecurityGroupIds"], config["Timeout"], config["MemorySize"]),
                         (VPC, [self.group_id], 20, 256))
        self.assertEqual((config["State"], config["LastUpdateStatus"]), ("Active", "Successful"))
        tags = self.aws("lambda").list_tags(Resource=arn)["Tags"]
        self.assertEqual((tags["own"], tags["pgrotate:deployment"]), ("tag", "article"))
        policy = json.loads(self.aws("lambda").get_policy(FunctionName="f")["Policy"])
        self.assertEqual(policy["Statement"][0]["Condition"], {"StringEquals": {"AWS:SourceAccount": self.account}})
        self.assertIn("p", self.aws("iam").list_role_policies(RoleName="stack-role")["PolicyNames"])
        self.assertEqual(self.aws("logs").describe_log_groups()["logGroups"][0]["retentionInDays"], 30)
        self.assertEqual(len(self.aws("cloudwatch").describe_alarms()["MetricAlarms"]), 1)
        self.assertEqual(self.called(), "hello one")
        self.assertEqual(self.cf.get_template(StackName="stack")["TemplateBody"]["Resources"].keys(), TEMPLATE["Resources"].keys())
        kinds = {each["ResourceType"] for each in self.cf.describe_stack_resources(StackName="stack")["StackResources"]}
        self.assertIn("AWS::Lambda::Function", kinds)

    def test_a_parameter_that_is_left_out_takes_its_default(self):
        """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html"""
        self.create(Parameters=self.parameters(Greeting="good day"))
        self.reached("CREATE_COMPLETE")
        self.update(Parameters=self.parameters(Key="two"))
        self.reached("UPDATE_COMPLETE")
        self.assertEqual(self.called(), "hello two")

    def test_updates_are_real(self):
        self.create()
        self.reached("CREATE_COMPLETE")
        self.assertIn("No updates are to be performed", self.refused("ValidationError", self.update))
        self.delays("stack_update=0.5")
        self.update(UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Greeting", "ParameterValue": "good day"}, *(
            {"ParameterKey": key, "UsePreviousValue": True} for key in ("Bucket", "Key", "Subnets", "Group"))])
        self.assertEqual(self.stack()["StackStatus"], "UPDATE_IN_PROGRESS")
        self.refused("ValidationError", self.update, Parameters=self.parameters(Greeting="again"))
        self.reached("UPDATE_COMPLETE")
        self.assertEqual(self.called(), "good day one")
        self.update(Parameters=self.parameters(Greeting="good day", Key="two"))
        self.reached("UPDATE_COMPLETE")
        self.assertEqual(self.called(), "good day two")
        self.assertEqual(self.aws("lambda").get_function_configuration(FunctionName="f")["VpcConfig"]["SubnetIds"], SUBNETS)
        changed = json.loads(json.dumps(TEMPLATE))
        changed["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = "secretsmanager:*"
        changed["Resources"]["Function"]["Properties"]["VpcConfig"]["SubnetIds"] = SUBNETS[:1]
        self.update(changed, Parameters=self.parameters(Greeting="good day", Key="two", Alarm="no"))
        stack = self.reached("UPDATE_COMPLETE")
        document = self.aws("iam").get_role_policy(RoleName="stack-role", PolicyName="p")["PolicyDocument"]
        self.assertEqual(document["Statement"][0]["Action"], "secretsmanager:*")
        self.assertEqual(self.aws("lambda").get_function_configuration(FunctionName="f")["VpcConfig"]["SubnetIds"], SUBNETS[:1])
        self.assertNotIn("OnlyWithAlarm", [each["OutputKey"] for each in stack["Outputs"]])
        self.assertEqual(self.aws("cloudwatch").describe_alarms()["MetricAlarms"], [])
        self.assertTrue(json.loads(self.aws("lambda").get_policy(FunctionName="f")["Policy"])["Statement"])

    def test_a_failed_creation_rolls_back_and_can_only_be_deleted(self):
        self.create(Parameters=self.parameters(Key="none"))
        stack = self.reached("ROLLBACK_COMPLETE")
        reasons = [each.get("ResourceStatusReason", "") for each in self.cf.describe_stack_events(StackName="stack")["StackEvents"]
                   if each["ResourceStatus"] == "CREATE_FAILED"]
        self.assertTrue(any("NoSuchKey" in reason for reason in reasons), (stack, reasons))
        self.refused("NoSuchEntity", self.aws("iam").get_role, RoleName="stack-role")
        self.refused("AlreadyExistsException", self.create)
        self.refused("ValidationError", self.update)
        self.cf.delete_stack(StackName="stack")
        until(self.gone, "deleted")
        self.create()
        self.reached("CREATE_COMPLETE")

    def test_a_failed_update_rolls_back(self):
        self.create()
        self.reached("CREATE_COMPLETE")
        self.update(Parameters=self.parameters(Key="none", Greeting="changed"))
        self.reached("UPDATE_ROLLBACK_COMPLETE")
        self.assertEqual(self.called(), "hello one")

    def test_nothing_that_exists_is_taken_over(self):
        self.role("stack-role")
        self.create()
        self.reached("ROLLBACK_COMPLETE")
        self.assertEqual(self.aws("iam").get_role(RoleName="stack-role")["Role"]["RoleName"], "stack-role")
        self.aws("logs").create_log_group(logGroupName="/aws/lambda/f")
        self.create(name="second", template=json.dumps(TEMPLATE).replace("failed-rotations", "others"))
        self.reached("ROLLBACK_COMPLETE", "second")
        self.assertEqual([each["logGroupName"] for each in self.aws("logs").describe_log_groups()["logGroups"]], ["/aws/lambda/f"])

    def test_deletion_is_real(self):
        self.create()
        self.reached("CREATE_COMPLETE")
        self.delays("stack_delete=0.5")
        self.cf.delete_stack(StackName="stack")
        self.assertEqual(self.stack()["StackStatus"], "DELETE_IN_PROGRESS")
        until(self.gone, "deleted")
        self.assertEqual(self.aws("lambda").list_functions()["Functions"], [])
        self.refused("NoSuchEntity", self.aws("iam").get_role, RoleName="stack-role")
        self.assertEqual(self.aws("logs").describe_log_groups()["logGroups"], [])
        self.cf.delete_stack(StackName="stack")

    def test_what_creation_refuses(self):
        self.refused("InsufficientCapabilitiesException", self.create, Capabilities=["CAPABILITY_IAM"])
        self.refused("InsufficientCapabilitiesException", self.create, Capabilities=[])
        self.refused("ValidationError", self.create, template=json.dumps(TEMPLATE) + " " * 51200)
        self.refused("ValidationError", self.create, template="{not json")
        self.refused("ValidationError", self.create, Parameters=[])
        self.refused("ValidationError", self.create, name="bad_name")
        self.refused("ValidationError", self.stack)
        self.create(ClientRequestToken="token-1")
        self.refused("AlreadyExistsException", self.create)
        self.reached("CREATE_COMPLETE")
        self.refused("TokenAlreadyExistsException", self.update, ClientRequestToken="token-1", Parameters=self.parameters(Greeting="x"))
