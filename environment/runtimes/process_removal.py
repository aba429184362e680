"""The end of child processes: by the session's record of them, and by the label in their environment blocks.

Neither is enough alone. A program that writes its title over its environment block loses the label, and a process that
leaves its process session is not in the record.
"""

import os
import signal
import subprocess
from collections.abc import Mapping

import psutil

from environment.identity import Identity
from environment.runtimes.process_record import ProcessRecord, kill, own_processes

SESSION_LABEL, SUPERVISOR_LABEL = "LAB_SESSION", "LAB_SUPERVISOR"


def end_child(process: subprocess.Popen[bytes] | None, record: ProcessRecord) -> None:
    """Kill a child with everything that it started, and reap it."""
    if process is None:
        return
    members = started_by(process)  # while it lives: afterwards nothing shows whose they are
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    for member in members:
        kill(member)
    psutil.wait_procs(members, timeout=10)
    # What it started lives on when the child ended by itself, and a group can be left.
    record.kill(process.pid)


def started_by(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the living processes that a child has started, also those with a group or a session of their own."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []


def kill_labelled(session: str) -> list[int]:
    """Kill every process with this session's label; return their pids."""
    killed = []
    for process in own_processes():
        if _labels(process).get(SESSION_LABEL) == session:
            killed.append(process.pid)
            kill(process)
    return killed


def sweep_processes() -> list[str]:
    """Kill this user's labelled processes that a dead supervisor left behind; return their sessions."""
    swept = set()
    for process in own_processes():
        labels = _labels(process)
        try:
            owner = Identity.parse(labels.get(SUPERVISOR_LABEL, ""))
        except ValueError:
            continue
        if owner.gone():
            swept.add(labels[SESSION_LABEL])
            kill(process)
    return sorted(swept)


def _labels(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}
