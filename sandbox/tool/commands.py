"""`ctl`'s commands. README.md beside it tells what each does."""
import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import supervisor
from .install import InstallError, install, known_majors
from .paths import DEFAULT_DIR, PYTHON, SANDBOX, VENV, postgres_home

# The article's region, and an account that looks like nobody's.
REGION = "eu-north-1"
ACCOUNT = "111122223333"
# Far above what a start takes (about two seconds), for a machine that is busy compiling.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


class Failure(Exception):
    """Told in one line; the exit code is 1."""


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return arguments.run(arguments) or 0
    except (Failure, InstallError) as failure:
        print(f"sandbox: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ctl", description="AWS and PostgreSQL on one machine, no account needed.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, text, account=False):
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        if name not in ("install", "postgres"):
            added.add_argument("--dir", type=Path, default=DEFAULT_DIR, help="the sandbox's folder (default: target/sandbox)")
        if account:
            added.add_argument("--account", default=ACCOUNT if account is True else None, help="12 digits")
        return added

    added = command("install", _install, "bring the pinned tools into target/sandbox-tools")
    added.add_argument("--postgres", default="16", help=f"majors, with commas: {','.join(known_majors())} (default: 16)")
    added = command("postgres", _postgres, "bring one major's PostgreSQL alone, and print its bin folder")
    added.add_argument("major", help=f"one of {', '.join(known_majors())}")
    added = command("up", _up, "start a sandbox and wait until it is ready")
    added.add_argument("--parent", type=int, help="end with this process, however it ends")
    added.add_argument("--delays", default="fast", help="none, fast, demo, aws, or instance_create=3,…")
    added.add_argument("--foreground", action="store_true", help="stay; Ctrl-C ends it")
    command("down", _down, "end a sandbox")
    command("status", _status, "tell of a sandbox; exit code 1 if none runs")
    command("reset", _reset, "forget all accounts, or one, and stop their databases", account="optional")
    command("env", _env, "print export lines", account=True)
    added = command("exec", _exec, "run a command with that environment", account=True)
    added.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    added = command("clock", _clock, "move an account's clock for Secrets Manager", account=True)
    added.add_argument("move", help="+10d, +3h, +5m, '10d ago', now")
    added = command("withdraw", _withdraw, "offer an account a version of PostgreSQL no more", account=True)
    added.add_argument("version", help="16.12, for one")
    added = command("server", _server, "end the PostgreSQL behind an instance that stays available, or start it again", account=True)
    added.add_argument("instance")
    added.add_argument("state", choices=["crashed", "running"])
    added = command("delays", _delays, "set how long states take, for all accounts or one", account="optional")
    added.add_argument("spec", nargs="?", default="", help="none, fast, demo, aws, or instance_create=3,…; without: show")
    added = command("fault", _fault, "make API requests fail; without a request: show what is planned", account=True)
    added.add_argument("request", nargs="?", help="secretsmanager.PutSecretValue, for one; *.* is any")
    added.add_argument("what", nargs="?", default="cut",
                       help="cut (the answer breaks off), stall (none comes), hold (until --clear), kill (the calling function), or an error's code")
    added.add_argument("--after", action="store_true", help="once it took effect; default: before")
    added.add_argument("--function", help="only this function's requests; default: anyone's")
    added.add_argument("--client", action="store_true", help="only requests that are no function's")
    added.add_argument("--skip", type=int, default=0, help="let so many pass first")
    added.add_argument("--times", type=int, default=1, help="so many fail (default: 1)")
    added.add_argument("--clear", action="store_true", help="forget what is planned")
    added = command("log", _log, "the API requests so far", account="optional")
    added.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _state(directory: Path) -> dict:
    state = supervisor.running(directory.absolute())
    if state is None:
        raise Failure(f"none runs in {directory}; start one with: sandbox/ctl up --dir {directory}")
    return state


def _ask(directory: Path, what: str, given: dict | None = None) -> dict:
    request = urllib.request.Request(f"{_state(directory)['endpoint']}/_sandbox/{what}",
                                     None if given is None else json.dumps(given).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Failure(json.load(error)["error"]) from error
    except OSError as error:
        raise Failure(f"it does not answer: {error}") from error


# --- starting and stopping ----------------------------------------------------------------------

def _install(arguments) -> None:
    install(arguments.postgres.split(","))


def _postgres(arguments) -> None:
    # What is printed is the folder alone: a script reads it.
    install([arguments.major], say=lambda line: print(line, file=sys.stderr))
    print(postgres_home(arguments.major) / "bin")


def _up(arguments) -> int:
    install()
    directory = arguments.dir.absolute()
    if state := supervisor.running(directory):
        _tell(directory, state)
        return 0
    try:
        # Opened here, so that the process meant is the one that ran when we were asked.
        parents = [os.pidfd_open(arguments.parent)] if arguments.parent else []
    except ProcessLookupError as error:
        raise Failure(f"there is no process {arguments.parent}") from error
    options = {"delays": arguments.delays, "region": REGION}
    if arguments.foreground:
        parents.append(os.pidfd_open(os.getpid()))
        child = os.fork()
        if child == 0:
            return supervisor.supervise(directory, options, parents)
        return _wait_in_foreground(directory, child)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / supervisor.LOG, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tool.supervisor", json.dumps([str(directory), options, parents])], cwd=SANDBOX,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, pass_fds=parents)
    _await_ready(directory, lambda: process.poll() is not None)
    return 0


def _await_ready(directory: Path, ended) -> None:
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until:
        if state := supervisor.running(directory):
            _ask(directory, "status")
            _tell(directory, state)
            return
        if ended() and supervisor.owner(directory) is None:
            break
        time.sleep(0.02)
    tail = (directory / supervisor.LOG).read_text(errors="replace").strip().splitlines()[-15:]
    raise Failure("\n".join(["it did not start:", *tail]))


def _wait_in_foreground(directory: Path, child: int) -> int:
    """The supervisor is a child, since it adopts orphans, and gets Ctrl-C itself."""
    # Looked at without being waited for, so that its exit code stays to be had.
    def ended():
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    try:
        _await_ready(directory, ended)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except KeyboardInterrupt:
        os.waitpid(child, 0)
        return 0


def _tell(directory: Path, state: dict) -> None:
    ctl = os.path.join(".", os.path.relpath(SANDBOX / "ctl"))
    where = "" if directory == DEFAULT_DIR else f" --dir {shlex.quote(str(directory))}"
    print(f"sandbox: ready at {state['endpoint']}\n"
          f"  use it:   eval \"$({ctl} env{where} --account {ACCOUNT})\"   (any 12 digits; each account is empty at first)\n"
          f"  look:     {ctl} log{where}      end it: {ctl} down{where}", flush=True)


def _down(arguments) -> None:
    directory = arguments.dir.absolute()
    state = supervisor.running(directory)
    if state is None:
        print(f"sandbox: none runs in {arguments.dir}")
        return
    os.kill(state["supervisor"], signal.SIGTERM)
    until = time.monotonic() + STOP_TIMEOUT
    while supervisor.running(directory):
        if time.monotonic() > until:
            raise Failure(f"process {state['supervisor']} does not end")
        time.sleep(0.02)
    print("sandbox: ended")


# --- asking -------------------------------------------------------------------------------------

def _status(arguments) -> None:
    print(json.dumps({**_state(arguments.dir), **_ask(arguments.dir, "status")}, indent=1))


def _reset(arguments) -> None:
    gone = _ask(arguments.dir, "reset", {"account": arguments.account})["forgotten"]
    print(f"sandbox: forgot {', '.join(gone) or 'nothing: there was no account'}")


def _clock(arguments) -> None:
    told = _ask(arguments.dir, "clock", {"account": arguments.account, "move": arguments.move})
    print(f"sandbox: the clock of {told['account']} is {told['ahead_seconds'] / 86400:g} days ahead")


def _withdraw(arguments) -> None:
    told = _ask(arguments.dir, "versions", {"account": arguments.account, "version": arguments.version})
    print(f"sandbox: withdrawn are {', '.join(told['withdrawn'])}")


def _server(arguments) -> None:
    told = _ask(arguments.dir, "servers",
                {"account": arguments.account, "instance": arguments.instance, "state": arguments.state})
    print(f"sandbox: the server of {told['instance']} is {told['state']}")


def _delays(arguments) -> None:
    for name, seconds in _ask(arguments.dir, "delays", {"account": arguments.account, "spec": arguments.spec}).items():
        print(f"{name} = {seconds:g}")


def _fault(arguments) -> None:
    given = {"account": arguments.account, "clear": arguments.clear}
    if arguments.request:
        given |= {"request": arguments.request, "what": arguments.what, "when": "after" if arguments.after else "before",
                  "caller": "client" if arguments.client else arguments.function and f"function:{arguments.function}", "skip": arguments.skip, "times": arguments.times}
    for line in _ask(arguments.dir, "faults", given)["planned"]:
        print(line)


def environment(directory: Path, account: str) -> dict[str, str]:
    if not (len(account) == 12 and account.isdigit()):
        raise Failure(f"an account number has 12 digits; {account!r} has not")
    state = _state(directory)
    return {
        "AWS_ENDPOINT_URL": state["endpoint"],
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": state["region"],
        "AWS_DEFAULT_REGION": state["region"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "PGROTATE_CA_BUNDLE": state["ca"],
        "PGROTATE_SANDBOX_PYTHON": str(PYTHON),
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}",
    }


# Of the caller's own AWS settings: any of them could lead a command past the sandbox, to a real account.
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


def _env(arguments) -> None:
    for name, value in environment(arguments.dir, arguments.account).items():
        quoted = f'{shlex.quote(str(VENV / "bin"))}:"$PATH"' if name == "PATH" else shlex.quote(value)
        print(f"export {name}={quoted}")
    print(f"unset {' '.join(UNSET)}")


def _exec(arguments) -> None:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise Failure("no command; say: ctl exec -- COMMAND")
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    full = {**kept, **environment(arguments.dir, arguments.account)}
    try:
        os.execvpe(command[0], command, full)
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from error


def _log(arguments) -> None:
    try:
        lines = (arguments.dir / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Failure(f"no request log in {arguments.dir}") from error
    for line in lines:
        entry = json.loads(line)
        if arguments.account in (None, entry["account"]):
            print(line if arguments.json else
                  f"{entry['time'][11:23]} {entry['account']} {entry['caller']:<10} {entry['service']}.{entry['operation']} "
                  f"{entry['status']} {entry['error'] or ''}".rstrip())
