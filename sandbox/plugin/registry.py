"""Which operations are ours, and what is checked or awaited around those that MiniStack answers."""
import dataclasses
from typing import Callable

from .world import Place


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who signed a request: the account itself or a session in it (allowed everything, as its root is), or a function."""

    function: str | None = None
    role: str = ""  # a function's; of a session its ARN
    port: int = 0  # of its runtime API: tells apart the processes of one function

    def __str__(self):
        return f"function:{self.function}" if self.function else "client"


@dataclasses.dataclass
class Request:
    place: Place
    caller: Caller
    service: str
    operation: str
    params: dict
    # Raw, for guards of operations whose protocol we do not parse.
    method: str = ""
    path: str = ""
    query: dict = dataclasses.field(default_factory=dict)
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""


# Returned by a handler that leaves this request to MiniStack after all.
PASS_ON = object()
OPERATIONS: dict[tuple[str, str], Callable[[Request], dict]] = {}
GUARDS: dict[tuple[str, str], list[Callable[[Request], None]]] = {}


def operations(service: str, **handlers: Callable[[Request], dict]) -> None:
    """These answer instead of MiniStack. Each takes a Request and returns what the API model calls the output."""
    for name, handler in handlers.items():
        OPERATIONS[service, name] = handler


def guard(service: str, *names: str):
    """The decorated function runs before MiniStack answers, and may raise Fault. `*` is every operation."""
    def register(check):
        for name in names:
            GUARDS.setdefault((service, name), []).append(check)
        return check
    return register
