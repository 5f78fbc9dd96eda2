"""Owns one sandbox: the emulator's process and everything below it.

It ends when told (SIGTERM, Ctrl-C), when the process named by `--parent` dies, or when the emulator
dies; then it ends every process below, PostgreSQL with its own quick shutdown first, and removes
the run folder. Should the supervisor itself be killed, the emulator sees its pipe close and does
the same; should both be, the kernel ends the servers and functions (PR_SET_PDEATHSIG), and the next
start removes the folder.
"""
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .paths import PYTHON, SANDBOX
from .processes import adopt_orphans, children

# Short and in /tmp, since PostgreSQL's sockets are in it and a socket's path has at most 107 bytes.
RUN_PREFIX = "/tmp/pgrotate-sandbox-"
STATE = "state.json"
LOG = "sandbox.log"
GRACE = 5.0


def owner(directory: Path) -> int | None:
    """The supervisor that holds `directory`, ready or not. The lock tells, not a file: that outlives a kill."""
    try:
        with open(directory / ".lock", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return int(lock.read() or 0)
    except (OSError, ValueError):
        return None


def running(directory: Path) -> dict | None:
    """The state of the sandbox in `directory` once it is ready, or None."""
    try:
        state = json.loads((directory / STATE).read_text())
        return state if state["supervisor"] == owner(directory) else None
    except (OSError, ValueError):
        return None


def supervise(directory: Path, options: dict, parents: list[int]) -> int:
    """Runs one sandbox until it is to end: until one of `parents` (pidfds) does, for one thing.

    `options` goes to the plug-in as it is.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = open(directory / ".lock", "a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # somebody else's is starting, which whoever called us then waits for
    (directory / LOG).write_text("")
    lock.truncate(0)
    print(os.getpid(), end="", file=lock, flush=True)
    remove_stale_runs()
    adopt_orphans()
    wakeup = _signals()
    run = Path(tempfile.mkdtemp(prefix=RUN_PREFIX))
    # Kept open for as long as we live: who can lock it knows that the folder is nobody's.
    run_lock = open(run / "lock", "w", encoding="utf-8")
    fcntl.flock(run_lock, fcntl.LOCK_EX)
    # PostgreSQL's user has to come through, not to look round.
    run.chmod(0o711)
    try:
        emulator = _start_emulator(directory, run, options)
        _wait([emulator, wakeup, *parents])
        return 0
    finally:
        _end_everything()
        shutil.rmtree(run, ignore_errors=True)
        (directory / STATE).unlink(missing_ok=True)
        run_lock.close()
        lock.close()


def _start_emulator(directory: Path, run: Path, options: dict) -> int:
    """Returns a pidfd of the emulator's process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    # Nothing is ever written to it; its closing tells the emulator that we are gone.
    leash, _held = os.pipe()
    (run / "tmp").mkdir()
    settings = {
        **options,
        "endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "supervisor": os.getpid(),
        "directory": str(directory),
        "run": str(run),
        "listener": listener.fileno(),
        "leash": leash,
    }
    environment = {
        "PATH": f"{PYTHON.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(run / "tmp"),
        "TMPDIR": str(run / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(SANDBOX),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PGROTATE_SANDBOX": json.dumps(settings),
    }
    with open(directory / LOG, "ab") as log:
        process = subprocess.Popen([PYTHON, "-m", "plugin"], cwd=run, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, pass_fds=[listener.fileno(), leash],
                                   start_new_session=True)
    os.close(leash)
    listener.close()
    return os.pidfd_open(process.pid)


def _signals() -> int:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, lambda *_: None)
    return reader


def _wait(files) -> None:
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    poll.poll()


def _end_everything() -> None:
    """Ends all that is below us; what is orphaned on the way becomes our child, so this loops."""
    until = time.monotonic() + GRACE
    while alive := children():
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, _goodbye(process) if time.monotonic() < until else signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _goodbye(process: int) -> signal.Signals:
    """PostgreSQL is asked, because a killed one leaves its shared memory behind; others are not."""
    try:
        executable = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return signal.SIGKILL
    return signal.SIGQUIT if executable.rsplit(b"/", 1)[-1].startswith(b"postgres") else signal.SIGKILL


def remove_stale_runs() -> None:
    for run in Path(RUN_PREFIX).parent.glob(Path(RUN_PREFIX).name + "*"):
        with contextlib.suppress(OSError), open(run / "lock", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(run, ignore_errors=True)


def main() -> int:
    directory, options, parents = json.loads(sys.argv[1])
    return supervise(Path(directory), options, parents)


if __name__ == "__main__":
    sys.exit(main())
