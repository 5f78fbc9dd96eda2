"""STS: roles that a client assumes. MiniStack asks whether the role is there and whom it trusts only where it enforces IAM.

A session's key stands for the role's account from then on, and may do everything there: what a client's role allows is
not looked at, as with the account's own key. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""
import secrets
import time

from ministack.core import iam_evaluator
from ministack.services import iam, sts

from .registry import Caller, Request, operations
from .world import Fault, Place

# Access key → (account, Caller): how the gateway knows a session's requests. The caller's role is the session's ARN.
SESSIONS: dict[str, tuple[str, Caller]] = {}


def _assume_role(request: Request) -> dict:
    arn, session = request.params["RoleArn"], request.params["RoleSessionName"]
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise Fault("ValidationError", f"Request ARN is invalid: {arn}", 400)
    account, name = parts[4], arn.rsplit("/", 1)[-1]
    caller = request.caller.role or f"arn:aws:iam::{request.place.account.number}:root"
    role = iam._roles.get_scoped(account, None, name)
    if role is None or role["Arn"] != arn or not _trusts(role, caller, request, session):
        # The same answer: whether the role is there is not disclosed.
        raise Fault("AccessDenied", f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}", 403)
    until = time.time() + request.params.get("DurationSeconds", 3600)
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(64)
    assumed = f"arn:{parts[1]}:sts::{account}:assumed-role/{name}/{session}"
    sts.register_session(key, {"Arn": assumed, "UserId": f"{role['RoleId']}:{session}", "SecretAccessKey": secret,
                               "SessionToken": token, "Expiration": until, "AccountId": account,
                               "PrincipalType": "AssumedRole"})
    SESSIONS[key] = (account, Caller(role=assumed))
    return {
        "Credentials": {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token, "Expiration": until},
        "AssumedRoleUser": {"AssumedRoleId": f"{role['RoleId']}:{session}", "Arn": assumed},
    }


def _trusts(role: dict, caller: str, request: Request, session: str) -> bool:
    principal = "AssumedRole" if ":assumed-role/" in caller else "Root"
    context = iam_evaluator.EvalContext(
        caller, principal, request.place.account.number, "sts:AssumeRole", role["Arn"], request.place.region,
        service_context={"sts:externalid": request.params.get("ExternalId"), "sts:rolesessionname": session})
    return iam_evaluator.evaluate_trust_policy(role.get("AssumeRolePolicyDocument", "{}"), caller, context)


def forget(place: Place) -> None:
    for key in [key for key, (account, _) in SESSIONS.items() if account == place.account.number]:
        del SESSIONS[key]


operations("sts", AssumeRole=_assume_role)
