"""What a function's role allows. A client, signing as the account's root, may do everything.

The evaluation is MiniStack's; what it lacks is Secrets Manager's own condition keys.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
"""
from ministack.core import iam_evaluator

from .registry import Request
from .secrets.store import Secrets
from .world import Fault

# Operations that name no secret.
_NO_SECRET = ("ListSecrets", "GetRandomPassword", "BatchGetSecretValue")


def check(request: Request) -> None:
    if request.caller.function is None:
        return
    account = request.place.account.number
    role = request.caller.role.rsplit("/", 1)[-1]
    action = f"{request.service}:{request.operation}"
    resource, keys = _resource(request)
    principal = f"arn:aws:sts::{account}:assumed-role/{role}/{request.caller.function}"
    context = iam_evaluator.EvalContext(principal, "AssumedRole", account, action, resource, request.place.region,
                                        service_context=keys)
    decision = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role, account)).decision
    if decision != "Allow":
        why = "with an explicit deny in an identity-based policy" if decision == "Deny" else \
            f"because no identity-based policy allows the {action} action"
        raise Fault("AccessDeniedException", f"User: {principal} is not authorized to perform: {action} on resource: {resource} {why}", 400)


def _resource(request: Request) -> tuple[str, dict]:
    """The ARN that policies are matched against, and the condition keys (in lower case) that hold for it."""
    if request.service != "secretsmanager" or request.operation in _NO_SECRET:
        return "*", {}
    name = request.params.get("SecretId") or request.params.get("Name", "")
    secret = request.place.of(Secrets).find(name)
    keys = {"secretsmanager:secretid": secret.arn if secret else name}
    for given, key in (("VersionId", "versionid"), ("VersionStage", "versionstage")):
        if given in request.params:
            keys[f"secretsmanager:{key}"] = request.params[given]
    if secret is None:
        return (name if name.startswith("arn:") else request.place.arn("secretsmanager", f"secret:{name}")), keys
    if secret.function:
        keys["secretsmanager:resource/allowrotationlambdaarn"] = secret.function
    for tag, value in secret.tags.items():
        keys[f"aws:resourcetag/{tag.lower()}"] = keys[f"secretsmanager:resourcetag/{tag.lower()}"] = value
    return secret.arn, keys


def role_allows(account: str, region: str, role: str, action: str) -> bool:
    """Whether a role may do something that takes no resource."""
    context = iam_evaluator.EvalContext(f"arn:aws:sts::{account}:assumed-role/{role}/lambda", "AssumedRole", account, action, "*",
                                        region, service_context={})
    return iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role, account)).decision == "Allow"


def service_may_invoke(policy: dict, service: str, account: str, source_arn: str, function_arn: str) -> bool:
    """Whether a function's resource policy lets an AWS service invoke it, for this source."""
    context = iam_evaluator.EvalContext("", "Service", account, "lambda:InvokeFunction", function_arn, "",
                                        service_context={"aws:sourceaccount": account, "aws:sourcearn": source_arn})
    decisions = set()
    for statement in policy.get("Statement", []):
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, dict) else principal
        if services == "*" or service in ([services] if isinstance(services, str) else services or []):
            parsed = iam_evaluator.parse_policy_document({"Statement": [statement]})
            decisions.add(iam_evaluator.evaluate(context, [parsed]).decision)
    return "Allow" in decisions and "Deny" not in decisions
