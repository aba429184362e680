"""Idle cores: whether a machine, or the system under measurement, is why something was slow."""

from __future__ import annotations

import time

import psutil

from labs.load.open_loop import Load
from labs.machine import demanded_seconds


class IdleMeter:
    """Measures the cores that no program used or waited for since it was made."""

    def __init__(self) -> None:
        self._demanded, self._began = demanded_seconds(), time.monotonic()

    def cores(self) -> float:
        """Return their number until now, on average."""
        return idle_cores(demanded_seconds() - self._demanded, time.monotonic() - self._began)


def idle_during(load: Load, since: float, until: float) -> float:
    """Return the cores that no program used or waited for between two seconds of a load, on average."""
    load.until(since)
    before = demanded_seconds()
    load.until(until)
    return idle_cores(demanded_seconds() - before, until - since)


def idle_cores(demanded: float, seconds: float) -> float:
    """Return the idle cores, when all programs demanded `demanded` CPU seconds in `seconds`."""
    return max(0.0, (psutil.cpu_count() or 1) - demanded / seconds)
