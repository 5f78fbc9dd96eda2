"""What Secrets Manager refuses. Sources: its API reference, by operation, unless a row says otherwise."""
from .strict import CODE_UNVERIFIED, MODEL, RECORDED, Refusal, Strict, without_metadata

API = "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_{}.html"
QUOTAS = "https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html"
SCHEDULES = "https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html"
ONE, TWO, NEVER = "1" * 32, "2" * 32, "9" * 32


class Seen(Strict):
    SERVICE = "secretsmanager"

    def seen(self):
        manager = self.aws("secretsmanager")
        secrets = manager.list_secrets(IncludePlannedDeletion=True, SortOrder="asc")["SecretList"]
        return [{key: value for key, value in without_metadata(manager.describe_secret(SecretId=each["ARN"])).items()
                 if key != "LastAccessedDate"} for each in secrets]


class Secrets(Seen):
    def prepare(self):
        manager = self.aws("secretsmanager")
        manager.create_secret(Name="living", SecretString="one", ClientRequestToken=ONE)
        manager.put_secret_value(SecretId="living", SecretString="two", ClientRequestToken=TWO)
        manager.create_secret(Name="labelled", SecretString="one", ClientRequestToken=ONE)
        manager.put_secret_value(SecretId="labelled", SecretString="two", ClientRequestToken=TWO,
                                 VersionStages=[f"label-{number}" for number in range(19)])
        manager.create_secret(Name="tagged", SecretString="one", ClientRequestToken=ONE,
                              Tags=[{"Key": f"tag-{number}", "Value": "x"} for number in range(50)])
        manager.create_secret(Name="deleted", SecretString="one", ClientRequestToken=ONE)
        manager.delete_secret(SecretId="deleted", RecoveryWindowInDays=7)

    CASES = (
        Refusal("a name with a space", "ValidationException", "create_secret",
                {"Name": "not allowed", "ClientRequestToken": NEVER}, RECORDED),
        Refusal("a name that is taken", "ResourceExistsException", "create_secret",
                {"Name": "living", "ClientRequestToken": NEVER}, RECORDED),
        Refusal("a name that waits for its deletion", "InvalidRequestException", "create_secret",
                {"Name": "deleted", "ClientRequestToken": NEVER}, RECORDED),
        Refusal("a string and bytes at once", "InvalidParameterException", "create_secret",
                {"Name": "new", "SecretString": "x", "SecretBinary": b"x", "ClientRequestToken": NEVER}, API.format("CreateSecret")),
        Refusal("a creation's token again with another value", "ResourceExistsException", "create_secret",
                {"Name": "living", "SecretString": "other", "ClientRequestToken": ONE}, API.format("CreateSecret")),
        Refusal("a token of 31 characters", "ValidationException", "create_secret",
                {"Name": "new", "ClientRequestToken": "1" * 31}, MODEL),
        Refusal("a reserved tag at creation", "InvalidParameterException", "create_secret",
                {"Name": "new", "Tags": [{"Key": "aws:mine", "Value": "x"}], "ClientRequestToken": NEVER}, CODE_UNVERIFIED),
        Refusal("a value of more than 65,536 characters", "ValidationException", "put_secret_value",
                {"SecretId": "living", "SecretString": "x" * 65537, "ClientRequestToken": NEVER}, MODEL),
        Refusal("no value", "InvalidRequestException", "put_secret_value",
                {"SecretId": "living", "ClientRequestToken": NEVER}, API.format("PutSecretValue")),
        Refusal("a value for a secret that waits for its deletion", "InvalidRequestException", "put_secret_value",
                {"SecretId": "deleted", "SecretString": "x", "ClientRequestToken": NEVER}, API.format("PutSecretValue")),
        Refusal("a version's token again with another value", "ResourceExistsException", "put_secret_value",
                {"SecretId": "living", "SecretString": "other", "ClientRequestToken": TWO}, API.format("PutSecretValue")),
        Refusal("more than 20 labels at once", "ValidationException", "put_secret_value",
                {"SecretId": "living", "SecretString": "x", "ClientRequestToken": NEVER,
                 "VersionStages": [f"label-{number}" for number in range(21)]}, MODEL),
        Refusal("an empty list of labels", "ValidationException", "put_secret_value",
                {"SecretId": "living", "SecretString": "x", "ClientRequestToken": NEVER, "VersionStages": []}, MODEL),
        Refusal("the 21st label of a secret with a new version", "LimitExceededException", "put_secret_value",
                {"SecretId": "labelled", "SecretString": "x", "ClientRequestToken": NEVER, "VersionStages": ["one-more"]}, QUOTAS),
        Refusal("the 21st label of a secret on a version that is there", "LimitExceededException", "update_secret_version_stage",
                {"SecretId": "labelled", "VersionStage": "one-more", "MoveToVersionId": ONE}, QUOTAS),
        Refusal("a description for a secret that waits for its deletion", "InvalidRequestException", "update_secret",
                {"SecretId": "deleted", "Description": "x"}, API.format("UpdateSecret")),
        Refusal("the value of a secret that waits for its deletion", "InvalidRequestException", "get_secret_value",
                {"SecretId": "deleted"}, API.format("GetSecretValue")),
        Refusal("a version that does not carry the label", "InvalidRequestException", "get_secret_value",
                {"SecretId": "living", "VersionId": ONE, "VersionStage": "AWSCURRENT"}, RECORDED),
        Refusal("a version that is not there", "ResourceNotFoundException", "get_secret_value",
                {"SecretId": "living", "VersionId": NEVER}, API.format("GetSecretValue")),
        Refusal("a label that no version carries", "ResourceNotFoundException", "get_secret_value",
                {"SecretId": "living", "VersionStage": "AWSPENDING"}, RECORDED),
        Refusal("moving a label without saying where from", "InvalidParameterException", "update_secret_version_stage",
                {"SecretId": "living", "VersionStage": "AWSCURRENT", "MoveToVersionId": ONE}, API.format("UpdateSecretVersionStage")),
        Refusal("moving a label from where it is not", "InvalidParameterException", "update_secret_version_stage",
                {"SecretId": "living", "VersionStage": "AWSCURRENT", "MoveToVersionId": ONE, "RemoveFromVersionId": ONE},
                API.format("UpdateSecretVersionStage")),
        Refusal("taking AWSCURRENT away", "InvalidParameterException", "update_secret_version_stage",
                {"SecretId": "living", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": TWO}, API.format("UpdateSecretVersionStage")),
        Refusal("moving a label to a version that is not there", "ResourceNotFoundException", "update_secret_version_stage",
                {"SecretId": "living", "VersionStage": "AWSCURRENT", "MoveToVersionId": NEVER, "RemoveFromVersionId": TWO},
                API.format("UpdateSecretVersionStage")),
        Refusal("a recovery window of 6 days", "InvalidParameterException", "delete_secret",
                {"SecretId": "living", "RecoveryWindowInDays": 6}, API.format("DeleteSecret")),
        Refusal("a recovery window of 31 days", "InvalidParameterException", "delete_secret",
                {"SecretId": "living", "RecoveryWindowInDays": 31}, API.format("DeleteSecret")),
        Refusal("a recovery window and none at once", "InvalidParameterException", "delete_secret",
                {"SecretId": "living", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True}, API.format("DeleteSecret")),
        Refusal("deleting what waits for its deletion", "InvalidRequestException", "delete_secret",
                {"SecretId": "deleted", "RecoveryWindowInDays": 7}, API.format("DeleteSecret")),
        Refusal("deleting what is not there", "ResourceNotFoundException", "delete_secret",
                {"SecretId": "never", "RecoveryWindowInDays": 7}, API.format("DeleteSecret")),
        Refusal("restoring what is not there", "ResourceNotFoundException", "restore_secret",
                {"SecretId": "never"}, API.format("RestoreSecret")),
        Refusal("a tag for a secret that waits for its deletion", "InvalidRequestException", "tag_resource",
                {"SecretId": "deleted", "Tags": [{"Key": "a", "Value": "b"}]}, RECORDED),
        Refusal("a reserved tag", "InvalidParameterException", "tag_resource",
                {"SecretId": "living", "Tags": [{"Key": "aws:mine", "Value": "x"}]}, CODE_UNVERIFIED),
        Refusal("a tag key of more than 128 characters", "ValidationException", "tag_resource",
                {"SecretId": "living", "Tags": [{"Key": "k" * 129, "Value": "x"}]}, MODEL),
        Refusal("the 51st tag", "InvalidParameterException", "tag_resource",
                {"SecretId": "tagged", "Tags": [{"Key": "one-more", "Value": "x"}]}, CODE_UNVERIFIED),
        Refusal("a page token of one's own", "InvalidNextTokenException", "list_secrets",
                {"NextToken": "none"}, API.format("ListSecrets")),
        Refusal("a filter by what there is not", "ValidationException", "list_secrets",
                {"Filters": [{"Key": "colour", "Values": ["red"]}]}, MODEL),
        Refusal("a policy that is no JSON", "MalformedPolicyDocumentException", "put_resource_policy",
                {"SecretId": "living", "ResourcePolicy": "allow everything"}, API.format("PutResourcePolicy")),
    )


def rotate(secret="living", function="permitted", **rules):
    """RotateSecret's parameters, once it is known which functions there are."""
    return lambda made: {"SecretId": secret, "ClientRequestToken": NEVER, "RotationLambdaARN": made.functions[function], "RotationRules": rules}


def cron(expression, **more):
    return rotate(ScheduleExpression=f"cron({expression})", **more)


class Rotation(Seen):
    def prepare(self):
        manager, lambda_ = self.aws("secretsmanager"), self.aws("lambda")
        self.functions = {name: self.function(name, "def handle(event): pass", permission=name == "permitted")
                          for name in ("permitted", "forbidden", "another-account-s")}
        self.functions["absent"] = self.functions["permitted"].replace("permitted", "absent")
        lambda_.add_permission(FunctionName="another-account-s", StatementId="sm", Action="lambda:InvokeFunction",
                               Principal="secretsmanager.amazonaws.com", SourceAccount="999999999999")
        for name in ("living", "pending", "deleted"):
            manager.create_secret(Name=name, SecretString="one", ClientRequestToken=ONE)
        manager.put_secret_value(SecretId="pending", SecretString="two", ClientRequestToken=TWO, VersionStages=["AWSPENDING"])
        manager.delete_secret(SecretId="deleted", RecoveryWindowInDays=7)

    CASES = (
        Refusal("days and an expression at once", "InvalidParameterException", "rotate_secret",
                rotate(AutomaticallyAfterDays=10, ScheduleExpression="rate(10 days)"), API.format("RotationRulesType")),
        Refusal("every 0 days", "ValidationException", "rotate_secret", rotate(AutomaticallyAfterDays=0), MODEL),
        Refusal("every 1,001 days", "ValidationException", "rotate_secret", rotate(AutomaticallyAfterDays=1001), MODEL),
        Refusal("a window that opens at five past", "InvalidParameterException", "rotate_secret", cron("5 4 ? * SUN *"), SCHEDULES),
        Refusal("a day of the month and of the week", "InvalidParameterException", "rotate_secret", cron("0 4 1 * SUN *"), SCHEDULES),
        Refusal("hours that there are not", "InvalidParameterException", "rotate_secret", cron("0 24 ? * SUN *"), SCHEDULES),
        Refusal("a cron expression of five fields", "InvalidParameterException", "rotate_secret", cron("0 4 ? * SUN"), SCHEDULES),
        Refusal("every two hours by rate", "InvalidParameterException", "rotate_secret",
                rotate(ScheduleExpression="rate(2 hours)"), SCHEDULES),
        Refusal("every two hours by cron", "InvalidParameterException", "rotate_secret", cron("0 */2 * * ? *"), SCHEDULES),
        Refusal("a rate in minutes", "InvalidParameterException", "rotate_secret",
                rotate(ScheduleExpression="rate(600 minutes)"), SCHEDULES),
        Refusal("an expression of another kind", "InvalidParameterException", "rotate_secret",
                rotate(ScheduleExpression="at(2030-01-01)"), SCHEDULES),
        Refusal("an expression of more than 256 characters", "ValidationException", "rotate_secret",
                rotate(ScheduleExpression="rate(10 days)" + " " * 256), MODEL),
        Refusal("a window longer than the time to the next", "InvalidParameterException", "rotate_secret",
                rotate(ScheduleExpression="rate(4 hours)", Duration="5h"), API.format("RotationRulesType")),
        Refusal("a window past the end of the UTC day", "InvalidParameterException", "rotate_secret",
                cron("0 22 ? * SUN *", Duration="3h"), API.format("RotationRulesType") + ", the stricter reading"),
        Refusal("a window in minutes", "ValidationException", "rotate_secret", rotate(AutomaticallyAfterDays=10, Duration="90m"), MODEL),
        Refusal("a window and no schedule", "InvalidParameterException", "rotate_secret", rotate(Duration="2h"), CODE_UNVERIFIED),
        Refusal("a function that is not there", "AccessDeniedException", "rotate_secret",
                rotate(function="absent", AutomaticallyAfterDays=10), RECORDED),
        Refusal("a function without permission", "AccessDeniedException", "rotate_secret",
                rotate(function="forbidden", AutomaticallyAfterDays=10), RECORDED),
        Refusal("a function permitted for another account", "AccessDeniedException", "rotate_secret",
                rotate(function="another-account-s", AutomaticallyAfterDays=10),
                "https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html"),
        Refusal("a first rotation without a function", "InvalidRequestException", "rotate_secret",
                {"SecretId": "living", "ClientRequestToken": NEVER}, RECORDED),
        Refusal("a rotation beside one that is not complete", "InvalidRequestException", "rotate_secret",
                rotate("pending", AutomaticallyAfterDays=10), API.format("RotateSecret")),
        Refusal("a rotation of what waits for its deletion", "InvalidRequestException", "rotate_secret",
                rotate("deleted", AutomaticallyAfterDays=10), API.format("RotateSecret")),
        Refusal("a rotation of what is not there", "ResourceNotFoundException", "rotate_secret",
                rotate("never", AutomaticallyAfterDays=10), API.format("RotateSecret")),
        Refusal("cancelling the rotation of what waits for its deletion", "InvalidRequestException", "cancel_rotate_secret",
                {"SecretId": "deleted"}, API.format("CancelRotateSecret")),
    )
