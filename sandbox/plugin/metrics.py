"""CloudWatch's metrics and alarms: what MiniStack lacks of them, or has too kindly.

Metrics are taken from log lines in the embedded metric format, as CloudWatch Logs takes them:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
An alarm looks at the metric of exactly its dimensions, and at once, as no minutes pass here.
"""
import json
import logging
import time

from ministack.services import cloudwatch, cloudwatch_logs

log = logging.getLogger("sandbox")

# "CloudWatch rejects values older than two weeks or more than two hours ahead": PutMetricData, Timestamp.
OLDEST, NEWEST = 14 * 86400, 2 * 3600
UNITS = {"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
         "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "None"}
UNITS |= {f"{unit}/Second" for unit in UNITS - {"Seconds", "Microseconds", "Milliseconds", "Percent", "None"}}


class Invalid(ValueError):
    """A document that is none, and why."""


def _text(value, what: str, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise Invalid(f"{what} is no text of 1 to {longest} characters")
    return value


def _array(value, what: str, most: int) -> list:
    if not isinstance(value, list) or len(value) > most:
        raise Invalid(f"{what} is no array of {most} at the most")
    return value


def _number(value, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{what} is no number")
    return float(value)


def embedded(message: str, now: float) -> list[tuple[str, str, float, str, dict[str, str], float]]:
    """The metrics in a log line: (namespace, name, value, unit, dimensions, time). None in what is no such document."""
    try:
        document = json.loads(message)
    except ValueError:
        return []
    if not isinstance(document, dict) or "_aws" not in document:
        return []
    metadata = document["_aws"]
    if not isinstance(metadata, dict) or "CloudWatchMetrics" not in metadata:
        raise Invalid("_aws has no CloudWatchMetrics")
    at = _number(metadata.get("Timestamp"), "Timestamp") / 1000
    if not now - OLDEST <= at <= now + NEWEST:
        raise Invalid("Timestamp is too old or too far ahead")
    found = []
    for directive in _array(metadata["CloudWatchMetrics"], "CloudWatchMetrics", 100):
        if not isinstance(directive, dict):
            raise Invalid("a directive is no object")
        namespace = _text(directive.get("Namespace"), "Namespace", 1024)
        sets = [{name: _text(document.get(name), f"the dimension {name}", 1024)
                 for name in _array(names, "a set of dimensions", 30)}
                for names in _array(directive.get("Dimensions"), "Dimensions", 100)]
        if any(not value.isascii() or not value.strip() for dimensions in sets for value in dimensions.values()):
            raise Invalid("a dimension is not ASCII, or is only spaces")
        for definition in _array(directive.get("Metrics"), "Metrics", 100):
            name = _text(definition.get("Name") if isinstance(definition, dict) else None, "a metric's Name", 1024)
            unit = definition.get("Unit", "None")
            if unit not in UNITS:
                raise Invalid(f"{unit!r} is no unit")
            values = document.get(name)
            for value in _array(values, name, 100) if isinstance(values, list) else [values]:
                found += [(namespace, name, _number(value, name), unit, dimensions, at) for dimensions in sets]
    return found


def _append(stream, events):
    """In the place of cloudwatch_logs._append_log_events, through which every log line goes."""
    _original_append(stream, events)
    taken = []
    for event in events:
        try:
            taken += embedded(event["message"], time.time())
        except Invalid:
            cloudwatch.record_metric("AWS/Logs", "EMFValidationErrors", 1, "Count", {})
    for namespace, name, value, unit, dimensions, at in taken:
        cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dimensions))).append(
            {"Timestamp": at, "Value": value, "Unit": unit, "Dimensions": dimensions})
    if taken:
        _evaluate_all()


def _evaluate(alarm):
    """In the place of cloudwatch._evaluate_alarm, which takes the metric of all dimensions together, leaves an alarm
    whose metric is silent as it is, and knows no unit."""
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions)), [])
    now = time.time()
    recent = [point for point in points if point["Timestamp"] >= now - alarm["Period"] * alarm["EvaluationPeriods"]
              and (not alarm.get("Unit") or point["Unit"] == alarm["Unit"])]
    before = alarm["StateValue"]
    if recent:
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
        value = cloudwatch._stat_value(cloudwatch._calc_stats(recent), statistic, recent)
        compare = {"GreaterThanOrEqualToThreshold": value >= alarm["Threshold"], "GreaterThanThreshold": value > alarm["Threshold"],
                   "LessThanThreshold": value < alarm["Threshold"], "LessThanOrEqualToThreshold": value <= alarm["Threshold"]}
        state = "ALARM" if compare[alarm["ComparisonOperator"]] else "OK"
        reason = f"Threshold Crossed: {statistic} {value} {alarm['ComparisonOperator']} {alarm['Threshold']}"
    else:
        state = {"breaching": "ALARM", "notBreaching": "OK", "ignore": before}.get(alarm["TreatMissingData"], "INSUFFICIENT_DATA")
        reason = f"no datapoints were received and TreatMissingData is {alarm['TreatMissingData']}"
    if state != before:
        alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(now))
        cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
        cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
        cloudwatch._evaluate_parent_alarms(alarm)


def _evaluate_all():
    """In the place of cloudwatch._evaluate_all_alarms: others may come and go meanwhile."""
    for alarm in list(cloudwatch._alarms.values()):
        try:
            _evaluate(alarm)
        except Exception:
            log.exception("the alarm %s", alarm.get("AlarmName"))


def _record(namespace, metric_name, value, unit="None", dimensions=None):
    """In the place of cloudwatch.record_metric, by which other services tell theirs."""
    _original_record(namespace, metric_name, value, unit, dimensions)
    if any((alarm.get("Namespace"), alarm.get("MetricName")) == (namespace, metric_name)
           for alarm in list(cloudwatch._alarms.values())):
        _evaluate_all()


_original_append, _original_record = cloudwatch_logs._append_log_events, cloudwatch.record_metric


def install() -> None:
    cloudwatch_logs._append_log_events = _append
    cloudwatch._evaluate_alarm, cloudwatch._evaluate_all_alarms = _evaluate, _evaluate_all
    cloudwatch.record_metric = _record
