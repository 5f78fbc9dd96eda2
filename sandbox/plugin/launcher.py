"""Starts the processes that must end with this one.

All are forked by one thread that never ends: PR_SET_PDEATHSIG counts the forking *thread*'s end as
the parent's death, and request threads come and go.
"""
import concurrent.futures
import os
import signal
import subprocess

from tool.processes import die_with_parent

_thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")


def spawn(command, sign: signal.Signals = signal.SIGKILL, **options) -> subprocess.Popen:
    before_exec = die_with_parent(sign, os.getpid())
    return _thread.submit(subprocess.Popen, command, preexec_fn=before_exec, **options).result()
