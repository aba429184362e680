"""Idle cores: whether a machine, or the system under measurement, is why something was slow."""

from __future__ import annotations

import psutil

from labs.load.open_loop import Load
from labs.machine import demanded_seconds


def idle_during(load: Load, since: float, until: float) -> float:
    """Return the cores that no program used or waited for between two seconds of a load, on average."""
    load.until(since)
    before = demanded_seconds()
    load.until(until)
    return idle_cores(demanded_seconds() - before, until - since)


def idle_cores(busy: float, seconds: float) -> float:
    """Return the cores that no program used, when all programs used `busy` CPU seconds in `seconds`."""
    return max(0.0, (psutil.cpu_count() or 1) - busy / seconds)
