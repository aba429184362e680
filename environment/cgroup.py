"""The limits that a control group sets to this process: a container's, a job's on a cluster, a slice's of systemd.

Linux has two versions of control groups, and a machine may have both at once. A process belongs to a group in each
hierarchy, and the limits of the groups above it count too. Inside a container the paths often name groups of the host
that are not to be seen; the container's own group is then at the top.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/proc/self/cgroup")
MOUNTS = Path("/proc/self/mountinfo")

_UNLIMITED = 1 << 60
"""Version 1 writes a number as large as this for memory without a limit."""


def usable_cores() -> float:
    """Return how many cores' time this process may use: its CPU affinity, or less by a limit."""
    # The affinity holds what a `cpuset` allows.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(allowed or 1, cpu_limit() or math.inf)


def cpu_limit() -> float | None:
    """Return how many cores' time the group may use, such as 1.5; None without a limit."""
    limits = [_cores(folder) for folder in _folders("cpu")]
    return min((limit for limit in limits if limit), default=None)


def memory_available() -> int | None:
    """Return how many bytes are left of the tightest limit; None without a limit."""
    left = []
    for folder in _folders("memory"):
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            most, used = _number(folder / limit), _number(folder / usage)
            if most and used is not None and most < _UNLIMITED:
                left.append(max(0, most - used + _cache(folder)))
    return min(left, default=None)


def _cores(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    try:
        cores = int(quota) / int(period)  # "max" or -1 without a limit
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _cache(folder: Path) -> int:
    """Return the bytes of a group that the kernel gives back when memory runs short."""
    values = dict(line.split()[:2] for line in _text(folder / "memory.stat").splitlines())
    return int(values.get("total_inactive_file", values.get("inactive_file", "0")))


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not Linux, another version, or without this controller
        return ""


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of those above it, in every hierarchy with this controller."""
    groups = _groups()
    for root, mount, kind, options in _mounts():
        if kind == "cgroup2":
            group = groups.get("")
        elif kind == "cgroup" and controller in options:
            group = groups.get(controller)
        else:
            continue
        if group is None:
            continue
        try:
            inside = PurePosixPath(group).relative_to(root)
        except ValueError:
            inside = PurePosixPath()
        for part in (inside, *inside.parents):
            yield Path(mount, part)


def _groups() -> dict[str, str]:
    """Return this process's group by controller; that of version 2 by the empty name."""
    found = {}
    for line in _text(GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _mounts() -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield what is mounted: its root in its own file system, the folder, the kind, its options."""
    for line in _text(MOUNTS).splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split()[:3]
        yield fields[3], fields[4], kind, options.split(",")
