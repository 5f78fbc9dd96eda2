"""What CloudFormation and S3 refuse. Sources: the API reference, by operation, unless a row says otherwise."""
import json

from .strict import CODE_UNVERIFIED, MODEL, RECORDED, Refusal, Strict, slug
from .support import until

API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_{}.html"
TROUBLE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html"
TEMPLATES = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def template(resources=None, **more) -> str:
    """A log group whose name is a parameter, or other resources."""
    return json.dumps({
        "Parameters": {"Name": {"Type": "String"}, "Days": {"Type": "Number", "Default": 30, "AllowedValues": [7, 30]}},
        "Resources": resources if resources is not None else {
            "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Ref": "Name"}, "RetentionInDays": {"Ref": "Days"}}}},
        **more})


def named(**values):
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def group(**more):
    return {"Type": "AWS::Logs::LogGroup", **more}


def new(resources=None, **changed):
    asked = {"StackName": "new", "TemplateBody": template(resources), "Parameters": named(Name="new"), **changed}
    return {key: value for key, value in asked.items() if value is not None}


def creation(what, code, source, resources=None, **changed) -> Refusal:
    return Refusal(what, code, "create_stack", new(resources, **{"StackName": slug(what), **changed}), source)


def update(what, code, source, name="made", **changed) -> Refusal:
    asked = {"StackName": name, "TemplateBody": template(), "Parameters": named(Name="made"), **changed}
    return Refusal(what, code, "update_stack", {key: value for key, value in asked.items() if value is not None}, source)


class Stacks(Strict):
    SERVICE = "cloudformation"

    def prepare(self):
        cf = self.aws("cloudformation")
        self.aws("logs").create_log_group(logGroupName="taken")
        cf.create_stack(StackName="made", TemplateBody=template(), Parameters=named(Name="made"), ClientRequestToken="used")
        cf.create_stack(StackName="failed", TemplateBody=template(), Parameters=named(Name="taken"))
        cf.create_stack(StackName="protected", TemplateBody=template(), Parameters=named(Name="protected"), EnableTerminationProtection=True)
        self.settled("made", "CREATE_COMPLETE")
        self.settled("failed", "ROLLBACK_COMPLETE")
        self.settled("protected", "CREATE_COMPLETE")
        for name, value in (("empty", "made"), ("good", "changed")):
            cf.create_change_set(StackName="made", ChangeSetName=name, TemplateBody=template(), Parameters=named(Name=value))
            until(lambda name=name: cf.describe_change_set(StackName="made", ChangeSetName=name)["Status"] in ("CREATE_COMPLETE", "FAILED"), name)
        self.delays("stack_create=3600")
        cf.create_stack(StackName="busy", TemplateBody=template(), Parameters=named(Name="busy"))

    def settled(self, name, status):
        until(lambda: self.aws("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == status, f"{name} {status}")

    def seen(self):
        cf = self.aws("cloudformation")
        return (cf.describe_stacks()["Stacks"], cf.list_change_sets(StackName="made")["Summaries"],
                self.aws("logs").describe_log_groups()["logGroups"], self.aws("iam").list_roles()["Roles"])

    CASES = (
        creation("a name with an underscore", "ValidationError", RECORDED, StackName="bad_name"),
        creation("a name that begins with a digit", "ValidationError", MODEL, StackName="1new"),
        creation("a name that is taken", "AlreadyExistsException", RECORDED, StackName="made"),
        creation("the name of a creation that was rolled back", "AlreadyExistsException", TROUBLE, StackName="failed"),
        creation("more than 51,200 bytes of template", "ValidationError", MODEL, TemplateBody=template() + " " * 51200),
        creation("a template that is neither JSON nor YAML", "ValidationError", RECORDED, TemplateBody="{not json"),
        creation("no template", "ValidationError", RECORDED, TemplateBody=None),
        creation("a template that is not in S3", "ValidationError", RECORDED, TemplateBody=None, TemplateURL="https://example.com/template.json"),
        creation("no resources", "ValidationError", RECORDED, {}),
        creation("a resource without a type", "ValidationError", RECORDED, {"Group": {"Properties": {}}}),
        creation("a resource whose name has a hyphen", "ValidationError", RECORDED, {"my-group": group()}),
        creation("a resource of a type that there is not", "ValidationError", TEMPLATES, {"Thing": {"Type": "AWS::Logs::Group"}}),
        creation("a property of a resource that there is not", "ValidationError", RECORDED, {"Group": group(Colour="red")}),
        creation("a Ref to nothing", "ValidationError", RECORDED, {"Group": group(Properties={"LogGroupName": {"Ref": "None"}})}),
        creation("a GetAtt of nothing", "ValidationError", TROUBLE, {"Group": group(Properties={"LogGroupName": {"Fn::GetAtt": ["None", "Arn"]}})}),
        creation("a Sub of nothing", "ValidationError", TROUBLE, {"Group": group(Properties={"LogGroupName": {"Fn::Sub": "${None}"}})}),
        creation("DependsOn nothing", "ValidationError", RECORDED, {"Group": group(DependsOn=["None"])}),
        creation("resources that wait for each other", "ValidationError", TROUBLE, {"A": group(DependsOn="B"), "B": group(DependsOn="A")}),
        creation("resources that name each other", "ValidationError", TROUBLE, {
            "A": group(Properties={"LogGroupName": {"Fn::Sub": "a-${B}"}}), "B": group(Properties={"LogGroupName": {"Fn::Sub": "b-${A}"}})}),
        creation("a parameter without a value", "ValidationError", TEMPLATES, Parameters=[]),
        creation("a parameter that the template has not", "ValidationError", TEMPLATES, Parameters=named(Name="new", Colour="red")),
        creation("a value that is not allowed", "ValidationError",
                 "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html", Parameters=named(Name="new", Days="8")),
        creation("a number that is none", "ValidationError",
                 "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html",
                 TemplateBody=json.dumps({"Parameters": {"Days": {"Type": "Number"}}, "Resources": {"Group": group()}}), Parameters=named(Days="many")),
        creation("the previous value where there is none", "ValidationError", CODE_UNVERIFIED,
                 Parameters=[{"ParameterKey": "Name", "UsePreviousValue": True}]),
        creation("a role without leave", "InsufficientCapabilitiesException", API.format("CreateStack"),
                 {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}}),
        creation("a role with a name and leave for one without", "InsufficientCapabilitiesException", API.format("CreateStack"),
                 {"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "mine", "AssumeRolePolicyDocument": TRUST}}},
                 Capabilities=["CAPABILITY_IAM"]),
        creation("a reserved tag", "ValidationError", "https://github.com/aws-quickstart/quickstart-amazon-eks/issues/42",
                 Tags=[{"Key": "aws:mine", "Value": "x"}]),
        creation("51 tags", "ValidationError", MODEL, Tags=[{"Key": f"tag-{number}", "Value": "x"} for number in range(51)]),
        creation("a token that started another operation", "TokenAlreadyExistsException", API.format("CreateStack"), ClientRequestToken="used"),
        update("an update that changes nothing", "ValidationError", RECORDED),
        update("an update with a token that was used", "TokenAlreadyExistsException", API.format("UpdateStack"),
               Parameters=named(Name="changed"), ClientRequestToken="used"),
        update("an update of what was rolled back", "ValidationError", TROUBLE, "failed", Parameters=named(Name="changed")),
        update("an update of what is being made", "ValidationError", TROUBLE, "busy", Parameters=named(Name="changed")),
        update("an update of what is not there", "ValidationError", RECORDED, "none"),
        update("an update without a template", "ValidationError", RECORDED, TemplateBody=None),
        update("an update to a template that is broken", "ValidationError", RECORDED, TemplateBody=template({"Group": group(DependsOn=["None"])})),
        update("an update without a parameter's value", "ValidationError", TEMPLATES, Parameters=[]),
        Refusal("deleting what is protected", "ValidationError", "delete_stack", {"StackName": "protected"},
                "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-protect-stacks.html"),
        Refusal("describing what is not there", "ValidationError", "describe_stacks", {"StackName": "none"}, RECORDED),
        Refusal("events of what is not there", "ValidationError", "describe_stack_events", {"StackName": "none"}, RECORDED),
        Refusal("the template of what is not there", "ValidationError", "get_template", {"StackName": "none"}, RECORDED),
        Refusal("a resource that the stack has not", "ValidationError", "describe_stack_resource",
                {"StackName": "made", "LogicalResourceId": "None"}, RECORDED),
        Refusal("a change set for what is not there", "ValidationError", "create_change_set",
                {"StackName": "none", "ChangeSetName": "new", "TemplateBody": template(), "Parameters": named(Name="x")}, CODE_UNVERIFIED),
        Refusal("a change set that makes what is there", "ValidationError", "create_change_set",
                {"StackName": "made", "ChangeSetName": "new", "TemplateBody": template(), "Parameters": named(Name="x"), "ChangeSetType": "CREATE"}, RECORDED),
        Refusal("a change set's name again", "AlreadyExistsException", "create_change_set",
                {"StackName": "made", "ChangeSetName": "good", "TemplateBody": template(), "Parameters": named(Name="x")}, API.format("CreateChangeSet")),
        Refusal("a change set that is not there", "ChangeSetNotFound", "describe_change_set",
                {"StackName": "made", "ChangeSetName": "none"}, RECORDED),
        Refusal("executing a change set of no changes", "InvalidChangeSetStatus", "execute_change_set",
                {"StackName": "made", "ChangeSetName": "empty"}, API.format("ExecuteChangeSet")),
        Refusal("executing a change set that is not there", "ChangeSetNotFound", "execute_change_set",
                {"StackName": "made", "ChangeSetName": "none"}, API.format("ExecuteChangeSet")),
    )


NAMES = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"
S3_CODES = "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
OWNER = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html"
HERE = {"LocationConstraint": "eu-north-1"}
ANOTHER = "000000000000"


def bucket(what, name, code="InvalidBucketName", source=NAMES, region=HERE) -> Refusal:
    def parameters(made):
        return {"Bucket": name.format(account=made.account), **({"CreateBucketConfiguration": region} if region else {})}
    return Refusal(what, code, "create_bucket", parameters, source)


def on(what, operation, code, source, bucket="strict-full-{account}", **more) -> Refusal:
    return Refusal(what, code, operation, lambda made: {"Bucket": bucket.format(account=made.account), **more}, source)


def tags(*keys):
    return {"Tagging": {"TagSet": [{"Key": key, "Value": "x"} for key in keys]}}


class Buckets(Strict):
    SERVICE = "s3"

    def prepare(self):
        s3, number = self.aws("s3"), self.account
        s3.create_bucket(Bucket=f"strict-full-{number}", CreateBucketConfiguration=HERE)
        s3.create_bucket(Bucket=f"strict-bare-{number}", CreateBucketConfiguration=HERE)
        s3.put_object(Bucket=f"strict-full-{number}", Key="key", Body=b"content")
        s3.delete_public_access_block(Bucket=f"strict-bare-{number}")
        # Another account's bucket, in a second account that ends with this one.
        self.account, self._clients = str(int(number) + 500000), {}
        self.aws("s3").create_bucket(Bucket=f"strict-other-{number}", CreateBucketConfiguration=HERE)
        self.addClassCleanup(self.control, "reset", account=self.account)
        self.account, self._clients = number, {}

    def seen(self):
        s3, full = self.aws("s3"), f"strict-full-{self.account}"
        return (s3.list_buckets()["Buckets"], s3.list_objects_v2(Bucket=full).get("Contents"),
                s3.get_public_access_block(Bucket=full)["PublicAccessBlockConfiguration"])

    CASES = (
        bucket("a name in upper case", "Strict-{account}", source=RECORDED),
        bucket("a name of two characters", "ab"),
        bucket("a name of 64 characters", "b" * 64),
        bucket("a name with an underscore", "strict_{account}"),
        bucket("a name that ends with a hyphen", "strict-{account}-"),
        bucket("a name with two periods in a row", "strict..{account}"),
        bucket("a name like an address", "192.168.5.4"),
        bucket("a name with a reserved beginning", "xn--{account}"),
        bucket("a name with a reserved end", "strict-{account}-s3alias"),
        bucket("a name that is taken by oneself", "strict-full-{account}", "BucketAlreadyOwnedByYou", RECORDED),
        bucket("a name that is taken by another", "strict-other-{account}", "BucketAlreadyExists", S3_CODES),
        bucket("no region away from us-east-1", "strict-new-{account}", "IllegalLocationConstraintException", S3_CODES, None),
        bucket("another region than the endpoint's", "strict-new-{account}", "IllegalLocationConstraintException", RECORDED,
               {"LocationConstraint": "eu-west-1"}),
        on("deleting what is not empty", "delete_bucket", "BucketNotEmpty", RECORDED),
        on("deleting what is not there", "delete_bucket", "NoSuchBucket", RECORDED, "strict-none-{account}"),
        on("deleting another's", "delete_bucket", "AccessDenied", OWNER, "strict-other-{account}"),
        on("deleting what is another's than expected", "delete_bucket", "AccessDenied", OWNER, "strict-bare-{account}", ExpectedBucketOwner=ANOTHER),
        on("storing in what is not there", "put_object", "NoSuchBucket", RECORDED, "strict-none-{account}", Key="k", Body=b"x"),
        on("storing in another's", "put_object", "AccessDenied", OWNER, "strict-other-{account}", Key="k", Body=b"x"),
        on("storing in what is another's than expected", "put_object", "AccessDenied", OWNER, Key="k", Body=b"x", ExpectedBucketOwner=ANOTHER),
        on("storing what has another digest", "put_object", "BadDigest", RECORDED, Key="k", Body=b"x", ChecksumSHA256="A" * 43 + "="),
        on("storing with what is no digest", "put_object", "InvalidRequest", RECORDED, Key="k", Body=b"x", ChecksumSHA256="none"),
        on("storing where something is unless nothing is", "put_object", "PreconditionFailed", S3_CODES, Key="key", Body=b"x", IfNoneMatch="*"),
        on("reading what is not there", "get_object", "NoSuchKey", RECORDED, Key="none"),
        on("looking for what is not there", "head_object", "404", RECORDED, Key="none"),
        on("looking for what is another's", "head_bucket", "403", OWNER, "strict-other-{account}"),
        on("the tags of what has none", "get_bucket_tagging", "NoSuchTagSet", RECORDED),
        on("a tag twice", "put_bucket_tagging", "InvalidTag", RECORDED, **tags("a", "a")),
        on("a reserved tag", "put_bucket_tagging", "InvalidTag", RECORDED, **tags("aws:mine")),
        on("the access block of what has none", "get_public_access_block", "NoSuchPublicAccessBlockConfiguration", S3_CODES, "strict-bare-{account}"),
        on("the access block of what is not there", "put_public_access_block", "NoSuchBucket", S3_CODES, "strict-none-{account}",
           PublicAccessBlockConfiguration={"BlockPublicAcls": True}),
    )
