"""Linux calls that Python's library lacks, for processes that must not outlive us."""
import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(sign: signal.Signals, parent: int):
    """A `preexec_fn`: the kernel sends `sign` when the thread that forked us ends.

    It must run after the change of user, which clears the setting (subprocess does run it after).
    """
    def before_exec():
        _libc.prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGKILL)
    return before_exec


def adopt_orphans() -> None:
    """Orphans below us become our children instead of init's, so that we can end them all."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.append(int(name))
    return found
