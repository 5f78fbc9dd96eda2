import json

from .support import SUBNETS, until
from .test_cloudformation import StackCase


class Drift(StackCase):
    """What an update does not repair, a drift-aware change set does."""

    def setUp(self):
        super().setUp()
        self.create()
        self.reached("CREATE_COMPLETE")

    def change_set(self, name="repair", **parameters):
        return self.cf.create_change_set(StackName="stack", ChangeSetName=name, UsePreviousTemplate=True, DeploymentMode="REVERT_DRIFT",
                                         Capabilities=["CAPABILITY_NAMED_IAM"], Parameters=self.parameters(), **parameters)["Id"]

    def repair(self):
        made = self.change_set()
        told = self.cf.describe_change_set(ChangeSetName=made)
        self.assertEqual((told["Status"], told["ExecutionStatus"]), ("CREATE_COMPLETE", "AVAILABLE"), told.get("StatusReason"))
        self.cf.execute_change_set(ChangeSetName=made)
        until(lambda: self.stack()["StackStatus"] == "UPDATE_COMPLETE", "repaired")
        return {(each["ResourceChange"]["Action"], each["ResourceChange"]["LogicalResourceId"]) for each in told["Changes"]}

    def test_without_drift_there_is_nothing_to_do(self):
        told = self.cf.describe_change_set(ChangeSetName=self.change_set())
        self.assertEqual((told["Status"], told["ExecutionStatus"]), ("FAILED", "UNAVAILABLE"))
        self.assertIn("didn't contain changes", told["StatusReason"])

    def test_a_changed_function_and_role(self):
        self.aws("lambda").update_function_configuration(FunctionName="f", Timeout=7, Environment={"Variables": {}},
                                                         VpcConfig={"SubnetIds": SUBNETS[:1], "SecurityGroupIds": [self.group_id]})
        self.active("f")
        self.aws("iam").put_role_policy(RoleName="stack-role", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))
        self.assertIn("No updates", self.refused("ValidationError", self.update))
        self.assertEqual(self.repair(), {("Modify", "Function"), ("Modify", "Role")})
        config = self.aws("lambda").get_function_configuration(FunctionName="f")
        self.assertEqual((config["Timeout"], config["VpcConfig"]["SubnetIds"]), (20, SUBNETS))
        self.assertEqual(self.called(), "hello one")
        document = self.aws("iam").get_role_policy(RoleName="stack-role", PolicyName="p")["PolicyDocument"]
        self.assertEqual(document["Statement"][0]["Action"], "secretsmanager:GetSecretValue")

    def detected(self):
        """What a detection finds: the properties that differ of each resource, None where it is gone."""
        told = {"StackDriftDetectionId": self.cf.detect_stack_drift(StackName="stack")["StackDriftDetectionId"]}
        done = until(lambda: (seen := self.cf.describe_stack_drift_detection_status(**told))["DetectionStatus"] !=
                     "DETECTION_IN_PROGRESS" and seen, "detected")
        self.assertEqual(done["DetectionStatus"], "DETECTION_COMPLETE")
        drifts = self.cf.describe_stack_resource_drifts(StackName="stack", StackResourceDriftStatusFilters=["MODIFIED", "DELETED"])
        self.assertEqual(done["StackDriftStatus"], "DRIFTED" if drifts["StackResourceDrifts"] else "IN_SYNC")
        return {each["LogicalResourceId"]: None if each["StackResourceDriftStatus"] == "DELETED" else
                sorted(different["PropertyPath"] for different in each["PropertyDifferences"])
                for each in drifts["StackResourceDrifts"]}

    def test_a_changed_alarm_permission_and_log_group(self):
        self.assertEqual(self.detected(), {})
        cloudwatch, functions = self.aws("cloudwatch"), self.aws("lambda")
        alarm = cloudwatch.describe_alarms()["MetricAlarms"][0]
        kept = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "ComparisonOperator",
                "TreatMissingData", "AlarmDescription", "AlarmActions")
        cloudwatch.put_metric_alarm(**{key: alarm[key] for key in kept if key in alarm}, Threshold=99)
        sid = json.loads(functions.get_policy(FunctionName="f")["Policy"])["Statement"][0]["Sid"]
        functions.remove_permission(FunctionName="f", StatementId=sid)
        functions.add_permission(FunctionName="f", StatementId=sid, Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
        self.aws("logs").put_retention_policy(logGroupName="/aws/lambda/f", retentionInDays=1)
        self.assertEqual(set(self.detected()), {"FailureAlarm", "Permission", "LogGroup"})
        self.assertEqual(self.detected()["FailureAlarm"], ["/Threshold"])
        self.assertEqual(self.repair(), {("Modify", each) for each in ("FailureAlarm", "Permission", "LogGroup")})
        self.assertEqual(self.detected(), {})

    def test_a_detection_takes_its_time_and_is_alone(self):
        self.delays("drift_detection=1")
        told = {"StackDriftDetectionId": self.cf.detect_stack_drift(StackName="stack")["StackDriftDetectionId"]}
        status = lambda: self.cf.describe_stack_drift_detection_status(**told)["DetectionStatus"]  # noqa: E731
        self.assertEqual(status(), "DETECTION_IN_PROGRESS")
        self.refused("ValidationError", self.cf.detect_stack_drift, StackName="stack")
        until(lambda: status() == "DETECTION_COMPLETE", "detected")
        self.delays("none")
        self.assertEqual(self.detected(), {})

    def test_what_was_deleted_comes_back(self):
        sid = json.loads(self.aws("lambda").get_policy(FunctionName="f")["Policy"])["Statement"][0]["Sid"]
        self.aws("lambda").remove_permission(FunctionName="f", StatementId=sid)
        self.aws("logs").delete_log_group(logGroupName="/aws/lambda/f")
        self.aws("cloudwatch").delete_alarms(AlarmNames=["failed-rotations"])
        self.aws("events").delete_rule(Name="failed-rotations")
        self.assertEqual(self.repair(), {("Add", each) for each in ("Permission", "LogGroup", "FailureAlarm", "Rule")})
        self.assertTrue(json.loads(self.aws("lambda").get_policy(FunctionName="f")["Policy"])["Statement"])
        self.assertEqual(len(self.aws("logs").describe_log_groups()["logGroups"]), 1)
        self.assertEqual(len(self.aws("cloudwatch").describe_alarms()["MetricAlarms"]), 1)
        self.assertEqual(len(self.aws("events").list_rules()["Rules"]), 1)

    def test_a_deleted_function_comes_back_with_its_permission(self):
        self.aws("lambda").delete_function(FunctionName="f")
        self.assertEqual(self.repair(), {("Add", "Function"), ("Add", "Permission")})
        self.assertEqual(self.called(), "hello one")
        self.assertTrue(json.loads(self.aws("lambda").get_policy(FunctionName="f")["Policy"])["Statement"])
