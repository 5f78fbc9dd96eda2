"""What hears of a rotation that fails: metrics in log lines, alarms, rules, and the topics that they publish to."""
import json
import time

from .support import Case, until
from .test_rotation import DAYS, NO_DATABASE

# A function that logs what it is told to.
LOGS = "def handle(event):\n    print(event, flush=True)"


def line(**changed) -> str:
    """A log line with metrics, as the specification has them."""
    directive = {"Namespace": "own", "Dimensions": [["deployment"]], "Metrics": [{"Name": "Failed", "Unit": "Count"}]}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"deployment": "article", "Failed": 1, "_aws": metadata, **changed})


class Alerts(Case):
    def topic(self, *services: str) -> str:
        """A topic with AWS's own policy, or one that lets these services publish."""
        made = self.aws("sns").create_topic(Name="alerts")["TopicArn"]
        if services:
            policy = {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sns:Publish", "Resource": made}]}
            self.aws("sns").set_topic_attributes(TopicArn=made, AttributeName="Policy", AttributeValue=json.dumps(policy))
        self.queue = self.aws("sqs").create_queue(QueueName="hears")["QueueUrl"]
        arn = self.aws("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.aws("sns").subscribe(TopicArn=made, Protocol="sqs", Endpoint=arn)
        return made

    def heard(self) -> list[dict]:
        """What the topic's queue has got since the last time."""
        got = self.aws("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            self.aws("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in got]

    def alarm(self, name: str, topic: str, **changed):
        self.aws("cloudwatch").put_metric_alarm(**{
            "AlarmName": name, "Namespace": "own", "MetricName": "Failed", "Statistic": "Sum", "Period": 300,
            "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Dimensions": [{"Name": "deployment", "Value": "article"}], "TreatMissingData": "notBreaching",
            "AlarmActions": [topic], **changed})

    def states(self) -> dict[str, str]:
        return {each["AlarmName"]: each["StateValue"] for each in self.aws("cloudwatch").describe_alarms()["MetricAlarms"]}

    def sums(self, namespace: str, name: str, *dimensions: tuple[str, str]) -> list[float]:
        found = self.aws("cloudwatch").get_metric_statistics(
            Namespace=namespace, MetricName=name, StartTime=time.time() - 3600, EndTime=time.time() + 60, Period=7200, Statistics=["Sum"],
            Dimensions=[{"Name": each, "Value": value} for each, value in dimensions])["Datapoints"]
        return [each["Sum"] for each in found]

    def test_metrics_are_taken_from_log_lines(self):
        topic = self.topic()
        self.function("f", LOGS)
        self.alarm("of-it", topic)
        self.alarm("of-another", topic, Dimensions=[{"Name": "deployment", "Value": "another"}])
        self.alarm("of-none", topic, Dimensions=[])
        self.alarm("of-the-function", topic, Namespace="AWS/Lambda", MetricName="Errors",
                   Dimensions=[{"Name": "FunctionName", "Value": "f"}])
        self.invoke("f", line(Failed=0))
        until(lambda: self.states()["of-it"] == "OK", "no failure")
        self.assertEqual(self.heard(), [])
        self.invoke("f", line())
        until(lambda: self.states()["of-it"] == "ALARM", "a failure")
        told = until(self.heard, "the topic hears of it")
        self.assertEqual([(each["AlarmName"], each["NewStateValue"]) for each in told], [("of-it", "ALARM")])
        self.assertEqual({name: state for name, state in self.states().items() if state == "ALARM"}, {"of-it": "ALARM"})
        self.assertEqual(self.sums("own", "Failed", ("deployment", "article")), [1])

    def test_an_alarm_tells_a_topic_only_by_its_policy(self):
        self.topic("events.amazonaws.com")
        self.function("f", LOGS)
        self.alarm("of-it", f"arn:aws:sns:eu-north-1:{self.account}:alerts")
        self.invoke("f", line())
        until(lambda: self.states()["of-it"] == "ALARM", "a failure")
        self.assertEqual(self.heard(), [])

    def test_what_is_no_document_makes_no_metric(self):
        self.function("f", LOGS)
        good = json.loads(line())["_aws"]
        directive = good["CloudWatchMetrics"][0]

        def with_directive(**changed):
            return line(_aws={**good, "CloudWatchMetrics": [{**directive, **changed}]})
        bad = [
            line(_aws={"Timestamp": good["Timestamp"]}), line(_aws={**good, "Timestamp": None}), line(_aws={**good, "Timestamp": 1}),
            line(_aws={**good, "CloudWatchMetrics": [1]}), line(Failed="1"), line(Failed=None), line(Failed=True), line(deployment=1),
            line(deployment=""), line(deployment="é"), with_directive(Namespace=""), with_directive(Dimensions="deployment"),
            with_directive(Dimensions=[["deployment", "missing"]]), with_directive(Dimensions=[["deployment"] * 31]),
            with_directive(Metrics=[{"Name": "Missing"}]), with_directive(Metrics=[{"Name": "Failed", "Unit": "Failures"}]),
            with_directive(Metrics=[{"Name": "Failed"}] * 101),
        ]
        for each in bad:
            self.assertEqual(self.invoke("f", each)[0], None)
        self.assertEqual(self.sums("own", "Failed", ("deployment", "article")), [])
        self.assertEqual(self.sums("AWS/Logs", "EMFValidationErrors"), [len(bad)])
        # A line that is none of this is none's business, and several values are several.
        for other in ("plain text", "{not json", json.dumps({"Failed": 1}), "[1]", line(Failed=[1, 2])):
            self.invoke("f", other)
        self.assertEqual(self.sums("AWS/Logs", "EMFValidationErrors"), [len(bad)])
        self.assertEqual(self.sums("own", "Failed", ("deployment", "article")), [3])

    def failing_rotation(self, topic: str, **parameters):
        """A rotation that fails in a step, under a stack that watches it."""
        pattern = {"source": ["aws.secretsmanager"], "detail-type": ["AWS Service Event via CloudTrail"],
                   "detail": {"eventSource": ["secretsmanager.amazonaws.com"],
                              "eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]}}
        template = {"Resources": {"Rule": {"Type": "AWS::Events::Rule", "Properties": {
            "EventPattern": pattern, "State": "ENABLED", "Targets": [{"Id": "topic", "Arn": topic}]}}}}
        self.aws("cloudformation").create_stack(StackName="stack", TemplateBody=json.dumps(template))
        until(lambda: self.aws("cloudformation").describe_stacks(StackName="stack")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE", "the stack")
        manager = self.aws("secretsmanager")
        step = "testSecret" if parameters else "setSecret"
        secret = manager.create_secret(Name="s", SecretString="one", Tags=[{"Key": "fail", "Value": step}])["ARN"]
        manager.rotate_secret(SecretId="s", RotationLambdaARN=self.function("f", NO_DATABASE), RotationRules=DAYS, **parameters)
        return secret

    def test_a_topic_hears_of_a_rotation_that_fails_and_is_given_up(self):
        self.delays("rotation_retry=0.1")
        secret = self.failing_rotation(self.topic("events.amazonaws.com"))
        told = []

        def given_up():
            told.extend(self.heard())
            return "RotationAbandoned" in [each["detail"]["eventName"] for each in told]
        until(given_up, "it is given up")
        self.assertEqual({each["detail"]["eventName"] for each in told}, {"RotationFailed", "RotationAbandoned"})
        self.assertEqual({each["detail"]["additionalEventData"]["SecretId"] for each in told}, {secret})
        # Lambda counts each step that was asked, by whomever: createSecret and setSecret, three times.
        self.assertEqual((self.sums("AWS/Lambda", "Errors", ("FunctionName", "f")), self.sums("AWS/Lambda", "Invocations", ("FunctionName", "f"))),
                         ([3], [6]))
        self.assertEqual({(each["source"], each["detail-type"], each["account"]) for each in told},
                         {("aws.secretsmanager", "AWS Service Event via CloudTrail", self.account)})

    def test_a_topic_hears_of_a_test_that_fails(self):
        self.failing_rotation(self.topic("events.amazonaws.com"), RotateImmediately=False)
        told = until(self.heard, "the event")
        self.assertEqual([each["detail"]["eventName"] for each in told], ["TestRotationFailed"])

    def test_a_rule_tells_a_topic_only_by_its_policy(self):
        """A new topic's own policy lets its owner publish, and EventBridge is not its owner."""
        self.failing_rotation(self.topic())
        until(lambda: self.sums("AWS/Events", "FailedInvocations"), "it was refused")
        self.assertEqual(self.heard(), [])
