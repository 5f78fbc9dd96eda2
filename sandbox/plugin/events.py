"""What AWS tells EventBridge, for rules that watch rotations; and what MiniStack's rules lack."""
import datetime
import json
import logging
import threading
import time

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs, eventbridge

from .world import Place, new_uuid

log = logging.getLogger("sandbox")


def rotation(place: Place, secret_arn: str, name: str) -> None:
    """The CloudTrail service events of a rotation: no CloudWatch metric tells of a failed one."""
    now = datetime.datetime.fromtimestamp(place.now(), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = {
        "eventVersion": "1.08", "eventSource": "secretsmanager.amazonaws.com", "eventName": name,
        "eventType": "AwsServiceEvent", "awsRegion": place.region, "recipientAccountId": place.account.number,
        "eventTime": now, "eventID": new_uuid(), "userIdentity": {"accountId": place.account.number,
                                                                  "invokedBy": "secretsmanager.amazonaws.com"},
        "additionalEventData": {"SecretId": secret_arn},
    }
    event = {
        "EventId": new_uuid(), "Source": "aws.secretsmanager", "DetailType": "AWS Service Event via CloudTrail",
        "Detail": json.dumps(detail), "EventBusName": "default", "Time": now, "Resources": [secret_arn],
        "Account": place.account.number, "Region": place.region,
    }
    # By itself, since a rule's target may be a function, and our caller holds the account's lock.
    threading.Thread(target=_dispatch, args=(place, event), daemon=True).start()


def _dispatch(place: Place, event: dict) -> None:
    with request_scope(place.account.number, place.region):
        try:
            eventbridge._dispatch_event(event)
        except Exception:
            log.exception("telling EventBridge")


def _invoke_target(target, event, rule, view=None):
    """Adds log groups as targets, and the metrics that alarms on a rule count."""
    rule_name = {"RuleName": rule.get("Name", "")}
    cloudwatch.record_metric("AWS/Events", "Invocations", 1, "Count", rule_name)
    cloudwatch.record_metric("AWS/Events", "TriggeredRules", 1, "Count", rule_name)
    _, _, group = target.get("Arn", "").partition(":log-group:")
    if not group:
        _original_invoke_target(target, event, rule, view)
        return
    stored = cloudwatch_logs._log_groups.get(group.removesuffix(":*"))
    if stored is None:
        cloudwatch.record_metric("AWS/Events", "FailedInvocations", 1, "Count", rule_name)
        return
    now = int(time.time() * 1000)
    stream = stored["streams"].setdefault(new_uuid(), {
        "events": [], "uploadSequenceToken": "1", "creationTime": now, "firstEventTimestamp": None,
        "lastEventTimestamp": None, "lastIngestionTime": None})
    message = json.dumps((view or eventbridge._pattern_event_view(event)).event_with_detail())
    cloudwatch_logs._append_log_events(stream, [{"timestamp": now, "message": message, "ingestionTime": now}])


_original_invoke_target = eventbridge._invoke_target


def install() -> None:
    eventbridge._invoke_target = _invoke_target
