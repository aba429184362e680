"""The machine of a measurement: processor, cores, memory, system, versions, git revision."""

from __future__ import annotations

import math
import platform
import subprocess
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from environment.cgroup import usable_cores

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = (
    "microservices-lab",
    "fastapi",
    "uvicorn",
    "pydantic",
    "sqlalchemy",
    "httpx",
    "aiohttp",
    "pandas",
    "matplotlib",
    "papermill",
    "jupyterlab",
    "docker",
)


def cores() -> int:
    """Return how many cores this process may use: its CPU affinity, and the quota of its cgroup, if any.

    A part of a core counts as one.
    """
    return math.ceil(usable_cores())


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def busy_seconds() -> float:
    """Return the CPU seconds that all programs of this machine have used since its start."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux also counts the time of guests as user time.
    return float(sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0))


def demanded_seconds(pressure: Path = Path("/proc/pressure/cpu")) -> float:
    """Return `busy_seconds`, and the seconds in which a program waited for a core, as far as the system counts them.

    Linux does: https://docs.kernel.org/accounting/psi.html. A core that is idle at one moment is no help to a program
    that waited at another.
    """
    try:
        waited = int(pressure.read_text().partition("total=")[2].split()[0]) / 1e6
    except (OSError, IndexError, ValueError):
        waited = 0.0
    return busy_seconds() + waited


WORK = """
import sys, time
begin, count = float(sys.argv[1]), 0
time.sleep(max(0, begin - time.time()))
while time.time() < begin + 0.3:
    sum(range(2000))
    count += 1
print(count)
"""
"""A program that counts how often it can do the same piece of work in 0.3 s from a given moment."""

START_SECONDS = 0.4
"""Seconds in which all programs have begun, also on a busy machine."""


def speedup() -> float:
    """Return how much work all usable cores do together, as a multiple of what one does.

    It is about the number of cores where they are alike and free, and less where two logical cores share a
    physical one, where some cores are slower, and while other programs run.
    """
    return round(_work(cores()) / _work(1), 2)


def _work(processes: int) -> int:
    begin = time.time() + START_SECONDS
    command = [sys.executable, "-S", "-c", WORK, str(begin)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    return sum(int(each.communicate(timeout=60)[0]) for each in started)


@cache
def machine() -> dict[str, Any]:
    """Return what this machine is: `cpu`, `cores`, `memory_gib`, `os`, `python`."""
    return {
        "cpu": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "os": platform.platform(),
        "python": platform.python_version(),
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of the main packages that are installed, by name."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


@cache
def revision() -> str | None:
    """Return the git commit of this clone, with `+changes` when the tree differs; None outside git."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    try:
        process = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return process.stdout.strip()
