"""Failures on demand: an error, a cut answer, or the caller's sudden end, before or after a request took effect.

For tests that stop something at every step and look whether the next run heals it.
"""
import dataclasses

from ministack.core import lambda_runtime

from .registry import Request
from .world import Fault, Place


class Cut(Exception):
    """The answer is to break off."""


@dataclasses.dataclass
class _Planned:
    service: str
    operation: str
    caller: str | None  # "client", "function:NAME", or anyone
    when: str           # "before" or "after" it took effect
    what: str           # "cut", "kill" (the calling function), or an error's code
    skip: int           # so many requests pass first
    times: int          # then so many fail

    def meets(self, request: Request) -> bool:
        if (self.service, self.operation) != (request.service, request.operation) or self.caller not in (None, str(request.caller)):
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


def plan(place: Place, given: dict) -> list[str]:
    faults = place.of(Faults)
    if given.get("clear"):
        faults.planned.clear()
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


def strike(request: Request, when: str) -> None:
    """Raises what is planned for this request at this point, if anything is."""
    for planned in request.place.of(Faults).planned:
        if planned.when == when and planned.meets(request):
            if planned.what == "kill":
                _kill(request)
            if planned.what in ("cut", "kill"):
                raise Cut
            raise Fault(planned.what, "A failure that was asked for.", 500 if "Internal" in planned.what else 400)


def _kill(request: Request) -> None:
    """Ends the very process that called."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    for worker in workers:
        server, process = worker._server, worker._proc
        if server and process and server.server_address[1] == request.caller.port:
            process.kill()
