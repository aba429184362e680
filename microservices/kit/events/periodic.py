"""What a service does by itself, once per second: end what has waited too long, or pay what is owed.

Each run is one transaction of the service's one writer, and finds what is due in the database. So a run that is
killed is done again, and two replicas that run at the same time do nothing twice: neither needs a lease.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection

from microservices.kit.database import Database
from microservices.kit.http.probes import Need
from microservices.kit.points import NO_FAULTS, Points

log = logging.getLogger(__name__)

SECONDS = 1.0


@dataclass(frozen=True)
class Task:
    """A task of a service.

    `run` does a part of what is due, in a transaction, and returns whether it did anything: then there may be more. It
    runs only after `listening_seconds` in which the service consumed events without a break: answers that came while
    the service could not read them are read first. `name` is what passes the points of faults.
    """

    run: Callable[[Connection], bool]
    every: float = SECONDS
    listening_seconds: float = 0.0
    name: str = "task"


class Periodic:
    """Runs a task as long as the service runs."""

    def __init__(
        self,
        task: Task,
        database: Database,
        needs: Sequence[Need],
        on_commit: Callable[[], None],
        *,
        points: Points = NO_FAULTS,
    ) -> None:
        self._task, self._database, self._points = task, database, points
        self._needs, self._on_commit = needs, on_commit
        self._listening_since: float | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def unavailable(self) -> str | None:
        """Return why the task does not run, `None` while it does."""
        return "a periodic task has ended" if self._running.done() else None

    async def _run(self) -> None:
        while True:
            try:
                if await self._has_listened():
                    await self._run_what_is_due()
            except Exception:  # the database is away, or a bug: the next run may succeed
                log.exception("a periodic task failed, trying again")
            await asyncio.sleep(self._task.every)

    async def _run_what_is_due(self) -> None:
        more = True
        while more:
            if more := await self._database.write(self._run_once):
                self._points.passed("committed", self._task.name)
            self._on_commit()

    def _run_once(self, connection: Connection) -> bool:
        did = self._task.run(connection)
        if did:
            self._points.passed("begun", self._task.name)
        return did

    async def _has_listened(self) -> bool:
        """Return whether the service has consumed for long enough without a break."""
        if not self._task.listening_seconds:
            return True
        now = asyncio.get_running_loop().time()
        if any([await need() for need in self._needs]):
            self._listening_since = None
            return False
        if self._listening_since is None:
            self._listening_since = now
        return now - self._listening_since >= self._task.listening_seconds
