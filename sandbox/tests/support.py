"""One sandbox for all tests, an account of its own for each."""
import atexit
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import urllib.request
import uuid
import zipfile
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

SANDBOX = Path(__file__).resolve().parent.parent
VPC, SUBNETS = "vpc-02294c945121da772", ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"]
# Above anything that a test waits for, also on a machine that compiles beside it.
PATIENCE = float(os.environ.get("SANDBOX_TEST_PATIENCE", "60"))

# One for all, since it keeps the API models that it has read; an account is only a key.
_session = botocore.session.Session()
_directory: Path | None = None
_accounts = itertools.count(100000000001)


def ctl(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SANDBOX / "ctl", *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def sandbox() -> dict:
    """The state of the sandbox that the tests share."""
    global _directory
    if _directory is None:
        _directory = Path(tempfile.mkdtemp(prefix="sandbox-test-"))
        done = ctl("up", "--dir", _directory, "--parent", os.getpid())
        if done.returncode:
            raise RuntimeError(done.stderr)
        atexit.register(_end)
    return json.loads((_directory / "state.json").read_text())


def _end():
    ctl("down", "--dir", _directory)
    shutil.rmtree(_directory, ignore_errors=True)


def until(condition, what: str):
    """Waits until `condition` answers something true, and returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    log = (_directory / "sandbox.log").read_text(errors="replace").splitlines()[-15:]
    raise AssertionError("\n".join([f"waited {PATIENCE:g} s in vain: {what}; the end of the sandbox's log:", *log]))


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.state = sandbox()
        self.account = str(next(_accounts))
        self._clients = {}
        # By the API that ctl speaks: a process for each would double the tests' time.
        self.addCleanup(self.control, "reset", account=self.account)

    def aws(self, service: str, read_timeout: int = 60):
        if (service, read_timeout) not in self._clients:
            self._clients[service, read_timeout] = _session.create_client(
                service, region_name="eu-north-1", endpoint_url=self.state["endpoint"], aws_access_key_id=self.account,
                aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False,
                                                         read_timeout=read_timeout))
        return self._clients[service, read_timeout]

    def refused(self, code: str, call, **parameters) -> str:
        """Asserts that the API refuses with that code; returns its message."""
        with self.assertRaises(ClientError) as caught:
            call(**parameters)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, str(caught.exception))
        return caught.exception.response["Error"]["Message"]

    def control(self, what: str, **given):
        request = urllib.request.Request(f"{self.state['endpoint']}/_sandbox/{what}", json.dumps({"account": self.account, **given}).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ctl(self, command: str, *arguments) -> str:
        done = ctl(command, "--dir", _directory, "--account", self.account, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def delays(self, spec: str):
        self.control("delays", spec=spec)

    def requests(self) -> list[dict]:
        lines = map(json.loads, (_directory / "requests.jsonl").read_text().splitlines())
        return [entry for entry in lines if entry["account"] == self.account]

    # --- things that several tests need ---

    def group(self, name: str = "", open_to_all: bool = True) -> str:
        """A security group; as made, or letting everything in too."""
        group = self.aws("ec2").create_security_group(GroupName=name or f"g{uuid.uuid4()}", Description="test", VpcId=VPC)["GroupId"]
        if open_to_all:
            self.aws("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[
                {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        return group

    def instance(self, identifier: str = "db", wait: bool = True, **parameters) -> dict:
        rds = self.aws("rds")
        if not rds.describe_db_subnet_groups()["DBSubnetGroups"]:
            rds.create_db_subnet_group(DBSubnetGroupName="subnets", DBSubnetGroupDescription="test", SubnetIds=SUBNETS)
        asked = {"DBInstanceIdentifier": identifier, "DBInstanceClass": "db.t3.micro", "Engine": "postgres",
                 "AllocatedStorage": 20, "StorageType": "gp3", "MasterUsername": "postgres", "DBSubnetGroupName": "subnets",
                 "PubliclyAccessible": True, **parameters}
        if "ManageMasterUserPassword" not in asked:
            asked.setdefault("MasterUserPassword", "a-long-password")
        made = rds.create_db_instance(**asked)["DBInstance"]
        return self.available(identifier) if wait else made

    def described(self, identifier: str = "db") -> dict:
        return self.aws("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]

    def available(self, identifier: str = "db") -> dict:
        def look():
            found = self.described(identifier)
            self.assertNotEqual(found["DBInstanceStatus"], "failed")
            return found["DBInstanceStatus"] == "available" and found
        return until(look, f"{identifier} available")

    def role(self, name: str, *statements: dict) -> str:
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                                                        "Action": "sts:AssumeRole"}]}
        role = self.aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            self.aws("iam").put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": list(statements)}))
        return role

    def function(self, name: str, code: str, *statements: dict, permission: bool = True, **parameters) -> str:
        """A function of `provided.al2023` whose handler is the Python in `code`: `def handle(event): …`."""
        statements = statements or ({"Effect": "Allow", "Action": "*", "Resource": "*"},)
        lambda_ = self.aws("lambda")
        arn = lambda_.create_function(FunctionName=name, Runtime="provided.al2023", Handler="bootstrap", Code={"ZipFile": zipped(code)},
                                      Role=self.role(f"{name}-role", *statements), Timeout=20, **parameters)["FunctionArn"]
        if permission:
            self.permit(name)
        self.active(name)
        return arn

    def permit(self, name: str):
        self.aws("lambda").add_permission(FunctionName=name, StatementId="sm", Action="lambda:InvokeFunction",
                                          Principal="secretsmanager.amazonaws.com", SourceAccount=self.account)

    def active(self, name: str) -> dict:
        def look():
            found = self.aws("lambda").get_function_configuration(FunctionName=name)
            return found["State"] == "Active" and found["LastUpdateStatus"] == "Successful" and found
        return until(look, f"{name} active")

    def invoke(self, name: str, event=None) -> tuple[str | None, object]:
        """FunctionError and the answer."""
        done = self.aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        return done.get("FunctionError"), json.loads(done["Payload"].read() or b"null")

    def private(self, group: str) -> dict:
        return {"VpcConfig": {"SubnetIds": SUBNETS, "SecurityGroupIds": [group]}}

    def endpoint(self, group: str) -> str:
        """A Secrets Manager endpoint that can be used."""
        made = self.aws("ec2").create_vpc_endpoint(
            VpcId=VPC, VpcEndpointType="Interface", ServiceName="com.amazonaws.eu-north-1.secretsmanager", SubnetIds=SUBNETS,
            SecurityGroupIds=[group], PrivateDnsEnabled=True)["VpcEndpoint"]["VpcEndpointId"]
        until(lambda: self.aws("ec2").describe_vpc_endpoints(VpcEndpointIds=[made])["VpcEndpoints"][0]["State"] == "available",
              "endpoint available")
        return made


# A custom runtime in a few lines: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
# The first lines are shell and Python at once: a #! line takes neither a long path nor one with spaces.
BOOTSTRAP = '''#!/bin/sh
"""exec" "{python}" "$0" # """
import json, os, sys, time, urllib.error, urllib.request
class Refused(Exception):
    pass
class SecretsManager:
    """In a few lines, as importing botocore would take most of an invocation's time."""
    def __getattr__(self, operation):
        def call(**parameters):
            name = "".join(part.capitalize() for part in operation.split("_"))
            credential = f"Credential={{os.environ['AWS_ACCESS_KEY_ID']}}/20260101/{{os.environ['AWS_REGION']}}/secretsmanager/aws4_request"
            request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(parameters).encode(), {{
                "X-Amz-Target": "secretsmanager." + name, "Content-Type": "application/x-amz-json-1.1", "Authorization": "AWS4-HMAC-SHA256 " + credential}})
            try:
                return json.load(urllib.request.urlopen(request))
            except urllib.error.HTTPError as error:
                told = json.load(error)
                raise Refused(f"({{told['__type']}}) {{told['message']}}")
        return call
{code}
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as given:
        request, event = given.headers["Lambda-Runtime-Aws-Request-Id"], json.load(given)
    try:
        answer, path = handle(event), "/response"
    except Exception as error:
        print("ERROR", error, flush=True)
        answer, path = {{"errorMessage": str(error), "errorType": type(error).__name__}}, "/error"
    urllib.request.urlopen(urllib.request.Request(api + request + path, json.dumps(answer).encode(), method="POST"))
'''


def zipped(code: str, **files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("bootstrap", BOOTSTRAP.format(python=sys.executable, code=textwrap.dedent(code)))
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


# A single-user rotation as AWS's own function does it, without its checks.
ROTATE = '''
import psycopg
from psycopg import sql
manager = SecretsManager()
def read(secret, **which):
    return json.loads(manager.get_secret_value(SecretId=secret, **which)["SecretString"])
def login(value):
    return psycopg.connect(host=value["host"], port=value["port"], user=value["username"], password=value["password"],
                           dbname=value["dbname"], sslmode="require", autocommit=True)
def handle(event):
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    print(step, flush=True)
    if step == "createSecret":
        try:
            read(secret, VersionId=token, VersionStage="AWSPENDING")
        except Refused:
            value = read(secret) | {"password": "p" + token}
            manager.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=json.dumps(value), VersionStages=["AWSPENDING"])
    elif step == "setSecret":
        pending = read(secret, VersionId=token, VersionStage="AWSPENDING")
        with login(read(secret)) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(pending["username"]), sql.Literal(pending["password"])))
    elif step == "testSecret":
        try:
            login(read(secret, VersionId=token, VersionStage="AWSPENDING")).close()
        except Refused:
            login(read(secret)).close()
    else:
        stages = manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
        current = next(key for key, labels in stages.items() if "AWSCURRENT" in labels)
        manager.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
'''
