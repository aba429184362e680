"""The end of child processes: by process group, and by the label that every child carries in its environment block."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress

import psutil

from environment.identity import Identity

SESSION_LABEL, SUPERVISOR_LABEL = "LAB_SESSION", "LAB_SUPERVISOR"


def end_group(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a child with everything that it started, and reap it."""
    if process is None:
        return
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    # Its children, if it left any. The leader is reaped and its pid may be reused by now: check the label as well.
    for member in psutil.process_iter():
        if SESSION_LABEL in _labels(member) and _group(member) == process.pid:
            _kill(member)


def kill_labelled(session: str) -> list[int]:
    """Kill every process with this session's label; return their pids."""
    killed = []
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _labels(process).get(SESSION_LABEL) == session:
            killed.append(process.pid)
            _kill(process)
    return killed


def sweep_processes() -> list[str]:
    """Kill this user's processes that a dead supervisor left behind; return their sessions."""
    swept = set()
    for process in psutil.process_iter():
        labels = _labels(process)
        try:
            owner = Identity.parse(labels.get(SUPERVISOR_LABEL, ""))
        except ValueError:
            continue
        if process.pid != os.getpid() and owner.gone():
            swept.add(labels[SESSION_LABEL])
            _kill(process)
    return sorted(swept)


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _labels(process: psutil.Process) -> Mapping[str, str]:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return {}
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()  # psutil checks that the pid was not reused
