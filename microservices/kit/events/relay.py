"""The relay: publishes the events of the outbox, in their order.

One replica at a time does it, the one with the lease. A commit of its own process wakes it, and it polls for commits
of other replicas many times per second. When it is killed after Kafka has an
event and before the row is deleted, the next one publishes that event again: at least once. Therefore consumers have
an inbox.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Self
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from microservices.kit.database import Database
from microservices.kit.events import lease, outbox
from microservices.kit.events.lease import LEASE_SECONDS
from microservices.kit.events.producer import EventProducer

log = logging.getLogger(__name__)

BATCH = 500
LOOK_SECONDS = 0.025
"""Time until the relay sees what another replica of its service has committed."""

PACE_SECONDS = 0.01
"""The pause after each batch: under load it makes few large batches of many small ones."""

RENEW_SECONDS = LEASE_SECONDS / 4
LAST_SECONDS = 1.0
"""How long the relay still publishes when it stops."""

NAME = "relay"


class Relay:
    """Moves events from the outbox to Kafka, while it holds the lease."""

    def __init__(self, database: Database, producer: EventProducer) -> None:
        self._database, self._producer = database, producer
        self._holder = str(uuid4())
        self._renewed = -LEASE_SECONDS
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Wake the relay: events were committed."""
        self._woken.set()

    async def unavailable(self) -> str | None:
        """Return why no events are published, `None` while the relay runs."""
        return "the relay has ended" if self._task.done() else None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; what is not sent stays in the table, for the next one with the lease."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        with suppress(Exception):
            await asyncio.wait_for(self._send_the_rest(), LAST_SECONDS)
        with suppress(SQLAlchemyError):
            await self._database.write(lease.release, name=NAME, holder=self._holder)

    async def _run(self) -> None:
        while True:
            try:
                if not await self._holds_lease():
                    await asyncio.sleep(RENEW_SECONDS)
                elif not await self._send_some():
                    await self._woken_or_later()
            except Exception as error:  # whatever it is, the next attempt may succeed
                log.error("events cannot be sent, trying again", exc_info=error)
                await asyncio.sleep(RENEW_SECONDS)

    async def _send_the_rest(self) -> None:
        while await self._holds_lease() and await self._send_some():
            pass

    async def _holds_lease(self) -> bool:
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return True
        began = time.monotonic()
        held = await self._database.write(lease.take, name=NAME, holder=self._holder)
        self._renewed = began if held else -LEASE_SECONDS
        return held

    async def _send_some(self) -> bool:
        """Publish the oldest events; false when there are none."""
        self._woken.clear()
        rows = await self._database.read(outbox.first, BATCH)
        if not rows:
            return False
        records = [record for _, record in rows]
        sending = asyncio.ensure_future(self._producer.send(records))
        try:
            # While Kafka is down this waits. The relay keeps the lease: another replica could not publish either.
            while not (await asyncio.wait([sending], timeout=RENEW_SECONDS))[0]:
                await self._holds_lease()
            sending.result()
        finally:
            sending.cancel()
        positions = [position for position, _ in rows]
        await self._database.write(outbox.remove, positions)
        await asyncio.sleep(PACE_SECONDS)
        return True

    async def _woken_or_later(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
