"""What a service consumes, and how it treats the messages."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from microservices.kit.concurrency_limit import ConcurrencyLimit
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import Data


@dataclass(frozen=True)
class Handler:
    """What a service does with one type of event.

    `work` may take long, and may be done twice. `effect` changes the database, once. `give_up`: after the last attempt
    the message becomes a dead letter. A compensation or a confirmation is never given up, since nothing else would
    repair the money: its partition waits, visibly.
    """

    kind: type[Data]
    effect: Callable[[Connection, Event], None]
    work: Callable[[Event], Awaitable[None]] | None = None
    give_up: bool = True


@dataclass(frozen=True)
class ConsumerConfig:
    """A consumer group, its handlers, and what becomes of a message that fails."""

    group: str
    handlers: Sequence[Handler]
    inbox: bool = True
    """False: each delivery of an event has its effect, the second one too."""
    tries: int = 3
    """Attempts before a message becomes a dead letter; the first one counts."""
    first_wait: float = 0.2
    """Seconds between the first two attempts; each later wait is twice the one before."""
    limit: ConcurrencyLimit = field(default_factory=ConcurrencyLimit)
    """How much work is done at once."""

    @property
    def kinds(self) -> list[type[Data]]:
        """The types of events to consume."""
        return [handler.kind for handler in self.handlers]
