"""The identity of a process, as text that outlives it: it decides later whether a pid is still that process.

A pid alone is reused. With the time it was started, the boot it belongs to and the pid namespace it counts in, a label
on a container or in an environment block identifies its owner for ever.
"""

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return str(int(psutil.boot_time()))


@cache
def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "0"


def _started(pid: int) -> str:
    if sys.platform != "linux":
        return f"{psutil.Process(pid).create_time():.2f}"
    # Clock ticks since boot: unlike psutil's create_time it does not move when the clock is set.
    # The name in parentheses may hold spaces; the 20th field after it is the start time (proc_pid_stat(5)).
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError) as error:
        raise psutil.NoSuchProcess(pid) from error


@dataclass(frozen=True)
class Identity:
    """One process of one boot of one machine (or one container that has its own pids)."""

    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """Return the identity of a running process. Raises `psutil.NoSuchProcess`."""
        return cls(_boot(), _namespace(), pid, _started(pid))

    @classmethod
    def own(cls) -> "Identity":
        """Return the identity of this process."""
        return cls.of(os.getpid())

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Read what `str` wrote. Raises `ValueError`."""
        boot, namespace, pid, started = text.split("/")
        return cls(boot, namespace, int(pid), started)

    def __str__(self) -> str:
        return f"{self.boot}/{self.namespace}/{self.pid}/{self.started}"

    @property
    def here(self) -> bool:
        """Whether its number means the same process here: on the same boot, and in the same pid namespace."""
        return (self.boot, self.namespace) == (_boot(), _namespace())

    def began_after(self, other: "Identity") -> bool:
        """Return whether this process started at the same moment as `other`, or later."""
        return float(self.started) >= float(other.started)

    def gone(self) -> bool:
        """Return whether that process has surely ended.

        False also where it cannot be known here: on the same boot, but in another pid namespace.
        """
        if self.boot != _boot():
            return True
        if self.namespace != _namespace():
            return False
        try:
            return (
                _started(self.pid) != self.started
                or psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return True
