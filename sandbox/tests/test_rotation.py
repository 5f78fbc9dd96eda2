import json
import urllib.error
import uuid

import psycopg

from .support import ROTATE, Case, until

DAYS = {"AutomaticallyAfterDays": 10}
# A function that keeps what it was asked in its secret's description, and does all that a rotation needs.
NO_DATABASE = '''
def handle(event):
    manager, secret, token = SecretsManager(), event["SecretId"], event["ClientRequestToken"]
    described = manager.describe_secret(SecretId=secret)
    manager.update_secret(SecretId=secret, Description=(described.get("Description") or "") + event["Step"] + " ")
    fail = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}.get("fail")
    if fail == event["Step"]:
        raise RuntimeError("told to fail")
    if event["Step"] == "createSecret":
        manager.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString="new " + token, VersionStages=["AWSPENDING"])
    if event["Step"] == "finishSecret":
        current = next(key for key, labels in described["VersionIdsToStages"].items() if "AWSCURRENT" in labels)
        manager.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
'''


class Rotation(Case):
    def setUp(self):
        super().setUp()
        self.manager = self.aws("secretsmanager")

    def secret(self, **parameters):
        self.manager.create_secret(Name="s", SecretString="one", ClientRequestToken=str(uuid.uuid4()), **parameters)

    def rotate(self, **parameters):
        parameters.setdefault("ClientRequestToken", str(uuid.uuid4()))
        return self.manager.rotate_secret(SecretId="s", **parameters)["VersionId"]

    def look(self):
        return self.manager.describe_secret(SecretId="s")

    def steps(self):
        return (self.look().get("Description") or "").split()

    def current(self):
        return next(key for key, labels in self.look()["VersionIdsToStages"].items() if "AWSCURRENT" in labels)

    def set_tag(self, key, value):
        self.manager.tag_resource(SecretId="s", Tags=[{"Key": key, "Value": value}])

    def test_a_rotation_is_only_begun(self):
        self.secret()
        token = str(uuid.uuid4())
        self.control("rotations", secret="s", token=token)
        self.assertEqual(self.look()["VersionIdsToStages"][token], ["AWSPENDING"])
        self.refused("ResourceNotFoundException", self.manager.get_secret_value, SecretId="s", VersionId=token)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.control("rotations", secret="s", token=str(uuid.uuid4()))
        self.assertIn("isn't complete", refused.exception.read().decode())
        self.assertEqual(self.steps(), [])

    def test_the_four_steps_against_a_real_database(self):
        function = self.function("f", ROTATE)
        instance = self.instance(VpcSecurityGroupIds=[self.group()])
        value = {"host": instance["Endpoint"]["Address"], "port": 5432, "dbname": "postgres", "username": "postgres",
                 "password": "a-long-password", "engine": "postgres"}
        self.manager.create_secret(Name="s", SecretString=json.dumps(value), ClientRequestToken=str(uuid.uuid4()))
        made = self.rotate(RotationLambdaARN=function, RotationRules=DAYS)
        until(lambda: "LastRotatedDate" in self.look(), "rotated")
        self.assertEqual(self.current(), made)
        now = json.loads(self.manager.get_secret_value(SecretId="s")["SecretString"])
        self.assertEqual(now["password"], "p" + made)
        psycopg.connect(host=now["host"], user="postgres", password=now["password"], sslmode="require").close()
        with self.assertRaises(psycopg.OperationalError):
            psycopg.connect(host=now["host"], user="postgres", password="a-long-password", sslmode="require")
        steps = [entry["operation"] for entry in self.requests() if entry["caller"] == "function:f"]
        self.assertEqual(steps.count("PutSecretValue"), 1)
        self.assertEqual(steps[-1], "UpdateSecretVersionStage")

    def test_what_rotate_secret_checks(self):
        self.secret()
        self.refused("InvalidRequestException", self.rotate)
        nowhere = f"arn:aws:lambda:eu-north-1:{self.account}:function:none"
        self.refused("AccessDeniedException", self.rotate, RotationLambdaARN=nowhere, RotationRules=DAYS)
        function = self.function("f", NO_DATABASE, permission=False)
        self.refused("AccessDeniedException", self.rotate, RotationLambdaARN=function, RotationRules=DAYS)
        self.aws("lambda").add_permission(FunctionName="f", StatementId="other", Action="lambda:InvokeFunction",
                                          Principal="secretsmanager.amazonaws.com", SourceAccount="999999999999")
        self.refused("AccessDeniedException", self.rotate, RotationLambdaARN=function, RotationRules=DAYS)
        self.delays("permission_settle=0.5")
        self.permit("f")
        self.refused("AccessDeniedException", self.rotate, RotationLambdaARN=function, RotationRules=DAYS)
        # Nothing of a refused request stays.
        self.assertNotIn("RotationEnabled", self.look())

        def settled():
            try:
                return self.rotate(RotationLambdaARN=function, RotationRules=DAYS)
            except self.manager.exceptions.ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "AccessDeniedException")
                return None
        until(settled, "the permission is seen")
        until(lambda: "LastRotatedDate" in self.look(), "rotated")

    def test_rules(self):
        self.secret()
        function = self.function("f", NO_DATABASE)
        for rules in ({"AutomaticallyAfterDays": 10, "ScheduleExpression": "rate(10 days)"}, {"Duration": "2h"},
                      {"ScheduleExpression": "rate(2 hours)"}, {"ScheduleExpression": "cron(5 4 ? * SUN *)"},
                      {"ScheduleExpression": "cron(0 4 1 * SUN *)"}, {"ScheduleExpression": "every day"},
                      {"ScheduleExpression": "cron(0 22 ? * SUN *)", "Duration": "3h"},
                      {"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}, {"ScheduleExpression": "cron(0 */2 * * ? *)"}):
            with self.subTest(rules):
                self.refused("InvalidParameterException", self.rotate, RotationLambdaARN=function, RotationRules=rules)
        self.refused("ValidationException", self.rotate, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 1001})
        self.refused("ValidationException", self.rotate, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 0})
        self.rotate(RotationLambdaARN=function, RotationRules={"ScheduleExpression": "cron(0 4 ? * SUN#1 *)", "Duration": "2h"})
        after = until(lambda: "LastRotatedDate" in self.look() and self.look()["NextRotationDate"], "rotated")
        self.assertEqual(self.look()["RotationRules"]["ScheduleExpression"], "cron(0 4 ? * SUN#1 *)")
        self.assertIn("AutomaticallyAfterDays", self.look()["RotationRules"])
        self.assertEqual((after.isoweekday(), after.astimezone(None).tzinfo is not None, after.day <= 7), (7, True, True))

    def test_a_pending_version_has_no_value_and_blocks_the_next_rotation(self):
        self.secret(Tags=[{"Key": "fail", "Value": "createSecret"}])
        self.delays("rotation_retry=300")
        made = self.rotate(RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS)
        until(lambda: self.steps() == ["createSecret"], "the first step")
        self.assertEqual(self.look()["VersionIdsToStages"][made], ["AWSPENDING"])
        self.refused("ResourceNotFoundException", self.manager.get_secret_value, SecretId="s", VersionStage="AWSPENDING")
        self.assertIn("previous rotation isn't complete", self.refused("InvalidRequestException", self.rotate))
        self.assertNotIn("LastRotatedDate", self.look())
        # The label taken off by hand, the next may begin.
        self.manager.update_secret_version_stage(SecretId="s", VersionStage="AWSPENDING", RemoveFromVersionId=made)
        self.manager.untag_resource(SecretId="s", TagKeys=["fail"])
        made = self.rotate()
        until(lambda: self.current() == made, "rotated")

    def test_a_failed_rotation_is_tried_again_whole_and_not_for_ever(self):
        self.delays("rotation_retry=0.2")
        self.secret(Tags=[{"Key": "fail", "Value": "testSecret"}])
        made = self.rotate(RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS)
        until(lambda: len(self.steps()) >= 6, "a second attempt")
        self.manager.untag_resource(SecretId="s", TagKeys=["fail"])
        until(lambda: self.current() == made, "rotated by a later attempt")
        self.assertEqual(self.steps()[:4], ["createSecret", "setSecret", "testSecret", "createSecret"])

    def test_without_rotating_at_once_only_the_test_step_runs(self):
        self.secret()
        self.rotate(RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS, RotateImmediately=False)
        until(lambda: self.steps() == ["testSecret"], "tested")
        until(lambda: len(self.look()["VersionIdsToStages"]) == 1, "the test's version is gone")
        self.assertTrue(self.look()["RotationEnabled"])
        self.assertNotIn("LastRotatedDate", self.look())
        self.assertIn("NextRotationDate", self.look())

    def test_the_schedule_fires_when_the_clock_moves(self):
        self.secret()
        self.rotate(RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS)
        until(lambda: "LastRotatedDate" in self.look(), "rotated")
        first, due = self.current(), self.look()["NextRotationDate"]
        self.ctl("clock", "+9d")
        self.assertEqual(self.current(), first)
        self.ctl("clock", "+1d")
        until(lambda: self.current() != first, "rotated by schedule")
        until(lambda: self.look()["NextRotationDate"] > due, "the next date")

    def test_cancelling(self):
        self.secret()
        function = self.function("f", NO_DATABASE)
        self.rotate(RotationLambdaARN=function, RotationRules=DAYS)
        until(lambda: "LastRotatedDate" in self.look(), "rotated")
        self.manager.cancel_rotate_secret(SecretId="s")
        told = self.look()
        self.assertEqual((told["RotationEnabled"], told["RotationLambdaARN"], told["RotationRules"], told.get("NextRotationDate")),
                         (False, function, DAYS, None))
        first = self.current()
        self.ctl("clock", "+30d")
        self.rotate()  # turns it on again with what it had
        until(lambda: self.current() != first, "rotated")
        self.assertTrue(self.look()["RotationEnabled"])

    def test_a_reused_token(self):
        self.secret()
        made = self.rotate(RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS)
        until(lambda: "LastRotatedDate" in self.look(), "rotated")
        self.refused("ResourceExistsException", self.rotate, ClientRequestToken=made)

    def test_eventbridge_hears_of_a_failure(self):
        events, logs = self.aws("events"), self.aws("logs")
        logs.create_log_group(logGroupName="/aws/events/rotation")
        events.put_rule(Name="r", EventPattern=json.dumps({
            "source": ["aws.secretsmanager"], "detail-type": ["AWS Service Event via CloudTrail"],
            "detail": {"eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]}}))
        events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": f"arn:aws:logs:eu-north-1:{self.account}:log-group:/aws/events/rotation"}])
        self.secret(Tags=[{"Key": "fail", "Value": "setSecret"}])
        self.rotate(RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS)
        told = until(lambda: logs.filter_log_events(logGroupName="/aws/events/rotation")["events"], "the event")
        self.assertIn("RotationFailed", told[0]["message"])
