import uuid

from botocore.exceptions import BotoCoreError

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
