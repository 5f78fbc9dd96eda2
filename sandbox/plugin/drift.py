"""Drift: change sets that repair it (DeploymentMode=REVERT_DRIFT), and the properties whose drift MiniStack does not see.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
"""
import copy
import json
import time
import xml.etree.ElementTree as xml
from urllib.parse import parse_qs

from ministack.core.responses import now_iso, request_scope
from ministack.services import cloudformation, cloudwatch, eventbridge, iam, lambda_svc
from ministack.services.cloudformation import changesets, drift, handlers

from .registry import PASS_ON, Request, guard, operations
from .world import After, Fault

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
    for each in (function or {}).get("policy", {}).get("Statement", []):
        if each.get("Sid") == physical_id:
            conditions = each.get("Condition", {}).get("StringEquals", {})
            account = {key.lower(): value for key, value in conditions.items()}.get("aws:sourceaccount")
            found = {"Action": each.get("Action"), "Principal": _service(each.get("Principal"))}
            return found if account is None else {**found, "SourceAccount": account}
    return None


def _service(principal):
    return principal.get("Service", principal) if isinstance(principal, dict) else principal


_ALARM = ("AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods",
          "Threshold", "ComparisonOperator", "TreatMissingData", "AlarmActions")


def _read_alarm(physical_id, properties):
    alarm = cloudwatch._alarms.get(physical_id)
    if alarm is None:
        return None
    found = {key: alarm[key] for key in _ALARM if alarm.get(key) is not None}
    # It is stored as a fraction, and a template writes what has none without.
    return {key: int(value) if isinstance(value, float) and value == int(value) else value for key, value in found.items()}


def _read_rule(physical_id, properties):
    rule = eventbridge._rules.get(eventbridge._rule_key(physical_id, drift._eb_rule_bus_name(properties)))
    if rule is None:
        return None
    targets = eventbridge._targets.get(eventbridge._rule_key(physical_id, drift._eb_rule_bus_name(properties)), [])
    return {"State": rule.get("State"), "EventPattern": drift._json_or(rule.get("EventPattern")),
            "Targets": [{"Id": each.get("Id"), "Arn": each.get("Arn")} for each in targets]}


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


@guard("cloudformation", "DetectStackDrift")
def _one_at_a_time(request: Request) -> None:
    """Not verified on AWS: the reference lists no error of the operation's own."""
    with request_scope(request.place.account.number, request.place.region):
        stack = handlers._resolve_stack(request.params["StackName"]) or {}
    for each in stack.get("_drift_detections", {}).values():
        if "_ends" in each and not each["_ends"]:
            raise Fault("ValidationError", f"Drift detection is already in progress for stack [{stack['StackId']}]")


def _detection_status(request: Request):
    """MiniStack's detections have ended when they have begun. Here one takes its time from the first look on."""
    told = request.params["StackDriftDetectionId"]
    with request_scope(request.place.account.number, request.place.region):
        found = [each for stack in cloudformation._stacks.values()
                 for key, each in stack.get("_drift_detections", {}).items() if key == told]
    if not found or found[0].setdefault("_ends", After(request.place.delay("drift_detection"))):
        return PASS_ON
    return {"StackId": found[0]["StackId"], "StackDriftDetectionId": told, "DetectionStatus": "DETECTION_IN_PROGRESS",
            "Timestamp": time.time()}


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
        "AWS::Lambda::Permission": (_read_permission, frozenset({"Action", "Principal", "SourceAccount"})),
        "AWS::CloudWatch::Alarm": (_read_alarm, frozenset(_ALARM)),
        "AWS::Events::Rule": (_read_rule, frozenset({"State", "EventPattern", "Targets"})),
    })


operations("cloudformation", CreateChangeSet=_create_change_set, DescribeStackDriftDetectionStatus=_detection_status)
