"""IAM: what MiniStack does not check of a role's policies."""
import json

from ministack.core.responses import request_scope
from ministack.services import iam

from .registry import Request, guard
from .world import Fault

# All inline policies of a role together, white space aside: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
INLINE_MAX = 10240


def _read(document: str):
    try:
        return json.loads(document)
    except ValueError as wrong:
        raise Fault("MalformedPolicyDocument", "This policy contains invalid Json", 400) from wrong


def size(document) -> int:
    return len(json.dumps(document, separators=(",", ":")))


@guard("iam", "CreateRole", "UpdateAssumeRolePolicy")
def _trust(request: Request) -> None:
    _read(request.params.get("AssumeRolePolicyDocument") or request.params.get("PolicyDocument", ""))


@guard("iam", "PutRolePolicy")
def _inline(request: Request) -> None:
    new = _read(request.params["PolicyDocument"])
    with request_scope(request.place.account.number, request.place.region):
        role = iam._roles.get(request.params["RoleName"])
        others = {name: each for name, each in (role or {}).get("InlinePolicies", {}).items() if name != request.params["PolicyName"]}
    had = sum(size(json.loads(each) if isinstance(each, str) else each) for each in others.values())
    if role and had + size(new) > INLINE_MAX:
        raise Fault("LimitExceeded", f"Maximum policy size of {INLINE_MAX} bytes exceeded for role {request.params['RoleName']}", 409)


@guard("iam", "AttachRolePolicy")
def _managed(request: Request) -> None:
    arn = request.params["PolicyArn"]
    with request_scope(request.place.account.number, request.place.region):
        known = iam._is_aws_managed_arn(arn) if hasattr(iam, "_is_aws_managed_arn") else arn.startswith("arn:aws:iam::aws:policy/")
        if not known and arn not in iam._policies:
            raise Fault("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
