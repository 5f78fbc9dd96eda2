"""Roles that are assumed."""
import json

from .support import Case, _session


def trust(*principals) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": list(principals)}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Sessions(Case):
    OTHER = "210987654321"

    def setUp(self):
        super().setUp()
        self.addCleanup(self.control, "reset", account=self.OTHER)

    def client(self, service, key, token=None):
        return _session.create_client(service, region_name="eu-north-1", endpoint_url=self.state["endpoint"],
                                      aws_access_key_id=key, aws_secret_access_key="x", aws_session_token=token)

    def role(self, document):
        made = self.client("iam", self.OTHER).create_role(RoleName="deployer", Path="/ci/", AssumeRolePolicyDocument=document)
        return made["Role"]["Arn"]

    def assume(self, arn):
        return self.aws("sts").assume_role(RoleArn=arn, RoleSessionName="one")

    def test_a_session_is_of_the_role_s_account(self):
        arn = self.role(trust(f"arn:aws:iam::{self.account}:root"))
        made = self.assume(arn)
        # The session's ARN has the role's name without its path.
        self.assertEqual(made["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{self.OTHER}:assumed-role/deployer/one")
        key, token = made["Credentials"]["AccessKeyId"], made["Credentials"]["SessionToken"]
        told = self.client("sts", key, token).get_caller_identity()
        self.assertEqual((told["Account"], told["Arn"]), (self.OTHER, made["AssumedRoleUser"]["Arn"]))
        self.client("secretsmanager", key, token).create_secret(Name="s", ClientRequestToken="1" * 32)
        self.assertEqual(len(self.client("secretsmanager", self.OTHER).list_secrets()["SecretList"]), 1)
        self.assertEqual(self.aws("secretsmanager").list_secrets()["SecretList"], [])

    def test_who_is_not_trusted_is_refused_as_if_there_were_no_role(self):
        arn = self.role(trust("arn:aws:iam::999999999999:root"))
        self.refused("AccessDenied", self.assume, arn=arn)
        self.refused("AccessDenied", self.assume, arn=arn.replace("/ci/", "/"))
        self.refused("AccessDenied", self.assume, arn=arn.replace("deployer", "nobody"))
