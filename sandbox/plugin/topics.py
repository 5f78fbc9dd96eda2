"""SNS topics as what rules and alarms publish to: only where the topic's policy lets the service.

MiniStack delivers whatever the policy says. A new topic's own policy lets in whoever acts for its owner, which
CloudWatch does and EventBridge does not:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""
import logging

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, eventbridge, sns

log = logging.getLogger("sandbox")


def may_publish(topic: str, service: str, **conditions: str) -> bool:
    """Whether the topic is there and its policy lets `service`, by these condition keys in lower case."""
    found = sns._topic_by_arn_any_scope(topic)
    if found is None:
        return False
    context = EvalContext("*", "Service", "", "sns:Publish", topic, get_region(), service_context=conditions)
    policy = found["attributes"].get("Policy") or ""
    allowed = evaluate_resource_policy(policy, context, service=service).decision == "Allow"
    if not allowed:
        log.info("%s: the topic's policy does not let %s publish", topic, service)
    return allowed


def _to_topic(arn, payload):
    """In the place of eventbridge._dispatch_to_sns. Whether AWS's EventBridge gives the keys that a condition could
    ask for is not documented for topics; here it gives none."""
    if may_publish(arn, "events.amazonaws.com"):
        _original_to_topic(arn, payload)
    else:
        cloudwatch.record_metric("AWS/Events", "FailedInvocations", 1, "Count", {})


def _actions(alarm, old_state, new_state, reason):
    """In the place of cloudwatch._dispatch_alarm_actions."""
    account = get_account_id()
    source = f"arn:aws:cloudwatch:{get_region()}:{account}:alarm:{alarm['AlarmName']}"
    keys = {"aws:sourceaccount": account, "aws:sourceowner": account, "aws:sourcearn": source}

    def allowed(action) -> bool:
        return not cloudwatch._is_sns_action_arn(action) or may_publish(action, "cloudwatch.amazonaws.com", **keys)
    lists = {name: [action for action in alarm.get(name) or [] if allowed(action)]
             for name in ("AlarmActions", "OKActions", "InsufficientDataActions")}
    _original_actions({**alarm, **lists}, old_state, new_state, reason)


_original_to_topic, _original_actions = eventbridge._dispatch_to_sns, cloudwatch._dispatch_alarm_actions


def install() -> None:
    eventbridge._dispatch_to_sns = _to_topic
    cloudwatch._dispatch_alarm_actions = _actions
