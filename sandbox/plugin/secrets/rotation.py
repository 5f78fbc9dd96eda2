"""RotateSecret, its schedule, and the four steps that it really drives through the function.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""
import logging
import threading
import time

from .. import control, events, functions, settings
from ..registry import Request, operations
from ..world import WORLD, After, Fault, Place, new_uuid
from .schedule import Schedule
from .store import CURRENT, PENDING, Secret, Secrets, Version

log = logging.getLogger("sandbox.rotation")
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
# AWS "retries the rotation several times", not saying how many; then it is abandoned until the next window.
ATTEMPTS = 3
# Called for a secret that another service manages and rotates: (place, secret) → nothing.
MANAGED = {}


def _rotate(request: Request) -> dict:
    place, params = request.place, request.params
    store = place.of(Secrets)
    secret = store.get(params["SecretId"])
    if secret.owner:
        return _rotate_managed(place, secret, params)
    token = params.get("ClientRequestToken") or new_uuid()
    if secret.running == token:  # the same request again, its answer having been lost
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": token}
    function = params.get("RotationLambdaARN") or secret.function
    rules = params.get("RotationRules") or secret.rules
    if not function:
        raise Fault("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    if not rules:
        raise Fault("InvalidParameterException", "You must specify RotationRules to turn on rotation.")
    schedule = Schedule(rules)
    schedule.opens(place.now())
    functions.check_secrets_manager_may_invoke(place, function, secret.arn)
    _check_startable(secret, token)
    if rules != secret.rules or not secret.rotation_enabled:
        secret.scheduled_from = place.now()
    secret.function, secret.rules, secret.rotation_enabled = function, rules, True
    _make_pending(place, secret, token)
    if params.get("RotateImmediately", True):
        _start(place, secret, token, 1)
    else:
        # "tests the rotation configuration by running the testSecret step": with an AWSPENDING version
        # made for it and removed after it.
        secret.running = token
        threading.Thread(target=_test_only, args=(place, secret, token), daemon=True).start()
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": token}


def _check_startable(secret: Secret, token: str) -> None:
    pending = secret.at(PENDING)
    if pending and pending != secret.at(CURRENT):
        raise Fault("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
    if token in secret.versions:
        raise Fault("ResourceExistsException", f"You can't use ClientRequestToken {token} because that value is already "
                    f"in use for a version of secret {secret.arn}.")


def _make_pending(place: Place, secret: Secret, token: str) -> None:
    secret.versions[token] = Version(place.now())
    secret.label(PENDING, token)
    secret.changed = place.now()
    place.of(Secrets).touched(secret.name)


def _only_begin(given: dict) -> dict:
    """What RotateSecret does before it invokes the function, for a test that takes the steps itself."""
    place = WORLD.place(control.account_number(given), settings.GIVEN["region"])
    with place.lock:
        try:
            secret = place.of(Secrets).get(given["secret"])
            _check_startable(secret, given["token"])
        except Fault as refused:
            raise ValueError(str(refused)) from refused
        _make_pending(place, secret, given["token"])
    return {"ARN": secret.arn}


def _rotate_managed(place: Place, secret: Secret, params: dict) -> dict:
    if "RotationLambdaARN" in params:
        raise Fault("InvalidRequestException", f"You can't use a rotation function with a secret that is managed by {secret.owner}.")
    if rules := params.get("RotationRules"):
        Schedule(rules)
        secret.rules, secret.scheduled_from = rules, place.now()
    if params.get("RotateImmediately", True):
        run_managed(place, secret)
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": secret.at(CURRENT)}


def run_managed(place: Place, secret: Secret) -> None:
    MANAGED[secret.owner](place, secret)
    secret.rotated = secret.scheduled_from = place.now()
    place.of(Secrets).touched(secret.name)


def _cancel(request: Request) -> dict:
    store = request.place.of(Secrets)
    secret = store.get(request.params["SecretId"])
    if secret.owner:
        raise Fault("InvalidRequestException", f"You can't cancel the rotation of a secret that is managed by {secret.owner}.")
    # What runs stops before its next step, and leaves AWSPENDING where it is. The rules stay to be seen.
    secret.running = secret.retry = None
    if secret.rotation_enabled is not None:
        secret.rotation_enabled = False
    store.touched(secret.name)
    return {"ARN": secret.arn, "Name": secret.name}


# --- driving the function -----------------------------------------------------------------------

def _start(place: Place, secret: Secret, token: str, attempt: int) -> None:
    secret.running, secret.retry = token, None
    events.rotation(place, secret.arn, "RotationStarted")
    threading.Thread(target=_steps, args=(place, secret, token, attempt), daemon=True).start()


def _steps(place: Place, secret: Secret, token: str, attempt: int) -> None:
    for step in STEPS:
        time.sleep(place.delay("rotation_step") if step != STEPS[0] else 0)
        with place.lock:
            if secret.running != token or secret.deletion_date or secret.purged:
                return  # cancelled, deleted, or another rotation took over
            version = secret.versions.get(token)
            if version is None or not version.labels & {PENDING, CURRENT}:
                secret.running = None
                return
        if not _invoke(place, secret, token, step):
            _failed(place, secret, token, attempt)
            return
    with place.lock:
        if secret.running != token:
            return
        if secret.at(CURRENT) != token:
            log.warning("%s: the function finished %s without moving AWSCURRENT to it", secret.name, token)
            return _failed(place, secret, token, attempt)
        secret.running = None
        secret.rotated = secret.scheduled_from = place.now()
        place.of(Secrets).touched(secret.name)
        events.rotation(place, secret.arn, "RotationSucceeded")


def _invoke(place: Place, secret: Secret, token: str, step: str) -> bool:
    event = {"Step": step, "SecretId": secret.arn, "ClientRequestToken": token, "RotationToken": new_uuid()}
    done, said = functions.invoke(place, secret.function, event, secret=secret)
    log.info("%s %s %s: %s", place, secret.name, step, "ok" if done else f"failed: {said}")
    return done


def _failed(place: Place, secret: Secret, token: str, attempt: int) -> None:
    with place.lock:
        if secret.running != token:
            return
        secret.running = None
        if attempt < ATTEMPTS:
            secret.retry = (After(place.delay("rotation_retry")), token, attempt + 1)
        events.rotation(place, secret.arn, "RotationFailed" if attempt < ATTEMPTS else "RotationAbandoned")
        place.of(Secrets).touched(secret.name)


def _test_only(place: Place, secret: Secret, token: str) -> None:
    done = _invoke(place, secret, token, "testSecret")
    with place.lock:
        events.rotation(place, secret.arn, "TestRotationSucceeded" if done else "TestRotationFailed")
        # Whatever the function did to that version, it goes only if it is still the test's own.
        version = secret.versions.get(token)
        if version and version.labels <= {PENDING}:
            del secret.versions[token]
        if secret.running == token:
            secret.running = None
        place.of(Secrets).touched(secret.name)


# --- the schedule -------------------------------------------------------------------------------

_wake = threading.Event()
# Short enough for tests, long enough to cost nothing; a moved clock wakes it at once.
TICK = 0.1


def _look(place: Place) -> None:
    with place.lock:
        for secret in place.of(Secrets).all():
            if secret.deletion_date or secret.running or secret.purged:
                continue
            if secret.retry and secret.retry[0]:
                _, token, attempt = secret.retry
                _start(place, secret, token, attempt)
                continue
            due = secret.due()
            if secret.retry or due is None or due > place.now():
                continue
            if secret.owner:
                run_managed(place, secret)
                continue
            pending = secret.at(PENDING)
            if pending is None or pending == secret.at(CURRENT):
                pending = new_uuid()
                secret.versions[pending] = Version(place.now())
                secret.label(PENDING, pending)
            # Counted from this window on, lest one that fails is due again at once.
            secret.scheduled_from = place.now()
            _start(place, secret, pending, 1)


def _watch() -> None:
    while True:
        _wake.wait(TICK)
        _wake.clear()
        for place in WORLD.places():
            try:
                _look(place)
            except Exception:
                log.exception("the schedule of %s", place)


def start() -> None:
    control.ON_CLOCK.append(_wake.set)
    threading.Thread(target=_watch, name="rotation-schedule", daemon=True).start()


operations("secretsmanager", RotateSecret=_rotate, CancelRotateSecret=_cancel)
control.CHANGES["rotations"] = _only_begin
