"""The memory of this process, and how long it has been running."""

import resource
import sys
import time
from pathlib import Path

STARTED = time.monotonic()
STATM = Path("/proc/self/statm")


def uptime() -> float:
    """Return the seconds since this process was started."""
    return time.monotonic() - STARTED


def memory() -> int:
    """Return the resident memory, in bytes; where there is no `/proc`, its peak."""
    try:
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
