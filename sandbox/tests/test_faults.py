import uuid
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from .support import Case, until
from .test_rotation import DAYS, NO_DATABASE


class Faults(Case):
    def setUp(self):
        super().setUp()
        self.manager = self.aws("secretsmanager")

    def create(self, name="s"):
        self.manager.create_secret(Name=name, SecretString="one", ClientRequestToken=str(uuid.uuid4()))

    def test_an_error_before_and_a_cut_after_the_effect(self):
        self.ctl("fault", "secretsmanager.CreateSecret", "ThrottlingException", "--skip", "1")
        self.create("one")
        self.refused("ThrottlingException", self.create, name="two")
        self.create("two")
        self.ctl("fault", "secretsmanager.CreateSecret", "cut", "--after")
        with self.assertRaises(BotoCoreError):
            self.create("three")
        self.assertEqual(len(self.manager.list_secrets()["SecretList"]), 3)
        self.ctl("fault", "secretsmanager.CreateSecret", "InternalServiceError", "--times", "9")
        self.assertIn("9 times", self.ctl("fault"))
        self.assertEqual(self.ctl("fault", "--clear"), "")
        self.create("four")

    def test_a_cut_of_what_ministack_answers(self):
        self.ctl("fault", "iam.CreateRole", "cut", "--after")
        with self.assertRaises(BotoCoreError):
            self.role("r")
        self.assertEqual(self.aws("iam").get_role(RoleName="r")["Role"]["RoleName"], "r")

    def test_what_has_no_body_breaks_off_too(self):
        self.aws("s3").create_bucket(Bucket=f"b-{self.account}", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        for when in [], ["--after"]:
            self.ctl("fault", "s3.HeadBucket", "cut", *when)
            self.refused("500", self.aws("s3").head_bucket, Bucket=f"b-{self.account}")
        self.aws("s3").head_bucket(Bucket=f"b-{self.account}")

    def test_a_function_killed_at_a_request_is_seen_as_a_failed_step_and_tried_again(self):
        self.create()
        function = self.function("f", NO_DATABASE)
        self.delays("rotation_retry=0.2")
        self.ctl("fault", "secretsmanager.PutSecretValue", "kill", "--after", "--function", "f")
        made = self.manager.rotate_secret(SecretId="s", RotationLambdaARN=function, RotationRules=DAYS, ClientRequestToken=str(uuid.uuid4()))["VersionId"]
        until(lambda: "LastRotatedDate" in self.manager.describe_secret(SecretId="s"), "rotated all the same")
        self.assertEqual(self.manager.get_secret_value(SecretId="s")["VersionId"], made)
        cut = [entry for entry in self.requests() if entry["error"] == "cut"]
        self.assertEqual([(entry["operation"], entry["caller"]) for entry in cut], [("PutSecretValue", "function:f")])

    def test_a_stalled_request_is_told_of_and_may_have_taken_effect(self):
        manager = self.aws("secretsmanager", read_timeout=1)
        for when, there in ([], False), (["--after"], True):
            self.ctl("fault", "secretsmanager.CreateSecret", "stall", *when)
            with self.assertRaises(ReadTimeoutError):
                manager.create_secret(Name=f"s{there}", ClientRequestToken=str(uuid.uuid4()))
            self.assertEqual([entry["Name"] for entry in manager.list_secrets()["SecretList"]], ["sTrue"] if there else [])
        self.assertEqual([entry["operation"] for entry in self.requests() if entry["error"] == "stalled"], ["CreateSecret"] * 2)

    def test_a_held_request_is_told_of_and_goes_on(self):
        self.ctl("fault", "*.*", "hold", "--client", "--skip", "1")
        self.manager.list_secrets()
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(self.create)
            held = until(lambda: [entry["operation"] for entry in self.requests() if entry["error"] == "held"], "it is held")
            self.assertEqual(held, ["CreateSecret"])
            self.assertFalse(asked.done())
            self.ctl("fault", "--clear")
            asked.result()
        self.assertEqual(len(self.manager.list_secrets()["SecretList"]), 1)

    def test_a_throttle_has_its_service_s_status(self):
        for service, request, code, status in (("ec2", "DescribeVpcs", "RequestLimitExceeded", 503),
                                               ("lambda", "ListFunctions", "TooManyRequestsException", 429)):
            self.ctl("fault", f"{service}.{request}", code)
            client = self.aws(service)
            with self.assertRaises(ClientError) as refused:
                client.describe_vpcs() if service == "ec2" else client.list_functions()
            answer = refused.exception.response
            self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, status))
