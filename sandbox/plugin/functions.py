"""Lambda: MiniStack keeps the functions; how they run, as whom, and where they get through is ours."""
import hashlib
import json
import logging
import signal
import subprocess
import threading
import time
import types

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import iam, lambda_svc, sts

from . import network, permissions
from .ec2 import groups as security
from .ec2 import vpc
from .launcher import spawn
from .registry import Caller, Request, guard
from .world import WORLD, After, Fault, Place, new_uuid

log = logging.getLogger("sandbox.functions")
# Access key → (account, region, Caller): how the gateway knows a function's requests.
CALLERS: dict[str, tuple[str, str, Caller]] = {}
# In a function that finds no way through, time passes; the sandbox only says that it did.
TIMEOUT_TOLD_AFTER = 0.05
_INTERFACE_ACTIONS = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")


class _Interfaces:
    """A deleted function's network interfaces, which hold its security groups for a while."""

    def __init__(self, place: Place):
        self.held: list[tuple[After, list[str]]] = []


# --- as whom, and with what environment -------------------------------------------------------------

def _credentials(config: dict, port: int) -> dict[str, str]:
    """Credentials of the function's role, by which the gateway tells which process calls."""
    account, region, name, role = get_account_id(), get_region(), config["FunctionName"], config.get("Role", "")
    digest = hashlib.sha256(f"{account} {region} {name} {role} {port}".encode()).hexdigest().upper()
    key = f"ASIA{digest[:16]}"
    CALLERS[key] = (account, region, Caller(name, role, port))
    # For the services that MiniStack answers itself.
    sts._sessions[key] = {"Arn": f"arn:aws:sts::{account}:assumed-role/{role.rsplit('/', 1)[-1]}/{name}",
                          "UserId": f"AROASANDBOX:{name}", "SecretAccessKey": digest[16:56], "SessionToken": digest}
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": digest[16:56], "AWS_SESSION_TOKEN": digest}


def environment(config: dict, code_dir: str, port: int, endpoint: str) -> dict[str, str]:
    """What Lambda sets and the function's own variables, and nothing of the host's.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    name, region = config["FunctionName"], get_region()
    own = {key: value for key, value in ((config.get("Environment") or {}).get("Variables") or {}).items()
           if key not in lambda_svc._RESERVED_RUNTIME_ENV_VARS}
    return {
        **own, **_credentials(config, port),
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}", "AWS_REGION": region, "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}", "AWS_LAMBDA_LOG_STREAM_NAME": new_uuid(),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', '')}",
        "LAMBDA_TASK_ROOT": code_dir, "LAMBDA_RUNTIME_DIR": "/var/runtime", "_HANDLER": config.get("Handler", "bootstrap"),
        "LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        # In the place of the network, where AWS's names would resolve.
        "AWS_ENDPOINT_URL": endpoint,
    }


# --- running -----------------------------------------------------------------------------------------

def _place(config: dict) -> Place:
    account, region = lambda_svc._account_region_from_function_config(config)
    return WORLD.place(account, region)


def _execute(function: dict, event) -> dict:
    """In the place of lambda_svc._execute_function: first sees whether packets would get through."""
    config = function.get("config") or function
    why = network.blocked(_place(config), config, json.dumps(event) + getattr(_about, "secret", ""))
    if why is None:
        return _run(function, event)
    seconds = config.get("Timeout", 3)
    log.info("%s: %s", config["FunctionName"], why)
    time.sleep(TIMEOUT_TOLD_AFTER)
    request_id = new_uuid()
    said = f"Task timed out after {seconds:.2f} seconds"
    with request_scope(*lambda_svc._account_region_from_function_config(config)):
        lambda_svc._emit_lambda_logs(function, request_id, f"{said}\n[sandbox] {why}", True, seconds * 1000)
    return {"body": {"errorMessage": f"RequestId: {request_id} Error: {said}", "errorType": "Sandbox.Timedout"},
            "error": True, "function_error": "Unhandled"}


_run = lambda_svc._execute_function
_about = threading.local()  # the value of the secret that a rotation is about, where the database's host is named


def invoke(place: Place, function_arn: str, event: dict, secret) -> tuple[bool, str]:
    """As an AWS service. Whether it went well, and what it said if not."""
    with request_scope(place.account.number, place.region):
        function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
        if function is None:
            return False, "the function does not exist"
        policy = (lambda_svc._get_base_func_record_for_ref(function_arn)[0] or {}).get("policy") or {}
        if not permissions.service_may_invoke(policy, "secretsmanager.amazonaws.com", place.account.number, secret.arn,
                                              config["FunctionArn"]):
            return False, "the function's policy does not allow it"
        _about.secret = json.dumps([version.value.get("SecretString", "") for version in secret.versions.values()
                                    if version.value])
        began = time.monotonic()
        result = lambda_svc._execute_function_with_config_scope(function, event)
        # MiniStack counts those only that come by its API.
        lambda_svc._emit_lambda_metrics(config["FunctionName"], (time.monotonic() - began) * 1000, bool(result.get("error")), False)
    body = result.get("body")
    return not result.get("error"), str(body.get("errorMessage", body) if isinstance(body, dict) else body)[:300]


def check_secrets_manager_may_invoke(place: Place, function_arn: str, secret_arn: str) -> None:
    """Of a function that is not there, AWS says no more than of one that it may not invoke (as recorded of AWS in
    LocalStack's tests: test_rotate_secret_invalid_lambda_arn)."""
    with request_scope(place.account.number, place.region):
        function, config, _ = lambda_svc._get_base_func_record_for_ref(function_arn)
    settled = (function or {}).get("_policy_settles")
    allowed = function is not None and permissions.service_may_invoke(
        function.get("policy") or {}, "secretsmanager.amazonaws.com", place.account.number, secret_arn, config["FunctionArn"])
    if not allowed or settled is not None and not settled:
        raise Fault("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the "
                    "function policy grants access to the principal secretsmanager.amazonaws.com.")


def _add_permission(name, *args, **kwargs):
    answer = _original_add_permission(name, *args, **kwargs)
    if answer[0] < 300:
        place = WORLD.place(get_account_id(), get_region())
        lambda_svc._functions[name]["_policy_settles"] = After(place.delay("permission_settle"))
    return answer


_original_add_permission = lambda_svc._add_permission


# --- states, and what refers to a function ----------------------------------------------------------

def _state_transition(name: str, _delay: float) -> None:
    _original_transition(name, WORLD.place(get_account_id(), get_region()).delay("function_active"))


_original_transition = lambda_svc._schedule_state_transition


def _delete_function(name, *args, **kwargs):
    function = lambda_svc._functions.get(name)
    groups = ((function or {}).get("config", {}).get("VpcConfig") or {}).get("SecurityGroupIds", [])
    answer = _original_delete(name, *args, **kwargs)
    if answer[0] < 300 and groups and name not in lambda_svc._functions:
        place = WORLD.place(get_account_id(), get_region())
        place.of(_Interfaces).held.append((After(place.delay("function_interfaces")), groups))
    return answer


_original_delete = lambda_svc._delete_function


def _uses_group(place: Place, group: str) -> bool:
    interfaces = place.of(_Interfaces)
    interfaces.held = [entry for entry in interfaces.held if not entry[0]]
    with request_scope(place.account.number, place.region):
        configs = [each["config"].get("VpcConfig") or {} for each in lambda_svc._functions.values()]
    return any(group in each.get("SecurityGroupIds", []) for each in configs) or \
        any(group in groups for _, groups in interfaces.held)


def check_configuration(place: Place, data: dict) -> None:
    """What CreateFunction and UpdateFunctionConfiguration refuse, by the API and by a stack alike."""
    # The model has the lower bounds only.
    for key, most in (("Timeout", 900), ("MemorySize", 10240)):
        if data.get(key, 0) > most:
            raise Fault("ValidationException", f"1 validation error detected: Value '{data[key]}' at '{key[0].lower()}{key[1:]}' "
                        f"failed to satisfy constraint: Member must have value less than or equal to {most}")
    role = data.get("Role")
    if role:
        with request_scope(place.account.number, place.region):
            record = iam._roles.get(role.rsplit("/", 1)[-1])
        if record is None or "lambda.amazonaws.com" not in json.dumps(record.get("AssumeRolePolicyDocument", "")):
            raise Fault("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
    # Those that its refusals are known to name: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    for action in _INTERFACE_ACTIONS if role and (data.get("VpcConfig") or {}).get("SubnetIds") else ():
        if not permissions.role_allows(place.account.number, place.region, role.rsplit("/", 1)[-1], f"ec2:{action}"):
            raise Fault("InvalidParameterValueException", f"The provided execution role does not have permissions to call {action} on EC2")
    try:
        vpcs = {vpc.subnet(place, each)["VpcId"] for each in (data.get("VpcConfig") or {}).get("SubnetIds", [])}
        vpcs |= {place.of(security.Groups).get(each).vpc_id for each in (data.get("VpcConfig") or {}).get("SecurityGroupIds", [])}
    except Fault as fault:
        raise Fault("InvalidParameterValueException", f"Error occurred while DescribeSecurityGroups or DescribeSubnets. "
                    f"EC2 Error Code: {fault.code}. EC2 Error Message: {fault.message}") from fault
    if bool((data.get("VpcConfig") or {}).get("SubnetIds")) != bool((data.get("VpcConfig") or {}).get("SecurityGroupIds")):
        raise Fault("InvalidParameterValueException", "SubnetIds and SecurityIds must coexist or be both empty list.")
    if len(vpcs) > 1:
        raise Fault("InvalidParameterValueException", "Security Groups are required to be in the same VPC as the subnets.")
    variables = (data.get("Environment") or {}).get("Variables") or {}
    if sum(len(key) + len(value) for key, value in variables.items()) > 4096:
        raise Fault("InvalidParameterValueException", "Lambda was unable to configure your environment variables because the "
                    "environment variables you have provided exceeded the 4KB limit.")
    if reserved := sorted(set(variables) & set(lambda_svc._RESERVED_RUNTIME_ENV_VARS)):
        raise Fault("InvalidParameterValueException", "Lambda was unable to configure your environment variables because the "
                    f"environment variables you have provided contains reserved keys that are currently not supported for "
                    f"modification. Reserved keys used in this request: {', '.join(reserved)}")


@guard("lambda", "CreateFunction", "UpdateFunctionConfiguration")
def _check_configuration(request: Request) -> None:
    check_configuration(request.place, json.loads(request.body or b"{}"))


@guard("lambda", "UpdateFunctionConfiguration", "UpdateFunctionCode", "Invoke")
def _check_state(request: Request) -> None:
    config = network.function_config(request.place, request.path.split("/functions/")[1].split("/")[0].rsplit(":", 1)[-1])
    if config is None:
        return
    if request.operation == "Invoke":
        if config.get("State") == "Pending":
            raise Fault("ResourceConflictException", "The operation cannot be performed at this time. The function is "
                        "currently in the following state: Pending", 409)
    elif config.get("LastUpdateStatus") == "InProgress" or config.get("State") == "Pending":
        raise Fault("ResourceConflictException", "The operation cannot be performed at this time. An update is in progress "
                    f"for resource: {config['FunctionArn']}", 409)


def _invalidate_worker(name, qualifier=None, account=None, region=None):
    """MiniStack ends the workers of every account's function of that name when one of them is updated."""
    _original_invalidate(name, qualifier, account or get_account_id(), region or get_region())


_original_invalidate = lambda_svc.invalidate_worker


def _popen(command, **options):
    return spawn(command, signal.SIGKILL, **options)


def forget(place: Place) -> None:
    """Ends the account's functions and what they are remembered by."""
    with request_scope(place.account.number, place.region):
        for name in lambda_svc._functions.keys():
            lambda_svc.invalidate_worker(name, account=place.account.number, region=place.region)
            lambda_svc._functions.pop(name, None)


def install(endpoint: str) -> None:
    lambda_svc._execute_function = _execute
    lambda_svc._provided_worker_env = lambda config, code_dir, port: environment(config, code_dir, port, endpoint)
    lambda_svc._add_permission = _add_permission
    lambda_svc._schedule_state_transition = _state_transition
    lambda_svc._delete_function = _delete_function
    lambda_svc.invalidate_worker = _invalidate_worker
    # Its processes are to end with ours.
    lambda_runtime.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": _popen})
    security.USERS.append(_uses_group)
