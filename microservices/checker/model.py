"""The world that a saga runs in: three participants, their outboxes, Kafka's topics, and what may go wrong.

A world is a value; `actions` returns every world that one step can make of it. A step is one transaction of the kit, or
one message on its way, so that a death between two steps needs no step of its own: what was committed is there, and
what was not never happened. Time needs no model either: a deadline may pass at any moment at which an order is pending.

Events of two orders lie in partitions of their own, so that nothing orders them against each other; the outbox of a
service is read in the order of its transactions, whatever the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import NamedTuple, TypeVar

from microservices.inventory_service import orchestration as orchestrated_inventory
from microservices.inventory_service import saga as inventory
from microservices.kit.saga import Contradiction, Step, Table, decide
from microservices.order_service import orchestration as orchestrated_order
from microservices.order_service import saga as order
from microservices.payment_service import orchestration as orchestrated_payment
from microservices.payment_service import saga as payment

T = TypeVar("T")

PARTICIPANTS = ("order", "payment", "inventory")
TABLES: Mapping[str, Table] = {
    "order": order.TABLE,
    "payment": payment.TABLE,
    "inventory": inventory.TABLE,
}
"""Choreography: each participant consumes the events of the others."""

ORCHESTRATED: Mapping[str, Table] = {
    "order": orchestrated_order.TABLE,
    "payment": orchestrated_payment.TABLE,
    "inventory": orchestrated_inventory.TABLE,
}
"""Orchestration: order-service asks the others, by commands."""

OWN_STEPS = ("deadline", "refund")
"""What a participant does by itself, without an event that arrives."""

COINS = ("all well", "payment fails", "inventory fails")

Reading = tuple[str, str]
"""A participant and a type of event that it consumes."""


class Saga(NamedTuple):
    """One order: the state at each participant, and what was done in its name (which no participant stores)."""

    order: str
    payment: str = payment.FIRST
    inventory: str = inventory.FIRST
    charges: int = 0
    refunds: int = 0
    ends: frozenset[str] = frozenset()


class World(NamedTuple):
    """Everything at one moment.

    `outboxes` hold the events that were committed and not published, per participant; `published` and `consumed`
    count events per order, by type and by reading. `again`, `deaths` and `losses` are how often that may still happen.
    """

    coins: tuple[str, ...]
    sagas: tuple[Saga, ...]
    outboxes: tuple[tuple[tuple[int, str], ...], ...]
    published: tuple[tuple[int, ...], ...]
    consumed: tuple[tuple[int, ...], ...]
    on_hand: int
    reserved: int
    again: int
    deaths: int
    losses: int


class Move(NamedTuple):
    """One step: what happened, the world after it, and whether the system does it by itself sooner or later.

    `contradiction` is the reason why the step has no world after it, and is empty otherwise.
    """

    action: str
    world: World
    progress: bool = True
    contradiction: str = ""


class Coordination(NamedTuple):
    """How the participants find each other: their tables, and how an order begins."""

    tables: Mapping[str, Table] = TABLES
    first: str = order.FIRST
    published_first: tuple[str, ...] = order.PUBLISHED_FIRST


CHOREOGRAPHY = Coordination()
ORCHESTRATION = Coordination(
    ORCHESTRATED, orchestrated_order.FIRST, orchestrated_order.PUBLISHED_FIRST
)


@dataclass(frozen=True)
class Model:
    """Which tables, how many orders, and what may go wrong.

    Args:
        coordination: The participants as they are.
        changed: Other tables than theirs, of a wrong design.
        orders: How many orders share the shelf.
        stock: Items on the shelf; each order wants one.
        duplicates: How often an event may be delivered once more.
        deaths: How often a service may die between its commit and its publishing.
        losses: How often an event of `lossy` may be given up.
        lossy: The readings whose events may be given up: a dead letter, or an offset that is committed first.
        outbox: Whether an event is durable with the change that it reports.
        inbox: Whether an event that was consumed before is recognised.
        sweeper: Whether an order that waits too long is cancelled.
    """

    coordination: Coordination = CHOREOGRAPHY
    changed: Mapping[str, Table] | None = None
    orders: int = 1
    stock: int = 1
    duplicates: int = 0
    deaths: int = 0
    losses: int = 0
    lossy: frozenset[Reading] = frozenset()
    outbox: bool = True
    inbox: bool = True
    sweeper: bool = True

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The transitions of each participant."""
        return self.coordination.tables if self.changed is None else self.changed

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every participant with every type of event that its table has a cell for, also in the unchanged table."""
        cells = [
            (name, event)
            for name in PARTICIPANTS
            for source in (self.coordination.tables, self.tables)
            for _, event in source[name]
            if event not in OWN_STEPS
        ]
        return tuple(dict.fromkeys(cells))

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The types of events that a participant consumes."""
        return tuple(dict.fromkeys(event for _, event in self.readings))

    def first_worlds(self) -> Iterator[World]:
        """Yield the beginning for every outcome of the coins; orders are alike, so each mixture comes once."""
        for coins in combinations_with_replacement(COINS, self.orders):
            created = tuple(
                (number, event)
                for number in range(self.orders)
                for event in self.coordination.published_first
                if event in self.topics
            )
            yield World(
                coins=coins,
                sagas=(Saga(self.coordination.first),) * self.orders,
                outboxes=(created, (), ()),
                published=((0,) * len(self.topics),) * self.orders,
                consumed=((0,) * len(self.readings),) * self.orders,
                on_hand=self.stock,
                reserved=0,
                again=self.duplicates,
                deaths=self.deaths,
                losses=self.losses,
            )

    def moves(self, world: World) -> Iterator[Move]:
        """Yield every step that can be next."""
        yield from self._publish(world)
        for number, saga in enumerate(world.sagas):
            yield from self._consume(world, number)
            if self.sweeper and (saga.order, "deadline") in self.tables["order"]:
                yield self._apply(
                    world, number, "order", "deadline", self._named("deadline", number)
                )
            if (saga.payment, "refund") in self.tables["payment"]:
                action = self._named("payment refunds", number)
                yield self._apply(world, number, "payment", "refund", action)

    def _publish(self, world: World) -> Iterator[Move]:
        for index, name in enumerate(PARTICIPANTS):
            if not (waiting := world.outboxes[index]):
                continue
            (number, event), *rest = waiting
            counts = _raised(world.published[number], self.topics.index(event))
            after = world._replace(
                outboxes=_with(world.outboxes, index, tuple(rest)),
                published=_with(world.published, number, counts),
            )
            yield Move(self._named(f"publish {event}", number), after)
            if not self.outbox and world.deaths:
                lost = world._replace(
                    outboxes=_with(world.outboxes, index, ()), deaths=world.deaths - 1
                )
                yield Move(f"{name} dies before it publishes", lost, progress=False)

    def _consume(self, world: World, number: int) -> Iterator[Move]:
        for index, (name, event) in enumerate(self.readings):
            there = world.published[number][self.topics.index(event)]
            read = world.consumed[number][index]
            action = self._named(f"{name} reads {event}", number)
            if read < there:
                moved = world._replace(
                    consumed=_with(world.consumed, number, _raised(world.consumed[number], index))
                )
                yield self._apply(moved, number, name, event, action)
                if world.losses and (name, event) in self.lossy:
                    lost = moved._replace(losses=world.losses - 1)
                    action = self._named(f"{name} gives {event} up", number)
                    yield Move(action, lost, progress=False)
            if read and world.again:
                once_more = world._replace(again=world.again - 1)
                if self.inbox:
                    yield Move(f"{action} again", once_more, progress=False)
                else:
                    move = self._apply(once_more, number, name, event, f"{action} again")
                    yield move._replace(progress=False)

    def _apply(self, world: World, number: int, name: str, event: str, action: str) -> Move:
        """One transaction: the next state, its effects, and its events in the outbox."""
        saga, index = world.sagas[number], PARTICIPANTS.index(name)
        fails = world.coins[number] == f"{name} fails" or (
            name == "inventory" and world.reserved >= world.on_hand
        )
        try:
            step = decide(self.tables[name], getattr(saga, name), event, fails=fails)
        except Contradiction as problem:
            return Move(action, world, contradiction=str(problem))
        events = tuple((number, each) for each in step.publishes if each in self.topics)
        sold = _becomes(saga, step, name, "sold")
        after = world._replace(
            sagas=_with(world.sagas, number, _changed(saga, step, name)),
            outboxes=_with(world.outboxes, index, world.outboxes[index] + events),
            on_hand=world.on_hand - sold,
            reserved=world.reserved
            + ("InventoryReserved" in step.publishes)
            - sold
            - _becomes(saga, step, name, "released"),
        )
        return Move(action, after)

    def _named(self, action: str, number: int) -> str:
        return action if self.orders == 1 else f"{action} (order {number + 1})"


def _becomes(saga: Saga, step: Step, name: str, state: str) -> bool:
    return name == "inventory" and step.to == state != saga.inventory


def _changed(saga: Saga, step: Step, name: str) -> Saga:
    ends = {"OrderConfirmed", "OrderCancelled"} & set(step.publishes)
    return saga._replace(
        **{name: step.to},
        charges=saga.charges + ("PaymentCompleted" in step.publishes),
        refunds=saga.refunds + ("PaymentRefunded" in step.publishes),
        ends=saga.ends | ends,
    )


def _with(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _raised(counts: tuple[int, ...], index: int) -> tuple[int, ...]:
    return _with(counts, index, counts[index] + 1)
