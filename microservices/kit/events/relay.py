"""The relay: publishes the events of the outbox, in their order.

One replica at a time does it, the one with the lease. A commit of its own process wakes it, and many times per second
it looks whether another replica has committed; it reads the outbox only then. When it is killed after Kafka has an
event and before the row is deleted, the next one publishes that event again: at least once. Therefore consumers have
an inbox.

An event that its topic refuses for good would hold back every event behind it, so it becomes a dead letter.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Self, TypeVar
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from microservices.kit.database import Database
from microservices.kit.events import lease, outbox
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.dead_letters import unpublished
from microservices.kit.events.event_types import EVENTS
from microservices.kit.events.lease import LEASE_SECONDS
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent, will_pass
from microservices.kit.events.stalls import Stalls
from microservices.kit.points import NO_FAULTS, Points

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

TYPES = {kind.topic: kind.__name__ for kind in EVENTS}

T = TypeVar("T")


class Relay:
    """Moves events from the outbox to Kafka, while it holds the lease."""

    def __init__(
        self,
        database: Database,
        producer: EventProducer,
        dead_letters: DeadLetterOffice,
        *,
        stalls: Stalls | None = None,
        holder: str = "",
        points: Points = NO_FAULTS,
    ) -> None:
        """Prepare; `holder` is the name of this process, the same after a restart: so it renews its own lease."""
        self._database, self._producer, self._dead_letters = database, producer, dead_letters
        self._stalls, self._holder = stalls or Stalls(), holder or str(uuid4())
        self._renewed = -LEASE_SECONDS
        self._points = points
        self._woken = asyncio.Event()
        self._seen: int | None = None
        self._sending = asyncio.Lock()

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
        with suppress(Exception):
            async with asyncio.timeout(LAST_SECONDS):
                # A batch that Kafka has is deleted first: else it would be published once more.
                async with self._sending:
                    await self._end()
                await self._send_the_rest()
        await self._end()
        with suppress(SQLAlchemyError):
            await self._database.write(lease.release, name=NAME, holder=self._holder)

    async def _end(self) -> None:
        self._task.cancel()
        # Unlike `await self._task`, this takes no cancellation by a time limit for the task's end.
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                if not await self._holds_lease():
                    self._stalls.clear(NAME)
                    await asyncio.sleep(RENEW_SECONDS)
                elif not await self._send_some():
                    self._stalls.clear(NAME)
                    await self._woken_or_later()
            except Exception as error:  # whatever it is, the next attempt may succeed
                log.error("events cannot be sent, trying again", exc_info=error)
                away = "the database does not answer: " if isinstance(error, Database.AWAY) else ""
                self._stalls.report(NAME, f"events cannot be sent ({away}{error})")
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
        """Publish the oldest events; false when there are none, or when a fault holds them."""
        async with self._sending:
            return await self._send_batch()

    async def _send_batch(self) -> bool:
        self._woken.clear()
        self._seen = None
        if self._points.holds_relay():
            return False
        self._seen = self._database.version()  # before the read, so that no later commit is missed
        if not await self.publish_oldest():
            return False
        self._stalls.clear(NAME)
        await asyncio.sleep(PACE_SECONDS)
        return True

    async def publish_oldest(self) -> bool:
        """Publish the oldest events of the outbox, `BATCH` at most, and delete those that Kafka has; false for none.

        `await self._renewing(self._producer.send(records))` returns when Kafka has all of them; then
        `self._were_sent(records)` is called. It raises `NotSent` when Kafka does not have all of them: its `errors`
        has an error or `None` for each record, and `await self._send_one_by_one(rows, errors)` sends the others and
        deletes the rows.
        """
        rows = await self._database.read(outbox.first, BATCH)
        if not rows:
            return False
        records = [record for _, record in rows]
        try:
            await self._renewing(self._producer.send(records))
        except NotSent as error:
            await self._send_one_by_one(rows, error.errors)
        else:
            self._were_sent(records)
            await self._database.write(outbox.remove, [position for position, _ in rows])
        return True

    async def _send_one_by_one(
        self, rows: Sequence[tuple[int, Record]], errors: Sequence[Exception | None]
    ) -> None:
        """Send each event that was not acknowledged, alone: the broker refuses a batch for one of its events.

        What Kafka has, and what became a dead letter, is deleted, also when a later event has to wait.
        """
        done: list[int] = []
        try:
            for (position, record), error in zip(rows, errors, strict=True):
                if error is not None:
                    await self._send_alone(position, record)
                done.append(position)
        finally:
            if done:
                await self._database.write(outbox.remove_each, done)

    async def _send_alone(self, position: int, record: Record) -> None:
        try:
            await self._renewing(self._producer.send([record]))
        except NotSent as refused:
            (error,) = refused.errors
            if error is None or will_pass(error):
                raise
            log.error("event %d is refused, a dead letter: %s", position, error)
            letter = unpublished(record, position=position, error=str(error))
            await self._renewing(self._dead_letters.publish(letter))
        else:
            self._were_sent([record])

    def _were_sent(self, records: Sequence[Record]) -> None:
        for record in records:
            self._points.passed("sent", TYPES.get(record.topic, record.topic))

    async def _renewing(self, work: Awaitable[T]) -> T:
        """Return the result of work with Kafka, and keep the lease meanwhile.

        While Kafka is down this waits: another replica could not publish either.
        """
        working = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([working], timeout=RENEW_SECONDS))[0]:
                self._stalls.report(NAME, "Kafka has not acknowledged the oldest events")
                await self._holds_lease()
            return working.result()
        finally:
            working.cancel()

    async def _woken_or_later(self) -> None:
        """Return when there may be an event: after a commit, and in time to renew the lease."""
        latest = time.monotonic() + RENEW_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
                return
            unchanged = self._seen is not None and self._database.version() == self._seen
            if not unchanged or time.monotonic() >= latest:
                return
