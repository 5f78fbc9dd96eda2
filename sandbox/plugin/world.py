"""The sandbox's state: accounts, each with its clock, its delays and what its services keep."""
import os
import re
import threading
import time
import uuid

from . import delays

ACCOUNT_ID = re.compile(r"\d{12}")


class Fault(Exception):
    """An error that the API answers. `code` is the model's name of it or the code on the wire."""

    def __init__(self, code: str, message: str, status: int | None = None):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Account:
    """What one account shares over its regions: clock and delays."""

    def __init__(self, number: str, default_delays: dict[str, float]):
        self.number = number
        self.delays = dict(default_delays)
        self.ahead = 0.0
        self.lock = threading.RLock()

    def now(self) -> float:
        return time.time() + self.ahead


class Place:
    """One account in one region. Each service keeps its own store here, made on first use."""

    def __init__(self, account: Account, region: str):
        self.account, self.region = account, region
        self.lock = account.lock
        self._stores: dict[type, object] = {}

    def __repr__(self):
        return f"{self.account.number}/{self.region}"

    def of(self, kind):
        with self.lock:
            if kind not in self._stores:
                self._stores[kind] = kind(self)
            return self._stores[kind]

    def stores(self):
        with self.lock:
            return list(self._stores.values())

    def now(self) -> float:
        return self.account.now()

    def delay(self, name: str) -> float:
        return self.account.delays[name]

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account.number}:{resource}"


class World:
    def __init__(self):
        self.default_delays = delays.preset(delays.DEFAULT)
        self._accounts: dict[str, Account] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._lock = threading.Lock()

    def account(self, number: str) -> Account:
        with self._lock:
            return self._accounts.setdefault(number, Account(number, self.default_delays))

    def place(self, number: str, region: str) -> Place:
        account = self.account(number)
        with self._lock:
            return self._places.setdefault((number, region), Place(account, region))

    def places(self, number: str | None = None) -> list[Place]:
        with self._lock:
            return [place for key, place in self._places.items() if number in (None, key[0])]

    def accounts(self) -> list[Account]:
        with self._lock:
            return list(self._accounts.values())

    def forget(self, number: str | None = None) -> list[Place]:
        """Drops one account or all; the caller closes what their stores hold."""
        with self._lock:
            gone = [key for key in self._places if number in (None, key[0])]
            for each in [each for each in self._accounts if number in (None, each)]:
                del self._accounts[each]
            return [self._places.pop(key) for key in gone]


WORLD = World()


def new_id(prefix: str) -> str:
    """An id of EC2's form: seventeen hexadecimal digits."""
    return f"{prefix}-{os.urandom(9).hex()[:17]}"


def new_uuid() -> str:
    return str(uuid.uuid4())


class After:
    """Tells whether `seconds` have passed, of real time: a moved clock does not finish an instance."""

    def __init__(self, seconds: float):
        self._at = time.monotonic() + seconds

    def __bool__(self):
        return self.left() == 0

    def left(self) -> float:
        return max(0.0, self._at - time.monotonic())


def tag_map(tags) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or []}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
