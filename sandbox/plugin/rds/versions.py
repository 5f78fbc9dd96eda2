"""The PostgreSQL versions that RDS offers (as of 2026), for the majors that the sandbox can run.

The server behind an instance is our build of that major, whatever minor the API tells.
"""
from tool.paths import postgres_home

from .. import control, settings
from ..world import WORLD, Fault, Place

# Minors older than these are reported withdrawn: 16.1 to 16.7, for one.
OFFERED = {"16": (8, 9, 10, 11, 12, 13), "17": (4, 5, 6, 7, 8, 9), "18": (1, 2, 3)}
# What AWS picks for a bare major is its default minor, not always the newest.
DEFAULT_MINOR = {"16": 12, "17": 8, "18": 2}
DEFAULT_MAJOR = "16"


class Withdrawn:
    """Versions that an account is offered no more: instances go on running them, and no other gets one."""

    def __init__(self, _: Place):
        self.versions: set[str] = set()


def _withdraw(given: dict) -> dict:
    """AWS withdraws a minor version some months after the next has come."""
    version, place = given.get("version", ""), WORLD.place(control.account_number(given), settings.GIVEN["region"])
    if version not in all_offered():
        raise ValueError(f"{version!r} is no version that the sandbox offers")
    place.of(Withdrawn).versions.add(version)
    return {"withdrawn": sorted(place.of(Withdrawn).versions)}


def resolve(asked: str | None, place: Place) -> str:
    major, _, minor = (asked or DEFAULT_MAJOR).partition(".")
    withdrawn = place.of(Withdrawn).versions
    if major not in OFFERED or minor and (not minor.isdigit() or int(minor) not in OFFERED[major]) or f"{major}.{minor}" in withdrawn:
        raise Fault("InvalidParameterCombination", f"Cannot find version {asked} for postgres")
    if not (postgres_home(major) / "bin/postgres").exists():
        raise Fault("InvalidParameterCombination", f"Cannot find version {asked} for postgres "
                    f"(the sandbox has no PostgreSQL {major} yet: ctl install --postgres {major})")
    if not minor and f"{major}.{DEFAULT_MINOR[major]}" in withdrawn:
        minor = max(each for each in OFFERED[major] if f"{major}.{each}" not in withdrawn)
    return f"{major}.{minor or DEFAULT_MINOR[major]}"


def key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def check_upgrade(now: str, then: str, major_allowed: bool) -> None:
    if key(then) < key(now):
        raise Fault("InvalidParameterCombination", f"Cannot upgrade postgres from {now} to {then}")
    if then.split(".")[0] != now.split(".")[0]:
        if not major_allowed:
            raise Fault("InvalidParameterCombination", "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.")
        raise Fault("InvalidParameterCombination", "The sandbox does not upgrade PostgreSQL to another major version.")


def all_offered() -> list[str]:
    return [f"{major}.{minor}" for major, minors in OFFERED.items() for minor in minors]


control.CHANGES["versions"] = _withdraw
