"""What Lambda, its logs and its roles refuse. Sources: the API reference, by operation, unless a row says otherwise."""
import io
import json
import zipfile

from .strict import CODE_UNVERIFIED, MODEL, RECORDED, Refusal, Strict, slug
from .support import SUBNETS, zipped

API = "https://docs.aws.amazon.com/lambda/latest/api/API_{}.html"
QUOTAS = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
CODE = zipped("def handle(event): return 1")
UNZIPPED_MAX = 262_144_000


def bomb() -> bytes:
    """A small zip of what is one byte too large when unpacked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("bootstrap", "w") as file:
        for _ in range(UNZIPPED_MAX // 1_000_000):
            file.write(bytes(1_000_000))
        file.write(bytes(UNZIPPED_MAX % 1_000_000 + 1))
    return packed.getvalue()


def new(**changed):
    """CreateFunction's parameters; a function of what `prepare` made may stand for a value, and None leaves one out."""
    asked = {"FunctionName": "new", "Runtime": "provided.al2023", "Handler": "bootstrap", "Code": {"ZipFile": CODE},
             "Role": lambda made: made.good_role, **changed}
    return lambda made: {key: value(made) if callable(value) else value for key, value in asked.items() if value is not None}


def creation(what, code, source, **changed) -> Refusal:
    return Refusal(what, code, "create_function", new(**{"FunctionName": slug(what), **changed}), source)


def vpc(subnets, groups):
    return lambda made: {"SubnetIds": [made.subnets.get(each, each) for each in subnets],
                         "SecurityGroupIds": [made.groups.get(each, each) for each in groups]}


def permission(**changed):
    return {"FunctionName": "ready", "StatementId": "new", "Action": "lambda:InvokeFunction",
            "Principal": "secretsmanager.amazonaws.com", **changed}


class Functions(Strict):
    SERVICE = "lambda"

    def prepare(self):
        ec2, iam = self.aws("ec2"), self.aws("iam")
        self.ready = self.function("ready", "def handle(event): return 1")
        self.good_role = self.role("good", {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
        self.powerless_role = self.role("powerless", {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"})
        iam.create_role(RoleName="for-ec2", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
        strange = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = {"a": SUBNETS[0]}
        self.groups = {"group": self.group(), "strange": ec2.create_security_group(GroupName="g", Description="x", VpcId=strange)["GroupId"]}
        self.bucket = f"code-{self.account}"
        self.aws("s3").create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        self.delays("function_active=3600")
        self.aws("lambda").create_function(**new(FunctionName="pending")(self))

    def seen(self):
        lambda_ = self.aws("lambda")
        return lambda_.list_functions()["Functions"], lambda_.get_policy(FunctionName="ready")["Policy"], lambda_.list_tags(Resource=self.made.ready)["Tags"]

    CASES = (
        creation("a name that is taken", "ResourceConflictException", API.format("CreateFunction"), FunctionName="ready"),
        creation("a name with a space", "ValidationException", MODEL, FunctionName="no spaces"),
        creation("a role that is no ARN", "ValidationException", RECORDED, Role="good"),
        creation("a role that is not there", "InvalidParameterValueException", API.format("CreateFunction"),
                 Role=lambda made: f"arn:aws:iam::{made.account}:role/nobody"),
        creation("a role that does not trust Lambda", "InvalidParameterValueException", API.format("CreateFunction"),
                 Role=lambda made: f"arn:aws:iam::{made.account}:role/for-ec2"),
        creation("a runtime that there is not", "InvalidParameterValueException", RECORDED, Runtime="provided.al1999"),
        creation("two architectures", "ValidationException", RECORDED, Architectures=["x86_64", "arm64"]),
        creation("an architecture that there is not", "ValidationException", RECORDED, Architectures=["x86"]),
        creation("a zip without a handler", "InvalidParameterValueException", CODE_UNVERIFIED, Handler=None),
        creation("a timeout of 901 seconds", "ValidationException", QUOTAS, Timeout=901),
        creation("a timeout of 0 seconds", "ValidationException", MODEL, Timeout=0),
        creation("127 MB of memory", "ValidationException", MODEL, MemorySize=127),
        creation("10,241 MB of memory", "ValidationException", QUOTAS, MemorySize=10241),
        creation("a variable of Lambda's own", "InvalidParameterValueException",
                 "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html", Environment={"Variables": {"AWS_REGION": "x"}}),
        creation("a variable whose name begins with a digit", "ValidationException", MODEL, Environment={"Variables": {"1ST": "x"}}),
        creation("more than 4 KB of variables", "InvalidParameterValueException", RECORDED,
                 Environment={"Variables": {f"V{number}": "x" * 1024 for number in range(4)}}),
        creation("51 tags", "InvalidParameterValueException", RECORDED, Tags={f"tag-{number}": "x" for number in range(51)}),
        creation("what is no zip", "InvalidParameterValueException", RECORDED, Code={"ZipFile": b"no zip"}),
        creation("no code", "InvalidParameterValueException", API.format("CreateFunction"), Code={}),
        creation("code of more than 250 MB unpacked", "InvalidParameterValueException", RECORDED, Code={"ZipFile": bomb()}),
        creation("code in a bucket that is not there", "InvalidParameterValueException", RECORDED,
                 Code={"S3Bucket": "never-made-by-anyone", "S3Key": "none"}),
        creation("code that is not in its bucket", "InvalidParameterValueException", RECORDED,
                 Code=lambda made: {"S3Bucket": made.bucket, "S3Key": "none"}),
        creation("a subnet that is not there", "InvalidParameterValueException", RECORDED,
                 VpcConfig=vpc(["subnet-00000000000000001"], ["group"])),
        creation("a security group that is not there", "InvalidParameterValueException", RECORDED,
                 VpcConfig=vpc(["a"], ["sg-00000000000000001"])),
        creation("a role that may make no network interfaces", "InvalidParameterValueException",
                 "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html", VpcConfig=vpc(["a"], ["group"]),
                 Role=lambda made: made.powerless_role),
        creation("a security group of another VPC", "InvalidParameterValueException", CODE_UNVERIFIED, VpcConfig=vpc(["a"], ["strange"])),
        creation("subnets without a security group", "InvalidParameterValueException", CODE_UNVERIFIED, VpcConfig=vpc(["a"], [])),
        Refusal("a timeout of 901 seconds later", "ValidationException", "update_function_configuration",
                {"FunctionName": "ready", "Timeout": 901}, QUOTAS),
        Refusal("a configuration for what is not there", "ResourceNotFoundException", "update_function_configuration",
                {"FunctionName": "none", "Timeout": 9}, RECORDED),
        Refusal("a configuration for what is not active yet", "ResourceConflictException", "update_function_configuration",
                {"FunctionName": "pending", "Timeout": 9}, "https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"),
        Refusal("code for what is not active yet", "ResourceConflictException", "update_function_code",
                {"FunctionName": "pending", "ZipFile": CODE}, "https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"),
        Refusal("code that is no zip later", "InvalidParameterValueException", "update_function_code",
                {"FunctionName": "ready", "ZipFile": b"no zip"}, RECORDED),
        Refusal("code that is not in its bucket later", "InvalidParameterValueException", "update_function_code",
                lambda made: {"FunctionName": "ready", "S3Bucket": made.bucket, "S3Key": "none"}, RECORDED),
        Refusal("invoking what is not there", "ResourceNotFoundException", "invoke", {"FunctionName": "none"}, API.format("Invoke")),
        Refusal("invoking what is not active yet", "ResourceConflictException", "invoke", {"FunctionName": "pending"}, API.format("Invoke")),
        Refusal("an event that is no JSON", "InvalidRequestContentException", "invoke",
                {"FunctionName": "ready", "Payload": b"no json"}, API.format("Invoke")),
        Refusal("a statement's id again", "ResourceConflictException", "add_permission", permission(StatementId="sm"), RECORDED),
        Refusal("a statement's id with a period", "ValidationException", "add_permission", permission(StatementId="s.m"), RECORDED),
        Refusal("an action of another service", "ValidationException", "add_permission", permission(Action="s3:GetObject"), MODEL),
        Refusal("a principal that there is not", "InvalidParameterValueException", "add_permission",
                permission(Principal="secretsmanager.example"), RECORDED),
        Refusal("a permission for what is not there", "ResourceNotFoundException", "add_permission", permission(FunctionName="none"), RECORDED),
        Refusal("taking a statement that is not there", "ResourceNotFoundException", "remove_permission",
                {"FunctionName": "ready", "StatementId": "none"}, RECORDED),
        Refusal("the policy of what has none", "ResourceNotFoundException", "get_policy", {"FunctionName": "pending"}, RECORDED),
        Refusal("a tag for what is not there", "ResourceNotFoundException", "tag_resource",
                lambda made: {"Resource": made.ready.replace("ready", "none"), "Tags": {"a": "b"}}, RECORDED),
        Refusal("the 51st tag", "InvalidParameterValueException", "tag_resource",
                lambda made: {"Resource": made.ready, "Tags": {f"tag-{number}": "x" for number in range(51)}}, RECORDED),
        Refusal("describing what is not there", "ResourceNotFoundException", "get_function_configuration", {"FunctionName": "none"}, RECORDED),
        Refusal("deleting what is not there", "ResourceNotFoundException", "delete_function", {"FunctionName": "none"}, RECORDED),
    )


class Logs(Strict):
    SERVICE = "logs"

    def prepare(self):
        self.aws("logs").create_log_group(logGroupName="group")

    def seen(self):
        return self.aws("logs").describe_log_groups()["logGroups"]

    CASES = (
        Refusal("a group that is there", "ResourceAlreadyExistsException", "create_log_group", {"logGroupName": "group"}, RECORDED),
        Refusal("a name with a question mark", "InvalidParameterException", "create_log_group", {"logGroupName": "why?"},
                MODEL + "; the code as recorded of other fields"),
        Refusal("two days of retention", "InvalidParameterException", "put_retention_policy",
                {"logGroupName": "group", "retentionInDays": 2},
                "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"),
        Refusal("retention of what is not there", "ResourceNotFoundException", "put_retention_policy",
                {"logGroupName": "none", "retentionInDays": 30},
                "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"),
        Refusal("events of what is not there", "ResourceNotFoundException", "filter_log_events", {"logGroupName": "none"},
                "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"),
        Refusal("10,001 events at once", "InvalidParameterException", "filter_log_events", {"logGroupName": "group", "limit": 10001}, RECORDED),
        Refusal("a page token of one's own", "InvalidParameterException", "filter_log_events",
                {"logGroupName": "group", "nextToken": "none"}, RECORDED),
        Refusal("deleting what is not there", "ResourceNotFoundException", "delete_log_group", {"logGroupName": "none"},
                "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogGroup.html"),
    )


TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


def policy(size: int) -> str:
    # White space does not count.
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:::secret:" + "x" * size}]})


class Roles(Strict):
    SERVICE = "iam"

    def prepare(self):
        iam = self.aws("iam")
        iam.create_role(RoleName="role", AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName="role", PolicyName="first", PolicyDocument=policy(6000))

    def seen(self):
        iam = self.aws("iam")
        return iam.list_roles()["Roles"], [iam.get_role_policy(RoleName="role", PolicyName=each)["PolicyDocument"]
                                           for each in iam.list_role_policies(RoleName="role")["PolicyNames"]]

    IAM = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_{}.html"
    CASES = (
        Refusal("a name that is taken", "EntityAlreadyExists", "create_role",
                {"RoleName": "role", "AssumeRolePolicyDocument": TRUST}, IAM.format("CreateRole")),
        Refusal("a name with a space", "ValidationError", "create_role", {"RoleName": "no spaces", "AssumeRolePolicyDocument": TRUST}, MODEL),
        Refusal("a trust that is no JSON", "MalformedPolicyDocument", "create_role",
                {"RoleName": "new", "AssumeRolePolicyDocument": "everybody"}, RECORDED),
        Refusal("a policy that is no JSON", "MalformedPolicyDocument", "put_role_policy",
                {"RoleName": "role", "PolicyName": "new", "PolicyDocument": "everything"}, IAM.format("PutRolePolicy")),
        Refusal("more than 10,240 characters of policies", "LimitExceeded", "put_role_policy",
                {"RoleName": "role", "PolicyName": "second", "PolicyDocument": policy(6000)},
                "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"),
        Refusal("a policy for what is not there", "NoSuchEntity", "put_role_policy",
                {"RoleName": "none", "PolicyName": "new", "PolicyDocument": policy(1)}, IAM.format("PutRolePolicy")),
        Refusal("a managed policy that there is not", "NoSuchEntity", "attach_role_policy",
                lambda made: {"RoleName": "role", "PolicyArn": f"arn:aws:iam::{made.account}:policy/none"}, RECORDED),
        Refusal("deleting what still has a policy", "DeleteConflict", "delete_role", {"RoleName": "role"}, IAM.format("DeleteRole")),
        Refusal("deleting what is not there", "NoSuchEntity", "delete_role", {"RoleName": "none"}, IAM.format("DeleteRole")),
    )
