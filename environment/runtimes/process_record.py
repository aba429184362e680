"""The record of a session's child processes, in its folder, by which they are found when nothing else names them.

A child carries the session's label in its environment block, but nginx and Valkey write their titles over theirs. Each
child leads a process session of its own (setsid(2)), so its identity finds what it started as well.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from environment.identity import Identity
from environment.postgres.user import is_root, unprivileged
from environment.waiting import wait_until

RECORD = "children"
"""The file in a session's folder: one identity per line."""

END_SECONDS = 10.0


class ProcessRecord:
    """The leaders that one session has started, in memory and on disk: the folder may be removed under a supervisor."""

    def __init__(self, folder: Path) -> None:
        """Read what is recorded in a session's folder."""
        self._file = folder / RECORD
        self._folder = folder.resolve()  # as the kernel returns working folders
        self._leaders: dict[int, Identity] = {}
        with suppress(OSError, UnicodeDecodeError):
            for line in self._file.read_text().splitlines():
                with suppress(ValueError):  # the last line may be broken off
                    leader = Identity.parse(line)
                    self._leaders[leader.pid] = leader

    def add(self, pid: int) -> None:
        """Record a child that has just been started as the leader of a process session.

        Raises:
            OSError: the record cannot be written; the child is in memory all the same.
        """
        with suppress(psutil.NoSuchProcess):  # it has ended, and nobody has waited for it yet
            leader = self._leaders[pid] = Identity.of(pid)
            with self._file.open("a") as file:
                file.write(f"{leader}\n")

    def living(self, pid: int | None = None) -> list[psutil.Process]:
        """Return what lives of all recorded children and of what they started, or of the child `pid`."""
        chosen = {pid} & set(self._leaders) if pid else set(self._leaders)
        return [process for process in own_processes() if self._led_by(process, chosen)]

    def kill(self, pid: int | None = None) -> bool:
        """Kill all that lives, or all of the child `pid`, and return whether there was something.

        Return when it has ended, or after ten seconds: a process may be stuck in the kernel.
        """
        found = False

        def none_left() -> bool:
            nonlocal found
            living = self.living(pid)
            for process in living:
                kill(process)
            found = found or bool(living)
            return not living

        wait_until(none_left, timeout=END_SECONDS)
        return found

    def _led_by(self, process: psutil.Process, leaders: set[int]) -> bool:
        """Return whether a process is one of the leaders, or works for one.

        A number alone is reused. So a leader is recognised by its start time; a process that works for it began later,
        and its working folder is the session's.
        """
        try:
            leader = self._leaders[os.getsid(process.pid)]
            if leader.pid not in leaders or not leader.here:
                return False
            if psutil.pid_exists(leader.pid) and Identity.of(leader.pid) != leader:
                return False
            if process.pid == leader.pid:
                return True
            began_later = Identity.of(process.pid).began_after(leader)
            return began_later and Path(process.cwd()).is_relative_to(self._folder)
        except (KeyError, OSError, psutil.Error):
            return False


def own_processes() -> Iterator[psutil.Process]:
    """Return the processes of this user that have not ended, this one excepted; for root also those of PostgreSQL's."""
    users = {os.getuid(), *([unprivileged().pw_uid] if is_root() else [])}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if (
                process.pid != os.getpid()
                and process.uids().real in users
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                yield process


def kill(process: psutil.Process) -> None:
    """Send SIGKILL, unless the number belongs to another process by now."""
    with suppress(psutil.Error):
        process.kill()  # psutil compares the start time
