"""Stands before MiniStack: tells accounts and callers apart, answers what is ours, and keeps the log."""
import logging
import re
import traceback
from urllib.parse import parse_qsl, unquote

from . import control, faults, model, permissions, sessions, wire
from .network import unreachable
from .registry import GUARDS, OPERATIONS, PASS_ON, Caller, Request
from .world import ACCOUNT_ID, WORLD, Fault, new_uuid

log = logging.getLogger("sandbox")
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
# Those whose requests are parsed whole, and so can be checked against the model: all that we use but S3's.
_CHECKED_PROTOCOLS = ("json", "query", "ec2", "rest-json")


class Gateway:
    def __init__(self, ministack, request_log, functions):
        self._ministack = ministack
        self._log = request_log
        self._functions = functions  # access key → (account, region, Caller)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._ministack(scope, receive, send)
        elif scope["path"].startswith("/_sandbox/"):
            await _send(send, *control.handle(scope["method"], scope["path"], await _body(receive)))
        else:
            await self._api(scope, receive, send)

    async def _api(self, scope, receive, send):
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        signed = _CREDENTIAL.search(headers.get("authorization", ""))
        if not signed:
            await self._ministack(scope, receive, send)
            return
        key, region, service = signed.groups()
        service_model = model.service(service)
        body = await _body(receive)
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        path = unquote(scope["path"])
        operation = wire.operation_name(service_model, scope["method"], path, query, headers, body)
        if key in self._functions:
            account, region, caller = self._functions[key]
        elif key in sessions.SESSIONS:
            account, caller = sessions.SESSIONS[key]
        else:
            account, caller = key, Caller()

        def finish(status, error):
            self._log.write(account, service, operation, caller, status, error)

        if not ACCOUNT_ID.fullmatch(account):
            fault = Fault("UnrecognizedClientException", "The sandbox takes an account number of 12 digits as the "
                          "access key, which this is not.", 403)
            await self._refuse(send, service_model, fault, finish, scope["method"])
            return
        place = WORLD.place(account, region)
        request = Request(place, caller, service, operation, {}, scope["method"], path, query, headers, body)
        if caller.function and unreachable(place, caller.function, service):
            # No way out of the VPC: AWS drops the packets, so the function waits until its time is up.
            finish(0, "no network path")
            await _until_closed(receive)
            return
        try:
            if service_model and service_model.metadata["protocol"] in _CHECKED_PROTOCOLS:
                request.params = self._parsed(service_model, request)
            permissions.check(request)
            await faults.hold(request, lambda: self._log.write(account, service, operation, caller, 0, "held"))
            faults.strike(request, "before")
            handler = OPERATIONS.get((service, operation))
            result = PASS_ON
            if handler:
                with place.lock:
                    result = handler(request)
            if result is not PASS_ON:
                faults.strike(request, "after")
                headers, answered = wire.answer(service_model.operation_model(operation), result or {},
                                                request_id := new_uuid())
                finish(200, None)
                await _send(send, 200, {**headers, "x-amzn-requestid": request_id}, answered)
                return
            for check in (*GUARDS.get((service, "*"), ()), *GUARDS.get((service, operation), ())):
                check(request)
        except Fault as fault:
            await self._refuse(send, service_model, fault, finish, scope["method"])
            return
        except faults.Cut:
            finish(0, "cut")
            await _cut(send, scope["method"])
            return
        except faults.Stall:
            finish(0, "stalled")
            await _until_closed(receive)
            return
        except Exception:
            log.error("%s.%s for %s\n%s", service, operation, account, traceback.format_exc())
            await self._refuse(send, service_model, Fault("InternalFailure", "see sandbox.log", 500), finish, scope["method"])
            return
        await self._pass_on(scope, request, receive, send, finish)

    def _parsed(self, service_model, request: Request) -> dict:
        operation = model.operation(service_model, request.operation)
        if operation is None:
            return {}
        try:
            params = wire.parse(operation, request.body, request.path, request.query)
        except (ValueError, AttributeError, TypeError) as broken:
            raise Fault("SerializationException", str(broken)) from broken
        if found := model.problems(operation.input_shape, params):
            plural = "s" if len(found) > 1 else ""
            raise Fault(_validation_code(service_model, found),
                        f"{len(found)} validation error{plural} detected: " + "; ".join(found))
        return params

    async def _refuse(self, send, service_model, fault: Fault, finish, method: str):
        request_id = new_uuid()
        status, headers, body, code = wire.error(service_model or model.service("sts"), fault.code, fault.message,
                                                 fault.status, request_id)
        finish(status, code)
        # An answer to HEAD has no body, so S3's tells by its status alone.
        await _send(send, status, {**headers, "x-amzn-requestid": request_id}, b"" if method == "HEAD" else body)

    async def _pass_on(self, scope, request: Request, receive, send, finish):
        """Lets MiniStack answer, and reads the status and, of an error, the code."""
        given = False
        status, headers, refusal, cut, stalled = 0, {}, b"", False, False

        async def replay():
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def watch(message):
            nonlocal status, headers, refusal, cut, stalled
            if message["type"] == "http.response.start":
                try:
                    faults.strike(request, "after")
                except (faults.Cut, Fault):
                    cut = True
                except faults.Stall:
                    stalled = True
                status = message["status"]
                headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            elif message["type"] == "http.response.body" and status >= 400:
                refusal += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                error = (wire.error_code(headers, refusal) or str(status)) if status >= 400 else None
                finish(0 if stalled else status, "stalled" if stalled else error)
            if not (cut or stalled):
                await send(message)

        await self._ministack(scope, replay, watch)
        if cut:
            await _cut(send, scope["method"])
        if stalled:
            await _until_closed(receive)


def _validation_code(service_model, found) -> str:
    """Services differ in how they call it. CloudWatch Logs' and a runtime's code are as recorded of AWS in LocalStack's
    snapshots (test_filter_log_events_limit_validation, test_create_lambda_exceptions)."""
    if service_model.service_name == "logs":
        return "InvalidParameterException"
    if service_model.service_name == "lambda" and all("at 'runtime'" in each for each in found):
        return "InvalidParameterValueException"
    if service_model.metadata["protocol"] in ("json", "rest-json"):
        return "ValidationException"
    if any(each.startswith("Missing required") for each in found):
        return "MissingParameter"
    return "ValidationError" if service_model.service_name in ("cloudformation", "iam", "sts") else "InvalidParameterValue"


async def _body(receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _until_closed(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(send, method: str) -> None:
    """An answer that breaks off: shorter than it says, so that the server closes the connection."""
    if method == "HEAD":
        # What has no body cannot be shorter than it says: it would be an answer, and a wrong one.
        await _send(send, 500, {}, b"")
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _send(send, status: int, headers: dict, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status,
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in
                            {**headers, "content-length": str(len(body))}.items()]})
    await send({"type": "http.response.body", "body": body})

