"""The PostgreSQL versions that RDS offers (as of 2026), for the majors that the sandbox can run.

The server behind an instance is our build of that major, whatever minor the API tells.
"""
from tool.paths import postgres_home

from ..world import Fault

# Minors older than these are reported withdrawn: 16.1 to 16.7, for one.
OFFERED = {"16": (8, 9, 10, 11, 12, 13), "17": (4, 5, 6, 7, 8, 9), "18": (1, 2, 3)}
# What AWS picks for a bare major is its default minor, not always the newest.
DEFAULT_MINOR = {"16": 12, "17": 8, "18": 2}
DEFAULT_MAJOR = "16"


def resolve(asked: str | None) -> str:
    major, _, minor = (asked or DEFAULT_MAJOR).partition(".")
    if major not in OFFERED or minor and (not minor.isdigit() or int(minor) not in OFFERED[major]):
        raise Fault("InvalidParameterCombination", f"Cannot find version {asked} for postgres")
    if not (postgres_home(major) / "bin/postgres").exists():
        raise Fault("InvalidParameterCombination", f"Cannot find version {asked} for postgres "
                    f"(the sandbox has no PostgreSQL {major} yet: ctl install --postgres {major})")
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
