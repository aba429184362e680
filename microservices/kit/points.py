"""Points: the moments of an event's way through a service at which a fault can hold it, or end the service.

begun      its effect was made, and the transaction is not committed: nothing of it is durable
committed  effect, inbox row and outbox rows are durable; nothing is published, and the offset is the old one
sent       Kafka has acknowledged the event, and its row is still in the outbox

Without `FAULTS=on` a service has `Points`, whose methods do nothing. With it `FaultPoints` counts what passes, and does
what `PUT /faults` asks for. Its state is in memory: a restarted replica is healthy, and counts from zero.
"""

import logging
import os
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, NoReturn, Self

from pydantic import Field, StringConstraints, model_validator

from microservices.kit.wire import WireModel

log = logging.getLogger(__name__)

At = Literal["begun", "committed", "sent"]
AT: tuple[At, ...] = ("begun", "committed", "sent")

EXIT_CODE = 137
"""That of a process which SIGKILL ended: no handler runs, no buffer is flushed, no offset is committed."""

CRASHED = "crash point"
"""The message of the last line in the log of a service that a point ended."""

EVERY = "*"
"""In place of an order's id: every order."""

DEADLINE = "deadline"
"""What passes a point when a service ends orders that wait for too long."""

RELAY = "relay"
"""In place of a topic: the relay publishes nothing."""

OrderOrEvery = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^(\*|[A-Za-z0-9._@+-]+)$")
]
Orders = Annotated[list[OrderOrEvery], Field(min_length=1, max_length=1000)]


class Crash(WireModel):
    """End the process at a point, after so many passes of an event that are let through."""

    at: At
    event: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    after: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class PointFaults(WireModel):
    """The faults of events; by default none.

    `hold`: the events of these orders wait, by topic, before anything is done with them; with `relay` nothing is
    published. `crash`: the process ends at a point. `poison`: the effect raises, by topic, for these orders.
    `overdue`: the deadline of these orders counts as passed.
    """

    hold: dict[str, Orders | bool] = Field(default={}, max_length=20)
    crash: Crash | None = None
    poison: dict[str, Orders] = Field(default={}, max_length=20)
    overdue: list[OrderOrEvery] = Field(default=[], max_length=1000)

    @model_validator(mode="after")
    def _relay_alone_is_true(self) -> Self:
        for name, orders in self.hold.items():
            if name == RELAY and orders is not True:
                raise ValueError("hold.relay should be true, or absent")
            if name != RELAY and isinstance(orders, bool):
                raise ValueError(f"hold.{name} should be a list of order ids, or of *")
        return self

    @property
    def asked(self) -> bool:
        """Whether any of them is asked for."""
        return bool(self.hold or self.crash or self.poison or self.overdue)


class Held(WireModel):
    """An event that waits."""

    topic: str
    order_id: str


class PointsReport(WireModel):
    """How often each event passed each point since the start, and which events wait now."""

    passed: dict[str, dict[str, int]] = Field(default={})
    held: list[Held] = Field(default=[])


class Poisoned(Exception):
    """The effect of an event raises, since `PUT /faults` asks for it."""


class Points:
    """The points of a service without faults: nothing happens there."""

    def describe(self, topics: Collection[str], passable: Mapping[At, Collection[str]]) -> None:
        """Take what the service consumes, and what can pass each point."""

    def passed(self, at: At, event: str) -> None:
        """Pass a point: `event` is an event type, or what the service does by itself, such as `deadline`."""

    def holds(self, topic: str, order_id: str) -> bool:
        """Return whether an order's event has to wait."""
        return False

    def holds_relay(self) -> bool:
        """Return whether the relay has to publish nothing."""
        return False

    def wait(self, topic: str, order_id: str, *, begins: bool) -> None:
        """Note that an event begins to wait, or that it waits no longer."""

    def raise_if_poisoned(self, topic: str, order_id: str) -> None:
        """Raise `Poisoned` when an order's event is poisoned."""

    def overdue(self) -> Collection[str]:
        """Return the orders whose deadline counts as passed."""
        return ()

    def refusal(self, faults: PointFaults) -> str | None:
        """Return why these faults would do nothing here, `None` when they are possible."""
        return "this service exchanges no events" if faults.asked else None

    def apply(self, faults: PointFaults) -> None:
        """Replace the present faults."""

    def report(self) -> PointsReport | None:
        """Return what passed and what waits, `None` for a service that counts nothing."""
        return None


NO_FAULTS = Points()


class FaultPoints(Points):
    """The points of a service with `FAULTS=on`."""

    def __init__(self) -> None:
        self._topics: Collection[str] = ()
        self._passable: Mapping[At, Collection[str]] = dict.fromkeys(AT, ())
        self._faults, self._let_through = PointFaults(), 0
        self._passed: Counter[tuple[At, str]] = Counter()
        self._waiting: Counter[tuple[str, str]] = Counter()

    def describe(self, topics: Collection[str], passable: Mapping[At, Collection[str]]) -> None:
        """Take what the service consumes, and what can pass each point: other faults are refused."""
        self._topics, self._passable = topics, passable

    def passed(self, at: At, event: str) -> None:
        """Count a pass, and end the process when a crash is due here."""
        self._passed[at, event] += 1
        crash = self._faults.crash
        if crash is None or (crash.at, crash.event) != (at, event):
            return
        if self._let_through < crash.after:
            self._let_through += 1
            return
        fields = {"at": at, "event": event, "passed": self._passed[at, event]}
        log.error(CRASHED, extra=fields)
        end_process()

    def holds(self, topic: str, order_id: str) -> bool:
        """Return whether `hold` names this order, or every one."""
        return _names(self._faults.hold.get(topic), order_id)

    def holds_relay(self) -> bool:
        """Return whether `hold` names the relay."""
        return self._faults.hold.get(RELAY) is True

    def wait(self, topic: str, order_id: str, *, begins: bool) -> None:
        """Count the deliveries that wait."""
        self._waiting[topic, order_id] += 1 if begins else -1

    def raise_if_poisoned(self, topic: str, order_id: str) -> None:
        """Raise `Poisoned` when `poison` names this order, or every one."""
        if _names(self._faults.poison.get(topic), order_id):
            raise Poisoned(f"{topic} of order {order_id} is poisoned through /faults")

    def overdue(self) -> Collection[str]:
        """Return the orders that `overdue` names."""
        return self._faults.overdue

    def refusal(self, faults: PointFaults) -> str | None:
        """Return why these faults would do nothing here: a name that this service does not have."""
        for topic in [*faults.hold, *faults.poison]:
            if topic not in self._topics and (topic in faults.poison or topic != RELAY):
                return f"this service consumes no {topic!r}; it consumes: {_listed(self._topics)}"
        if RELAY in faults.hold and not self._passable["sent"]:
            return "this service publishes nothing: it has no relay"
        if faults.overdue and DEADLINE not in self._passable["committed"]:
            return "no order has a deadline in this service"
        crash = faults.crash
        if crash is not None and crash.event not in self._passable[crash.at]:
            names = _listed(self._passable[crash.at])
            return f"no {crash.event!r} passes the point {crash.at!r} here; these do: {names}"
        return None

    def apply(self, faults: PointFaults) -> None:
        """Replace the present faults. What passed before is not counted for `crash.after`."""
        self._faults, self._let_through = faults, 0

    def report(self) -> PointsReport:
        """Return what passed and what waits."""
        # Copied at once: a transaction's thread may count meanwhile.
        passed: dict[str, dict[str, int]] = {}
        for (at, event), count in sorted(self._passed.copy().items()):
            passed.setdefault(at, {})[event] = count
        waiting = [place for place, count in self._waiting.items() if count > 0]
        return PointsReport.model_construct(
            passed=passed,
            held=[Held.model_construct(topic=topic, order_id=order) for topic, order in waiting],
        )


def end_process() -> NoReturn:
    """End this process at once, as SIGKILL would."""
    os._exit(EXIT_CODE)


def _names(orders: list[str] | bool | None, order_id: str) -> bool:
    return isinstance(orders, list) and (order_id in orders or EVERY in orders)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
