"""A delivery: what becomes of one message, until its effect, or its dead letter, is durable.

read it        -> what cannot be read is a dead letter at once: no retry will mend it
do the work    -> slow, outside of any transaction
the effect     -> with the inbox row and the outbox rows, in one transaction
when it fails  -> again, after a wait that doubles; after ``tries`` a dead letter
the database is away -> wait; that is no fault of the message
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message
from sqlalchemy import Connection, Table

from microservices.kit import correlation, trace
from microservices.kit.concurrency_limit import Slots
from microservices.kit.database import Database
from microservices.kit.events import inbox
from microservices.kit.events.dead_letters import bury, dead_letter
from microservices.kit.events.event_types import BadEvent, Data, Event, read_event
from microservices.kit.events.producer import EventProducer

log = logging.getLogger(__name__)

DATABASE_SECONDS = 0.5
"""The wait for a database that is away."""

LONGEST_SECONDS = 30.0


@dataclass(frozen=True)
class Handler:
    """What a service does with one kind of event.

    ``work`` takes its time, and may be done twice. ``effect`` changes the database, once.
    """

    kind: type[Data]
    effect: Callable[[Connection, Event], None]
    work: Callable[[Event], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Handling:
    """How a service handles its events."""

    group: str
    handlers: Sequence[Handler]
    database: Database
    producer: EventProducer
    inbox: Table | None
    """None: every delivery has its effect, the second one too."""
    tries: int = 3
    """Attempts before a message is a dead letter; the first one counts."""
    first_wait: float = 0.2
    """Seconds between the first two attempts; each later wait is twice the one before."""
    slots: Slots = field(default_factory=Slots)
    """How much work may be done at once."""
    on_commit: Callable[[], None] = lambda: None
    """Called after each effect: there may be events to send."""

    @property
    def topics(self) -> list[str]:
        """The topics to read."""
        return [handler.kind.topic for handler in self.handlers]


class Abandoned(Exception):
    """The work was not begun, since this replica leaves: another one will do it."""


class Delivery:
    """One message on its way. Its work begins as soon as a slot is free; its effect waits its turn."""

    def __init__(self, message: Message, handling: Handling) -> None:
        self.message, self.handling = message, handling
        self.abandoned = self.begun = False
        self.event: Event | None = None
        self._error = ""
        handlers = [h for h in handling.handlers if h.kind.topic == message.topic()]
        try:
            self.event = read_event(
                {handler.kind.__name__: handler.kind for handler in handlers},
                key=message.key(),
                value=message.value(),
                traceparent=traceparent_of(message),
            )
        except BadEvent as error:
            self._error = str(error)
        self.handler = handlers[0]
        self._working = self._start_work()

    async def settle(self) -> None:
        """Return when the offset may move past this message.

        Raises:
            Abandoned: when another replica shall have it.
        """
        if self.event is None:
            return await self._bury(attempts=0, error=self._error)
        correlation.current.set(self.event.cause.correlation_id)
        attempt = 1
        while True:
            try:
                return await self._attempt(self.event)
            except Database.AWAY as error:
                log.error("the database does not answer, waiting", exc_info=error)
                await asyncio.sleep(DATABASE_SECONDS)
                continue
            except Abandoned:
                raise
            except Exception as error:
                self._log_failure(self.event, attempt, error)
                if attempt >= self.handling.tries:
                    return await self._bury(attempts=attempt, error=explained(error))
            await asyncio.sleep(wait_after(attempt, first=self.handling.first_wait))
            attempt += 1

    def abandon(self) -> None:
        """Do not begin what is not begun."""
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
        self.begun = True
        await self.handling.database.write(effect_once, self.handling, self.handler, event)
        self.handling.on_commit()

    def _start_work(self) -> "asyncio.Task[None] | None":
        if self.event is None or self.handler.work is None:
            return None
        working = asyncio.create_task(self._work(self.handler.work, self.event))
        # How it ended is looked at when it is this message's turn, which may be never.
        working.add_done_callback(lambda task: task.cancelled() or task.exception())
        return working

    async def _work(self, work: Callable[[Event], Awaitable[None]], event: Event) -> None:
        async with self.handling.slots:
            if self.abandoned and not self.begun:
                raise Abandoned
            self.begun = True
            if not await self._is_known(event):
                await work(event)

    async def _is_known(self, event: Event) -> bool:
        table = self.handling.inbox
        if table is None:
            return False
        return await self.handling.database.read(inbox.knows, table, event.event_id)

    async def _bury(self, *, attempts: int, error: str) -> None:
        about = self.message
        log.error(
            "dead letter: %s",
            error,
            extra={
                "topic": about.topic(),
                "partition": about.partition(),
                "offset": about.offset(),
            },
        )
        letter = dead_letter(about, group=self.handling.group, attempts=attempts, error=error)
        await bury(self.handling.producer, letter)

    def _log_failure(self, event: Event, attempt: int, error: Exception) -> None:
        fields = {"eventId": event.event_id, "orderId": event.data.order_id, "attempt": attempt}
        log.error("attempt failed", exc_info=error, extra=fields)


def effect_once(connection: Connection, handling: Handling, handler: Handler, event: Event) -> None:
    """Have the effect, unless the inbox knows the event."""
    if handling.inbox is None or inbox.accept(connection, handling.inbox, event.event_id):
        handler.effect(connection, event)


def wait_after(attempt: int, *, first: float) -> float:
    """Return the seconds to wait after attempt ``attempt``, from 1: doubling, plus up to a tenth at random."""
    return min(LONGEST_SECONDS, first * 2.0 ** (attempt - 1)) * random.uniform(1, 1.1)


def traceparent_of(message: Message) -> str:
    """Return the message's ``traceparent``, a new one when it has none that is good."""
    found = dict(message.headers() or []).get(trace.HEADER)
    return trace.next_step(found.decode("ascii", "replace") if isinstance(found, bytes) else None)


def explained(error: Exception) -> str:
    """Return an error as a line of a header."""
    return f"{type(error).__name__}: {error}"[:500]
