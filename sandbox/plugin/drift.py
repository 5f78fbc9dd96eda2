"""Drift: change sets that repair it (DeploymentMode=REVERT_DRIFT), and the properties whose drift MiniStack does not see.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
"""
import copy
import json
import xml.etree.ElementTree as xml
from urllib.parse import parse_qs

from ministack.core.responses import now_iso, request_scope
from ministack.services import cloudformation, cloudwatch, eventbridge, iam, lambda_svc
from ministack.services.cloudformation import changesets, drift, handlers

from .registry import PASS_ON, Request, guard, operations
from .world import Fault

DRIFTED = ("MODIFIED", "DELETED")


# --- seeing it ----------------------------------------------------------------------------------------

def _read_function(physical_id, properties):
    found = _plain_function(physical_id, properties)
    if found is not None:
        config = lambda_svc._functions[physical_id]["config"].get("VpcConfig") or {}
        found["VpcConfig"] = {key: config.get(key, []) for key in ("SubnetIds", "SecurityGroupIds")}
    return found


def _read_role(physical_id, properties):
    found = _plain_role(physical_id, properties)
    if found is not None:
        inline = iam._roles[physical_id]["InlinePolicies"]
        # Those of the template only: others are nobody's drift.
        found["Policies"] = [{"PolicyName": each["PolicyName"], "PolicyDocument": drift._json_or(inline[each["PolicyName"]])}
                             for each in properties.get("Policies", []) if each["PolicyName"] in inline]
    return found


def _read_permission(physical_id, properties):
    function, _, _ = lambda_svc._get_base_func_record_for_ref(properties.get("FunctionName", ""))
    statements = (function or {}).get("policy", {}).get("Statement", [])
    return {} if any(each.get("Sid") == physical_id for each in statements) else None


def _read_alarm(physical_id, properties):
    return {} if physical_id in cloudwatch._alarms else None


def _read_rule(physical_id, properties):
    rule = eventbridge._rules.get(eventbridge._rule_key(physical_id, drift._eb_rule_bus_name(properties)))
    if rule is None:
        return None
    return {"State": rule.get("State"), "EventPattern": drift._json_or(rule.get("EventPattern"))}


_plain_function, _function_properties = drift._DRIFT_READERS["AWS::Lambda::Function"]
_plain_role, _role_properties = drift._DRIFT_READERS["AWS::IAM::Role"]


def _found(stack: dict) -> dict[str, dict]:
    """The drifted resources of a stack, by logical id."""
    found = {}
    for logical_id, record in stack.get("_resources", {}).items():
        if drift.supports_drift(record.get("ResourceType", "")):
            told = drift.detect_resource_drift(stack, logical_id, record, now_iso())
            if told["StackResourceDriftStatus"] in DRIFTED:
                found[logical_id] = told
    return found


# --- repairing it --------------------------------------------------------------------------------------

def _create_change_set(request: Request):
    if request.params.get("DeploymentMode") != "REVERT_DRIFT":
        return PASS_ON
    if request.params.get("ChangeSetType", "UPDATE") != "UPDATE":
        raise Fault("ValidationError", "DeploymentMode REVERT_DRIFT is only valid for change sets of the type UPDATE.")
    form = parse_qs(request.body.decode(), keep_blank_values=True)
    with request_scope(request.place.account.number, request.place.region):
        status, _, body = changesets._create_change_set(form)
        if status >= 400:
            raise Fault(*_error(body))
        key, change_set = changesets._find_change_set(request.params["ChangeSetName"], request.params["StackName"])
        stack = handlers._resolve_stack(request.params["StackName"])
        drifted = _found(stack)
        if drifted:
            changed = {each["ResourceChange"]["LogicalResourceId"] for each in change_set["Changes"]}
            change_set["Changes"] += [_change(each) for logical_id, each in drifted.items() if logical_id not in changed]
            change_set.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="", _drifted=drifted)
    return {"Id": key, "StackId": change_set["StackId"]}


def _error(body) -> tuple[str, str]:
    texts = {element.tag.rpartition("}")[2]: element.text or "" for element in xml.fromstring(body).iter()}
    return texts["Code"], texts["Message"]


def _change(told: dict) -> dict:
    gone = told["StackResourceDriftStatus"] == "DELETED"
    change = {"Action": "Add" if gone else "Modify", "LogicalResourceId": told["LogicalResourceId"],
              "PhysicalResourceId": told["PhysicalResourceId"], "ResourceType": told["ResourceType"],
              "Scope": [] if gone else ["Properties"], "Details": []}
    return {"Type": "Resource", "ResourceChange": change if gone else {**change, "Replacement": "False"}}


@guard("cloudformation", "ExecuteChangeSet")
def _execute(request: Request) -> None:
    with request_scope(request.place.account.number, request.place.region):
        _, change_set = changesets._find_change_set(request.params["ChangeSetName"], request.params.get("StackName", ""))
        stack = change_set and cloudformation._stacks.get(change_set["StackName"])
        if stack and change_set.get("_drifted"):
            stack["_drifted"] = change_set["_drifted"]


def seen_as_it_is(stack: dict, previous: dict | None) -> dict | None:
    """What an update compares the template with: what was found, in the place of what was deployed."""
    drifted = stack.pop("_drifted", None)
    if not drifted or previous is None:
        return previous
    previous = copy.deepcopy(previous)
    for logical_id, told in drifted.items():
        if told["StackResourceDriftStatus"] == "DELETED":
            previous["_resources"].pop(logical_id, None)
            stack["_resources"].pop(logical_id, None)
        else:
            previous["_resources"][logical_id]["Properties"].update(json.loads(told["ActualProperties"]))
    return previous


def install() -> None:
    drift._DRIFT_READERS.update({
        "AWS::Lambda::Function": (_read_function, _function_properties | {"VpcConfig"}),
        "AWS::IAM::Role": (_read_role, _role_properties | {"Policies"}),
        "AWS::Lambda::Permission": (_read_permission, frozenset()),
        "AWS::CloudWatch::Alarm": (_read_alarm, frozenset()),
        "AWS::Events::Rule": (_read_rule, frozenset({"State", "EventPattern"})),
    })


operations("cloudformation", CreateChangeSet=_create_change_set)
