"""CloudFormation: MiniStack's engine, made to take time and to refuse what AWS refuses."""
import asyncio
import base64
import json

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudformation, cloudwatch, cloudwatch_logs, eventbridge, iam, lambda_svc
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from . import drift, functions, roles, templates
from .registry import Request, guard
from .world import WORLD, Fault


@guard("cloudformation", "CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet", "RollbackStack")
def _token(request: Request) -> None:
    """A token that already started an operation starts none again, not even the same one: whoever retries must
    take this answer for a yes and look."""
    token = request.params.get("ClientRequestToken")
    with request_scope(request.place.account.number, request.place.region):
        known = {event.get("ClientRequestToken") for events in cloudformation._stack_events.values() for event in events}
    if token and token in known:
        raise Fault("TokenAlreadyExistsException", f"A stack operation with the client request token {token} was already started.")


@guard("cloudformation", "CreateStack")
def _name_taken(request: Request) -> None:
    """MiniStack replaces a stack that was rolled back; on AWS it can only be deleted."""
    name = request.params.get("StackName", "")
    with request_scope(request.place.account.number, request.place.region):
        existing = cloudformation._stacks.get(name)
    if existing and existing.get("StackStatus") != "DELETE_COMPLETE":
        raise Fault("AlreadyExistsException", f"Stack [{name}] already exists")


@guard("cloudformation", "CreateChangeSet")
def _change_set_of_a_new_stack(request: Request) -> None:
    """MiniStack has another code for it: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
    lists AlreadyExistsException, but AWS was recorded answering this (LocalStack, test_name_conflicts)."""
    name = request.params["StackName"]
    with request_scope(request.place.account.number, request.place.region):
        existing = handlers._resolve_stack(name)
    if request.params.get("ChangeSetType") == "CREATE" and existing and existing["StackStatus"] not in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
        raise Fault("ValidationError", f"Stack [{name}] already exists and cannot be created again with the changeSet "
                    f"[{request.params['ChangeSetName']}].")


@guard("cloudformation", "DeleteStack")
def _delete_in_progress(request: Request) -> None:
    with request_scope(request.place.account.number, request.place.region):
        stack = handlers._resolve_stack(request.params.get("StackName", ""))
    if stack and stack.get("StackStatus") in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
        raise Fault("ValidationError", f"Stack [{stack['StackId']}] cannot be deleted while in status {stack['StackStatus']}")


def _wait(operation: str) -> float:
    return WORLD.place(get_account_id(), get_region()).delay(operation)


def _slowly(task):
    async def run(stack_name, *args, **kwargs):
        await asyncio.sleep(_wait("stack_update" if kwargs.get("is_update") else "stack_create"))
        if "previous_stack" in kwargs:
            kwargs["previous_stack"] = drift.seen_as_it_is(cloudformation._stacks[stack_name], kwargs["previous_stack"])
        return await task(stack_name, *args, **kwargs)
    return run


def _slow_delete(task):
    async def run(stack_name, *args, **kwargs):
        stack = cloudformation._stacks.get(stack_name)
        if stack is None:
            return await task(stack_name, *args, **kwargs)
        if stack.get("_deleting"):  # asked again: a second deletion would strike a stack that comes after it
            return None
        # The status is the request's, the work comes later.
        stack["StackStatus"], stack["_deleting"] = "DELETE_IN_PROGRESS", True
        try:
            await asyncio.sleep(_wait("stack_delete"))
            return await task(stack_name, *args, **kwargs)
        finally:
            stack.pop("_deleting", None)
    return run


# --- resources: by the API's own checks, and never over what exists ----------------------------------

def _said(answer) -> str:
    body = answer[2]
    try:
        told = json.loads(body)
        return told.get("message") or told.get("Message") or str(told)
    except ValueError:
        return str(body)


def _function_data(name: str, properties: dict) -> dict:
    known = ("Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "VpcConfig", "Environment", "Layers",
             "TracingConfig", "EphemeralStorage", "LoggingConfig", "Architectures", "PackageType", "KmsKeyArn")
    data = {key: properties[key] for key in known if key in properties}
    for key in ("Timeout", "MemorySize"):
        if key in data:
            data[key] = int(data[key])
    variables = (data.get("Environment") or {}).get("Variables")
    if variables is not None:
        data["Environment"] = {"Variables": {key: str(value) for key, value in variables.items()}}
    return {"FunctionName": name, **data}


def _function_create(logical_id, properties, stack_name):
    name = properties.get("FunctionName") or provisioners._physical_name(stack_name, logical_id, max_len=64)
    if name in lambda_svc._functions:
        raise ValueError(f"Function already exist: {name} (Service: Lambda, Status Code: 409)")
    data, code = _function_data(name, properties), properties.get("Code", {})
    if "ZipFile" in code:
        zipped = provisioners._zip_inline(code["ZipFile"], data.get("Handler", "index.handler"), data.get("Runtime", ""))
        data["Code"] = {"ZipFile": base64.b64encode(zipped).decode()}
    else:
        data["Code"] = {key: code[key] for key in ("S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri") if key in code}
        if "S3Bucket" in code and lambda_svc._fetch_code_from_s3(code["S3Bucket"], code.get("S3Key"),
                                                                 version_id=code.get("S3ObjectVersion")) is None:
            raise ValueError("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key "
                             "does not exist. (Service: Lambda, Status Code: 400)")
    data["Tags"] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    _checked(data)
    answer = lambda_svc._create_function(data)
    if answer[0] >= 400:
        raise ValueError(_said(answer))
    # A stack waits until its function can be used.
    lambda_svc._functions[name]["config"].update(State="Active", LastUpdateStatus="Successful", StateReason="",
                                                 StateReasonCode="")
    return name, {"Arn": lambda_svc._functions[name]["config"]["FunctionArn"]}


def _checked(data: dict) -> None:
    try:
        functions.check_configuration(WORLD.place(get_account_id(), get_region()), data)
    except Fault as fault:
        raise ValueError(f"{fault.message} (Service: Lambda, Status Code: 400)") from fault


def _function_update(physical_id, old, new, stack_name, logical_id=None):
    function = lambda_svc._functions.get(physical_id)
    if function is None:
        raise ValueError(f"Function not found: {physical_id} (Service: Lambda, Status Code: 404)")
    _checked(_function_data(physical_id, new))
    # MiniStack's update forgets the VPC.
    before = function["config"]
    result = _update(physical_id, old, new, stack_name, logical_id)
    config = lambda_svc._functions[result[0]]["config"]
    if "VpcConfig" in new or "VpcConfig" in before:
        config["VpcConfig"] = lambda_svc._vpc_config_with_id(new.get("VpcConfig"))
    config.update(State="Active", LastUpdateStatus="Successful", LastUpdateStatusReason="", LastUpdateStatusReasonCode="")
    lambda_svc.invalidate_worker(result[0], account=get_account_id(), region=get_region())
    return result


def _function_delete(physical_id, properties):
    if physical_id in lambda_svc._functions:
        lambda_svc._delete_function(physical_id, {})


def _role_create(logical_id, properties, stack_name):
    name = properties.get("RoleName") or provisioners._physical_name(stack_name, logical_id, max_len=64)
    if name in iam._roles:
        raise ValueError(f"Role with name {name} already exists. (Service: Iam, Status Code: 409)")
    _check_policies(properties)
    return _create_role(logical_id, properties, stack_name)


def _role_update(physical_id, old, new, stack_name, logical_id=None):
    _check_policies(new)
    return _update_role(physical_id, old, new, stack_name, logical_id)


def _check_policies(properties: dict) -> None:
    if sum(roles.size(policy["PolicyDocument"]) for policy in properties.get("Policies", [])) > roles.INLINE_MAX:
        raise ValueError(f"Maximum policy size of {roles.INLINE_MAX} bytes exceeded for the role (Service: Iam, Status Code: 409)")


def _never_over(kind: str, property_name: str, exists) -> None:
    """MiniStack's own creation of these replaces what has the name already."""
    create = _handlers[kind]["create"]

    def only_new(logical_id, properties, stack_name):
        name = properties.get(property_name)
        if name and exists(name, properties):
            raise ValueError(f"Resource of type '{kind}' with identifier '{name}' already exists.")
        return create(logical_id, properties, stack_name)
    _handlers[kind]["create"] = only_new


_handlers = provisioners._RESOURCE_HANDLERS
_update = _handlers["AWS::Lambda::Function"]["update"]
_create_role, _update_role = _handlers["AWS::IAM::Role"]["create"], _handlers["AWS::IAM::Role"]["update"]


def _support(template, conditions, params=None):
    templates.check(template)
    return _validate_template_support(template, conditions, params=params)


def _values(template, provided_params, *args, **kwargs):
    templates.check_values(template, provided_params)
    return _resolve_parameters(template, provided_params, *args, **kwargs)


_validate_template_support, _resolve_parameters = engine.validate_template_support, engine._resolve_parameters


def install() -> None:
    handlers._capabilities_enforced = lambda: True
    for module in (handlers, changesets):
        module.validate_template_support, module._resolve_parameters = _support, _values
    drift.install()
    for module in (stacks, handlers, changesets):
        if hasattr(module, "_deploy_stack_async"):
            module._deploy_stack_async = _deploy
        if hasattr(module, "_delete_stack_async"):
            module._delete_stack_async = _delete
    _handlers["AWS::Lambda::Function"].update(create=_function_create, update=_function_update, delete=_function_delete)
    _handlers["AWS::IAM::Role"].update(create=_role_create, update=_role_update)
    _never_over("AWS::Logs::LogGroup", "LogGroupName", lambda name, _: name in cloudwatch_logs._log_groups)
    _never_over("AWS::CloudWatch::Alarm", "AlarmName", lambda name, _: name in cloudwatch._alarms)
    _never_over("AWS::Events::Rule", "Name", lambda name, properties: eventbridge._rule_key(
        name, provisioners._eb_rule_bus_name(properties)) in eventbridge._rules)


_deploy = _slowly(stacks._deploy_stack_async)
_delete = _slow_delete(stacks._delete_stack_async)
