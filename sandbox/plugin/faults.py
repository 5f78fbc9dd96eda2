"""Failures on demand: an error, a cut answer, none at all, or the caller's sudden end, before or after a request took effect.

For tests that stop something at every step and look whether the next run heals it.
"""
import asyncio
import dataclasses

from ministack.core import lambda_runtime

from .registry import Request
from .world import Fault, Place


class Cut(Exception):
    """The answer is to break off."""


class Stall(Exception):
    """No answer is to come, until the caller has had enough."""


@dataclasses.dataclass
class _Planned:
    service: str
    operation: str
    caller: str | None  # "client", "function:NAME", or anyone
    when: str           # "before" or "after" it took effect
    what: str           # "cut", "stall", "hold", "kill" (the calling function), or an error's code
    skip: int           # so many requests pass first
    times: int          # then so many fail

    def meets(self, request: Request) -> bool:
        if self.service not in ("*", request.service) or self.operation not in ("*", request.operation):
            return False
        if self.caller not in (None, str(request.caller)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0


class Faults:
    def __init__(self, place: Place):
        self.place = place
        self.planned: list[_Planned] = []
        self.released = 0  # so often has everything that was held been let go


def plan(place: Place, given: dict) -> list[str]:
    faults = place.of(Faults)
    if given.get("clear"):
        faults.planned.clear()
        faults.released += 1
    if "request" in given:
        service, _, operation = given["request"].partition(".")
        if not operation:
            raise ValueError(f"{given['request']!r} is no request; say secretsmanager.PutSecretValue, for one")
        if given["what"] == "kill" and not (given.get("caller") or "").startswith("function:"):
            raise ValueError("only a function can be killed: name it with --function")
        faults.planned.append(_Planned(service, operation, given.get("caller"), given.get("when", "before"), given["what"],
                                       given.get("skip", 0), given.get("times", 1)))
    return [f"{each.when} {each.service}.{each.operation} by {each.caller or 'anyone'}: {each.what}, {each.times} times after {each.skip}"
            for each in faults.planned if each.times > 0]


# Those that are not told by 400: the statuses of the API models, and of EC2 as its reference has it.
_STATUS = {"RequestLimitExceeded": 503, "ServiceUnavailable": 503, "SlowDown": 503, "TooManyRequestsException": 429}


def strike(request: Request, when: str) -> None:
    """Raises what is planned for this request at this point, if anything is."""
    for planned in request.place.of(Faults).planned:
        if planned.what != "hold" and planned.when == when and planned.meets(request):
            if planned.what == "kill":
                _kill(request)
            if planned.what in ("cut", "kill"):
                raise Cut
            if planned.what == "stall":
                raise Stall
            status = 500 if "Internal" in planned.what else _STATUS.get(planned.what, 400)
            raise Fault(planned.what, "A failure that was asked for.", status)


async def hold(request: Request, tell) -> None:
    """Keeps a request, where that is planned, until what is planned is cleared; `tell` that it has come."""
    faults = request.place.of(Faults)
    if any(planned.what == "hold" and planned.meets(request) for planned in faults.planned):
        released = faults.released
        tell()
        while faults.released == released:
            await asyncio.sleep(0.01)


def _kill(request: Request) -> None:
    """Ends the very process that called."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    for worker in workers:
        server, process = worker._server, worker._proc
        if server and process and server.server_address[1] == request.caller.port:
            process.kill()
