"""A delivery: what is done with one message, until its effect, or its dead letter, is durable.

read it             -> a message that cannot be read is a dead letter at once: no retry repairs it
its time is ahead   -> wait: this clock, or the publisher's, may be corrected; then a dead letter
do the work         -> slow, outside of any transaction
have the effect     -> with the inbox row and the outbox rows, in one transaction
a fault holds it    -> wait, before all of this; meanwhile the consumer polls on
an attempt fails    -> another one, after a wait that doubles; after `tries` of them a dead letter,
                       except where the handler is never given up
the database does not answer -> wait; that does not count as an attempt
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from microservices.kit import correlation
from microservices.kit.backoff import backoff
from microservices.kit.database import Database
from microservices.kit.events import inbox, trace
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.dead_letters import dead_letter
from microservices.kit.events.envelope import BadEvent, EarlyEvent, Event, EventPlace, read_event
from microservices.kit.events.received import Received
from microservices.kit.events.stalls import Stalls
from microservices.kit.points import NO_FAULTS, Points
from microservices.kit.saga import Contradiction

log = logging.getLogger(__name__)

DATABASE_SECONDS = 0.5
"""The wait for a database that does not answer."""

LONGEST_SECONDS = 30.0

EARLY_SECONDS = 120.0
"""An event whose time comes within this is waited for."""

CORRECTION_SECONDS = 10.0
"""How long an event whose time is further ahead waits for a clock that is corrected."""

LOOK_SECONDS = 0.5
HELD_SECONDS = 0.02
"""Between two looks whether a fault still holds an event."""


@dataclass(frozen=True)
class Dependencies:
    """What deliveries need: the database, the office for dead letters, and a call after each effect."""

    database: Database
    dead_letters: DeadLetterOffice
    on_commit: Callable[[], None] = lambda: None
    stalls: Stalls = field(default_factory=Stalls)
    points: Points = field(default_factory=Points)


class Abandoned(Exception):
    """The work was not begun, since this replica leaves the group: another one will do it."""


class Delivery:
    """One message. Its work begins as soon as the limit admits it; its effect waits its turn."""

    def __init__(
        self, message: Received, config: ConsumerConfig, dependencies: Dependencies
    ) -> None:
        self.message, self.config, self.dependencies = message, config, dependencies
        self.abandoned = self.begun = False
        self.event: Event | None = None
        self._handlers = [h for h in config.handlers if h.kind.topic == message.topic]
        self._error, self._early_until = message.fault, 0.0
        self._working: asyncio.Task[None] | None = None
        if not message.fault:
            self._read()

    @property
    def handler(self) -> Handler:
        """The handler of this message's event."""
        return self._handlers[0]

    def _read(self) -> None:
        message, kinds = self.message, {h.kind.__name__: h.kind for h in self._handlers}
        try:
            traceparent = traceparent_of(message)
            event = read_event(kinds, key=message.key, value=message.value, traceparent=traceparent)
            place = EventPlace(message.topic, message.partition, message.offset)
            self.event = replace(event, place=place)
        except EarlyEvent as error:
            self._error = str(error)
            if not self._early_until:
                patience = error.seconds if error.seconds <= EARLY_SECONDS else CORRECTION_SECONDS
                self._early_until = time.monotonic() + patience + LOOK_SECONDS
        except BadEvent as error:
            self._error = str(error)
        except Exception as error:  # reading it again would fail again
            self._error = explained(error)
        else:
            self._working = self._start_work()

    async def settle(self) -> None:
        """Return when the offset may move past this message.

        Raises:
            Abandoned: another replica will have the message.
        """
        try:
            await self._settle()
        except (Abandoned, asyncio.CancelledError):
            self.dependencies.stalls.clear(self._place)
            raise
        except Exception as error:
            self._stalled(explained(error))
            raise
        self.dependencies.stalls.clear(self._place)

    async def _settle(self) -> None:
        await self._until_its_time()
        if self.event is None:
            return await self._set_aside(attempts=0, error=self._error)
        correlation.current.set(self.event.cause.correlation_id)
        attempt = 1
        while True:
            try:
                return await self._attempt(self.event)
            except Database.AWAY as error:
                log.error("the database does not answer, waiting", exc_info=error)
                self._stalled(f"the database does not answer ({explained(error)})")
                await asyncio.sleep(DATABASE_SECONDS)
                continue
            except Abandoned:
                raise
            except Contradiction as error:  # forged, or of another version: no retry repairs it
                return await self._set_aside(attempts=attempt, error=explained(error))
            except Exception as error:
                self._log_failure(self.event, attempt, error)
                if attempt >= self.config.tries:
                    if self.handler.give_up:
                        return await self._set_aside(attempts=attempt, error=explained(error))
                    self._stalled(f"attempt {attempt} failed ({explained(error)})")
            await asyncio.sleep(wait_after(attempt, first=self.config.first_wait))
            attempt += 1

    async def _until_its_time(self) -> None:
        """Wait while the event's timestamp is ahead of this clock, within reason."""
        while self.event is None and time.monotonic() < self._early_until:
            if self.abandoned:
                raise Abandoned
            log.warning("an event waits for its time: %s", self._error)
            await asyncio.sleep(LOOK_SECONDS)
            self._read()

    @property
    def _place(self) -> tuple[str, int]:
        return self.message.topic, self.message.partition

    def _stalled(self, reason: str) -> None:
        topic, partition = self._place
        where = f"{topic}/{partition} at offset {self.message.offset}"
        self.dependencies.stalls.report(self._place, f"{where}: {reason}")

    def abandon(self) -> None:
        """Do not begin the work, if it has not begun."""
        self.abandoned = True

    def cancel(self) -> None:
        """Stop the work; the message is not settled."""
        if self._working is not None:
            self._working.cancel()

    async def _attempt(self, event: Event) -> None:
        if self._working is not None:
            if self._working.done() and self._working.exception():
                self._working = self._start_work()
            assert self._working is not None
            await self._working
        else:
            await self._until_released(event)
        self.begun = True
        points = self.dependencies.points
        await self.dependencies.database.write(
            effect_once, self.config, self.handler, event, points=points
        )
        points.passed("committed", self.handler.kind.__name__)
        self.dependencies.on_commit()

    def _start_work(self) -> "asyncio.Task[None] | None":
        if self.event is None or self.handler.work is None:
            return None
        working = asyncio.create_task(self._work(self.handler.work, self.event))
        # Its outcome is read when it is this message's turn, which may never come.
        working.add_done_callback(lambda task: task.cancelled() or task.exception())
        return working

    async def _work(self, work: Callable[[Event], Awaitable[None]], event: Event) -> None:
        await self._until_released(event)
        async with self.config.limit:
            if self.abandoned and not self.begun:
                raise Abandoned
            self.begun = True
            if not await self._had_its_effect(event):
                await work(event)

    async def _until_released(self, event: Event) -> None:
        """Wait while a fault holds this order's event; the thread that polls Kafka goes on meanwhile."""
        points, place = self.dependencies.points, (self.message.topic, event.data.order_id)
        if not points.holds(*place):
            return
        points.wait(*place, begins=True)
        try:
            while points.holds(*place):
                if self.abandoned:
                    raise Abandoned
                await asyncio.sleep(HELD_SECONDS)
        finally:
            points.wait(*place, begins=False)

    async def _had_its_effect(self, event: Event) -> bool:
        if not self.config.inbox:
            return False
        return await self.dependencies.database.read(inbox.contains, event.event_id)

    async def _set_aside(self, *, attempts: int, error: str) -> None:
        message = self.message
        origin = {
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
        }
        log.error("dead letter: %s", error, extra=origin)
        letter = dead_letter(message, group=self.config.group, attempts=attempts, error=error)
        self._stalled("its dead letter is not written yet")
        await self.dependencies.dead_letters.publish(letter)

    def _log_failure(self, event: Event, attempt: int, error: Exception) -> None:
        fields = {"eventId": event.event_id, "orderId": event.data.order_id, "attempt": attempt}
        log.error("attempt failed", exc_info=error, extra=fields)


def effect_once(
    connection: Connection,
    config: ConsumerConfig,
    handler: Handler,
    event: Event,
    *,
    points: Points = NO_FAULTS,
) -> None:
    """Have the effect of an event, unless the inbox contains the event."""
    if not config.inbox or inbox.accept(connection, event.event_id):
        points.raise_if_poisoned(handler.kind.topic, event.data.order_id)
        handler.effect(connection, event)
        points.passed("begun", handler.kind.__name__)


def wait_after(attempt: int, *, first: float) -> float:
    """Return the seconds to wait after attempt `attempt`, from 1: doubling, plus up to a tenth at random."""
    return backoff(attempt, first=first, longest=LONGEST_SECONDS, spread=(1.0, 1.1))


def traceparent_of(message: Received) -> str:
    """Return the message's `traceparent`, or a new one when it has no valid one."""
    value = dict(message.headers).get(trace.HEADER)
    return trace.next_step(value.decode("ascii", "replace") if isinstance(value, bytes) else None)


def explained(error: Exception) -> str:
    """Return an error as a line of a header."""
    return f"{type(error).__name__}: {error}"[:500]
