"""The operating-system user that PostgreSQL runs as: it refuses to run as root."""
import dataclasses
import os
import pwd
import shutil
import subprocess
from pathlib import Path

# Debian's `nobody`, for images whose user table is empty.
NOBODY = 65534


@dataclasses.dataclass(frozen=True)
class User:
    uid: int
    gid: int
    other: bool  # not the user we are ourselves

    def options(self) -> dict:
        """What subprocess needs to become that user, with nothing of our own groups left."""
        minimal = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        return {"env": minimal, **({"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {})}

    def own(self, *places: Path) -> None:
        if self.other:
            for place in places:
                os.chown(place, self.uid, self.gid)

    def reachable(self, home: Path, scratch: Path) -> Path:
        """`home`, or a copy in `scratch` where that user may not come in (a checkout below /root, say)."""
        try:
            subprocess.run([home / "bin" / "postgres", "--version"], cwd="/", check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.options())
            return home
        except (PermissionError, subprocess.CalledProcessError):
            copy = scratch / home.name
            if not copy.exists():
                shutil.copytree(home, copy, symlinks=True)
            return copy


def choose() -> User:
    if os.getuid() != 0:
        return User(os.getuid(), os.getgid(), other=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return User(entry.pw_uid, entry.pw_gid, other=True)
        except KeyError:
            continue
    return User(NOBODY, NOBODY, other=True)
