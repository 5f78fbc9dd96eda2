"""The sandbox's own small API below /_sandbox/, which `ctl` speaks."""
import json
import re

from . import delays, faults, settings
from .world import ACCOUNT_ID, WORLD

_MOVE = re.compile(r"(\+)?(\d+)([dhms])( ago)?")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
# Called with each place that is forgotten, to end what it runs; and after a clock was moved.
ON_FORGET = []
ON_CLOCK = []


def handle(method: str, path: str, body: bytes) -> tuple[int, dict, bytes]:
    try:
        given = json.loads(body or b"{}")
        what = path.removeprefix("/_sandbox/")
        if method == "GET" and what == "status":
            return _answer(200, _status())
        if method == "POST" and what in CHANGES:
            return _answer(200, CHANGES[what](given))
        return _answer(404, {"error": f"the sandbox knows no {method} {path}"})
    except ValueError as wrong:
        return _answer(400, {"error": str(wrong)})


def _answer(status: int, content) -> tuple[int, dict, bytes]:
    return status, {"content-type": "application/json"}, json.dumps(content).encode()


def account_number(given: dict) -> str:
    number = given.get("account") or ""
    if not ACCOUNT_ID.fullmatch(number):
        raise ValueError(f"an account number has 12 digits; {number!r} has not")
    return number


def _status() -> dict:
    counts = {}
    for place in WORLD.places():
        told = counts.setdefault(place.account.number, {"clock_ahead_seconds": place.account.ahead})
        for store in place.stores():
            told.update(store.summary() if hasattr(store, "summary") else {})
    return {"accounts": counts}


def _reset(given: dict) -> dict:
    number = account_number(given) if given.get("account") else None
    gone = WORLD.forget(number)
    for place in gone:
        for call in ON_FORGET:
            call(place)
    return {"forgotten": sorted({place.account.number for place in gone})}


def _clock(given: dict) -> dict:
    account = WORLD.account(account_number(given))
    move = given.get("move", "")
    if move == "now":
        account.ahead = 0.0
    elif (match := _MOVE.fullmatch(move)) and bool(match[1]) != bool(match[4]):
        seconds = int(match[2]) * _SECONDS[match[3]]
        # What is made then is that old once the clock is right again.
        account.ahead = account.ahead + seconds if match[1] else -seconds
    else:
        raise ValueError(f"{move!r} is no move of a clock: +10d, +3h, +5m, '10d ago' or now")
    for call in ON_CLOCK:
        call()
    return {"account": account.number, "ahead_seconds": account.ahead}


def _delays(given: dict) -> dict:
    if not given.get("account"):
        WORLD.default_delays = delays.parse(given.get("spec", ""), WORLD.default_delays)
        for account in WORLD.accounts():
            account.delays = delays.parse(given.get("spec", ""), account.delays)
        return WORLD.default_delays
    account = WORLD.account(account_number(given))
    account.delays = delays.parse(given.get("spec", ""), account.delays)
    return account.delays


def _faults(given: dict) -> dict:
    place = WORLD.place(account_number(given), settings.GIVEN["region"])
    return {"planned": faults.plan(place, given)}


# What a POST changes, by its name in the path.
CHANGES = {"reset": _reset, "clock": _clock, "delays": _delays, "faults": _faults}
