import json
import time
import uuid

from .support import SUBNETS, Case, until


def token() -> str:
    return str(uuid.uuid4())


class Secrets(Case):
    def setUp(self):
        super().setUp()
        self.manager = self.aws("secretsmanager")

    def create(self, name="s", **parameters):
        return self.manager.create_secret(Name=name, ClientRequestToken=token(), **parameters)

    def put(self, value, name="s", **parameters):
        parameters.setdefault("ClientRequestToken", token())
        return self.manager.put_secret_value(SecretId=name, SecretString=value, **parameters)["VersionId"]

    def stages(self, name="s"):
        return self.manager.describe_secret(SecretId=name).get("VersionIdsToStages")

    def move(self, label="AWSCURRENT", **parameters):
        return self.manager.update_secret_version_stage(SecretId="s", VersionStage=label, **parameters)

    def test_a_secret_without_a_value_has_no_version(self):
        made = self.create()
        self.assertNotIn("VersionId", made)
        self.assertRegex(made["ARN"], rf"^arn:aws:secretsmanager:eu-north-1:{self.account}:secret:s-[A-Za-z0-9]{{6}}$")
        self.assertIsNone(self.stages())
        self.refused("ResourceNotFoundException", self.manager.get_secret_value, SecretId="s")

    def test_the_first_value_becomes_current_whatever_was_asked(self):
        self.create()
        first = self.put("one", VersionStages=["AWSPENDING"])
        self.assertEqual(self.stages(), {first: ["AWSCURRENT", "AWSPENDING"]})

    def test_tokens(self):
        same = token()
        self.manager.create_secret(Name="s", SecretString="one", ClientRequestToken=same)
        self.assertEqual(self.stages(), {same: ["AWSCURRENT"]})
        self.assertEqual(self.manager.create_secret(Name="s", SecretString="one", ClientRequestToken=same)["VersionId"], same)
        self.refused("ResourceExistsException", self.create, SecretString="one")
        self.put("one", ClientRequestToken=same)
        self.refused("ResourceExistsException", self.put, value="two", ClientRequestToken=same)
        self.refused("ValidationException", self.put, value="two", ClientRequestToken="short")

    def test_one_version_a_label_and_current_moves_previous(self):
        self.create()
        one, two = self.put("one"), self.put("two")
        self.assertEqual(self.stages(), {two: ["AWSCURRENT"], one: ["AWSPREVIOUS"]})
        three = self.put("three", VersionStages=["AWSPENDING"])
        self.move(MoveToVersionId=three, RemoveFromVersionId=two)
        self.assertEqual(self.stages(), {three: ["AWSCURRENT", "AWSPENDING"], two: ["AWSPREVIOUS"]})
        # Version one has no label left: deprecated, told only when asked for.
        told = self.manager.list_secret_version_ids(SecretId="s")["Versions"]
        self.assertEqual({each["VersionId"] for each in told}, {two, three})
        told = self.manager.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]
        self.assertEqual({each["VersionId"] for each in told}, {one, two, three})
        self.assertEqual(self.manager.get_secret_value(SecretId="s", VersionId=one)["SecretString"], "one")

    def test_moving_a_label_compares_and_swaps(self):
        self.create()
        one, two = self.put("one"), self.put("two")
        self.refused("InvalidParameterException", self.move, MoveToVersionId=one)
        self.refused("InvalidParameterException", self.move, MoveToVersionId=one, RemoveFromVersionId=one)
        self.refused("InvalidParameterException", self.move, RemoveFromVersionId=two)
        self.refused("ResourceNotFoundException", self.move, MoveToVersionId=token(), RemoveFromVersionId=two)
        self.move(MoveToVersionId=one, RemoveFromVersionId=two)
        self.assertEqual(self.stages(), {one: ["AWSCURRENT"], two: ["AWSPREVIOUS"]})
        self.move("mine", MoveToVersionId=two)
        self.move("mine", RemoveFromVersionId=two)
        self.assertEqual(self.stages()[two], ["AWSPREVIOUS"])

    def test_a_version_and_a_stage_must_agree(self):
        self.create()
        one, two = self.put("one"), self.put("two")
        self.refused("InvalidRequestException", self.manager.get_secret_value, SecretId="s", VersionId=one, VersionStage="AWSCURRENT")
        self.assertEqual(self.manager.get_secret_value(SecretId="s", VersionId=two, VersionStage="AWSCURRENT")["SecretString"], "two")
        self.refused("ResourceNotFoundException", self.manager.get_secret_value, SecretId="s", VersionId=token())

    def test_deletion_and_recovery(self):
        self.create(SecretString="one")
        for days in (6, 31):
            self.refused("InvalidParameterException", self.manager.delete_secret, SecretId="s", RecoveryWindowInDays=days)
        self.refused("InvalidParameterException", self.manager.delete_secret, SecretId="s", RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)
        self.manager.delete_secret(SecretId="s", RecoveryWindowInDays=7)
        self.refused("InvalidRequestException", self.create)
        self.refused("InvalidRequestException", self.manager.get_secret_value, SecretId="s")
        self.refused("InvalidRequestException", self.put, value="two")
        self.assertIn("DeletedDate", self.manager.describe_secret(SecretId="s"))
        self.assertEqual(self.manager.list_secrets()["SecretList"], [])
        self.assertEqual(len(self.manager.list_secrets(IncludePlannedDeletion=True)["SecretList"]), 1)
        self.manager.restore_secret(SecretId="s")
        self.assertEqual(self.manager.get_secret_value(SecretId="s")["SecretString"], "one")
        self.manager.delete_secret(SecretId="s", RecoveryWindowInDays=7)
        self.ctl("clock", "+8d")
        self.create()

    def test_a_forced_deletion_blocks_the_name_for_a_moment(self):
        self.delays("secret_delete=0.5")
        self.create()
        self.manager.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
        self.refused("InvalidRequestException", self.create)
        self.refused("ResourceNotFoundException", self.manager.describe_secret, SecretId="s")

        def again():
            try:
                return self.create()
            except self.manager.exceptions.InvalidRequestException:
                return None
        until(again, "the name is free")
        self.manager.delete_secret(SecretId="never-there", ForceDeleteWithoutRecovery=True)

    def test_listing(self):
        self.create("app/one", Tags=[{"Key": "team", "Value": "red"}], Description="First")
        self.create("app/two", Tags=[{"Key": "team", "Value": "blue"}])
        self.create("other")

        def names(*filters):
            found = self.manager.list_secrets(Filters=[{"Key": key, "Values": list(values)} for key, *values in filters])
            return sorted(each["Name"] for each in found["SecretList"])
        self.assertEqual(names(("name", "app/")), ["app/one", "app/two"])
        self.assertEqual(names(("tag-key", "team"), ("tag-value", "red")), ["app/one"])
        self.assertEqual(names(("tag-key", "!team")), ["other"])
        self.assertEqual(names(("description", "first")), ["app/one"])
        page = self.manager.list_secrets(MaxResults=2)
        self.assertEqual(len(page["SecretList"]), 2)
        self.assertEqual(len(self.manager.list_secrets(MaxResults=2, NextToken=page["NextToken"])["SecretList"]), 1)

    def test_listing_can_lag(self):
        self.delays("list_secrets_lag=1")
        self.create(Tags=[{"Key": "a", "Value": "b"}])
        self.assertEqual(self.manager.list_secrets()["SecretList"], [])
        self.assertEqual(self.manager.describe_secret(SecretId="s")["Name"], "s")
        shown = until(lambda: self.manager.list_secrets()["SecretList"], "listed")
        self.assertEqual(shown[0]["Tags"], [{"Key": "a", "Value": "b"}])

    def test_addressing_and_names(self):
        arn = self.create(SecretString="x")["ARN"]
        for name in ("s", arn, arn[:-7]):
            self.assertEqual(self.manager.get_secret_value(SecretId=name)["ARN"], arn)
        self.refused("ValidationException", self.create, name="not allowed")
        self.refused("InvalidParameterException", self.create, name="both", SecretString="a", SecretBinary=b"b")
        self.create("binary", SecretBinary=b"\0b")
        self.assertEqual(self.manager.get_secret_value(SecretId="binary")["SecretBinary"], b"\0b")

    def test_requests_are_checked_against_the_model(self):
        self.refused("ValidationException", self.manager.get_secret_value)
        self.refused("ValidationException", self.create, SecretString="x" * 65537)
        self.refused("ValidationException", self.manager.list_secrets, MaxResults=101)
        self.refused("ValidationException", self.manager.list_secrets, Filters=[{"Key": "colour", "Values": ["red"]}])

    def test_a_look_up_by_tag_finds_what_is_ours(self):
        arn = self.create(Tags=[{"Key": "team", "Value": "red"}])["ARN"]
        group = self.aws("rds").create_db_subnet_group(DBSubnetGroupName="g", DBSubnetGroupDescription="x", SubnetIds=SUBNETS,
                                                       Tags=[{"Key": "team", "Value": "red"}])["DBSubnetGroup"]["DBSubnetGroupArn"]
        found = self.aws("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "team", "Values": ["red"]}])["ResourceTagMappingList"]
        self.assertEqual({each["ResourceARN"] for each in found}, {arn, group})

    def test_random_passwords(self):
        made = self.manager.get_random_password(PasswordLength=40, ExcludeCharacters="abc/@\"'", ExcludePunctuation=True)["RandomPassword"]
        self.assertEqual(len(made), 40)
        self.assertTrue(made.isalnum())
        self.assertFalse(set("abc") & set(made))

    def test_dates(self):
        before = time.time()
        self.create(SecretString=json.dumps({"a": 1}))
        self.manager.get_secret_value(SecretId="s")
        told = self.manager.describe_secret(SecretId="s")
        self.assertGreaterEqual(told["CreatedDate"].timestamp(), before - 1)
        self.assertEqual((told["LastAccessedDate"].hour, told["LastAccessedDate"].minute), (0, 0))
        for never in ("RotationEnabled", "LastRotatedDate", "NextRotationDate"):
            self.assertNotIn(never, told)
