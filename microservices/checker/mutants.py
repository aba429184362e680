"""Wrong designs, each with the scenario that shows it: the checker must find all of them, but the two that are right.

A mutant changes cells of a table, or a promise of the kit (outbox, inbox, offsets after the effect, the sweeper).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from microservices.checker.model import TABLES, Model, Reading
from microservices.inventory_service import saga as inventory
from microservices.kit.saga import Step, Table
from microservices.order_service import saga as order

Cell = tuple[str, str, str]
"""A participant, a state and an event."""

FORWARD: frozenset[Reading] = frozenset(
    {
        ("payment", "OrderCreated"),
        ("inventory", "PaymentCompleted"),
        ("order", "PaymentFailed"),
        ("order", "InventoryReserved"),
        ("order", "InventoryFailed"),
        ("payment", "InventoryFailed"),
    }
)
"""The readings that may be given up, since the deadline ends the saga."""

RETRIABLE: frozenset[Reading] = frozenset(
    {
        ("payment", "OrderCancelled"),
        ("inventory", "OrderCancelled"),
        ("inventory", "OrderConfirmed"),
    }
)
"""The readings that may never be given up: compensations and confirmations."""


@dataclass(frozen=True)
class Mutant:
    """One wrong design: what it changes, and the scenario that shows it.

    `equivalent` marks a change that breaks nothing, which the checker must not report.
    """

    what: str
    cells: Mapping[Cell, Step | None] = field(default_factory=dict)
    scenario: Mapping[str, Any] = field(default_factory=dict)
    equivalent: bool = False

    def model(self, **scenario: Any) -> Model:
        """Return the mutant's model; keyword arguments come before those of its own scenario."""
        return Model(changed=changed(self.cells), **{**self.scenario, **scenario})


def changed(
    cells: Mapping[Cell, Step | None], source: Mapping[str, Table] = TABLES
) -> dict[str, Table]:
    """Return the services' tables with other cells; None removes a cell."""
    tables = {name: dict(table) for name, table in source.items()}
    for (name, state, event), step in cells.items():
        tables[name].pop((state, event), None)
        if step is not None:
            tables[name][state, event] = step
    return dict(tables)


def without(*cells: Cell, model: Model | None = None) -> Model:
    """Return a model (the real one by default) without these cells of its tables."""
    model = model or Model()
    return replace(model, changed=changed(dict.fromkeys(cells), model.tables))


_CHARGE = Step("charged", ("PaymentCompleted",))
_RESERVE = Step("reserved", ("InventoryReserved",))
_COMPLETE = order.TABLE["pending", "InventoryReserved"]
_TWICE = {"duplicates": 1, "inbox": False}

MUTANTS: Mapping[str, Mutant] = {
    "no-tombstone-payment": Mutant(
        "payment-service does not remember an order that was cancelled before it was charged",
        {("payment", "none", event): None for event in ("OrderCancelled", "InventoryFailed")},
    ),
    "no-tombstone-inventory": Mutant(
        "inventory-service does not remember an order that was cancelled before it was reserved",
        {("inventory", "none", "OrderCancelled"): None},
    ),
    "no-refund": Mutant(
        "payment-service refunds nothing",
        {("payment", "charged", event): None for event in ("OrderCancelled", "InventoryFailed")},
    ),
    "refund-twice": Mutant(
        "payment-service refunds again when a second reason arrives",
        {("payment", "refunded", "OrderCancelled"): Step("owed")},
    ),
    "refund-on-inventory-failed-only": Mutant(
        "payment-service refunds an order without stock, and no other cancelled order",
        {("payment", "charged", "OrderCancelled"): None},
    ),
    "charge-each-delivery": Mutant(
        "payment-service charges at each delivery of OrderCreated",
        {("payment", "charged", "OrderCreated"): _CHARGE},
        _TWICE,
    ),
    "late-success-completes": Mutant(
        "order-service completes a cancelled order when its items are reserved after all",
        {("order", "cancelled", "InventoryReserved"): _COMPLETE},
    ),
    "no-release": Mutant(
        "inventory-service keeps what it reserved for a cancelled order",
        {("inventory", "reserved", "OrderCancelled"): None},
    ),
    "never-sold": Mutant(
        "inventory-service does not consume OrderConfirmed",
        {
            ("inventory", state, "OrderConfirmed"): None
            for state, event in inventory.TABLE
            if event == "OrderConfirmed"
        },
    ),
    "no-outbox": Mutant(
        "events are published after the commit, from memory", {}, {"outbox": False, "deaths": 1}
    ),
    "offset-before-effect": Mutant(
        "a consumer commits an offset before the effect, and dies in between",
        {},
        {"losses": 1, "lossy": FORWARD | RETRIABLE},
    ),
    "no-sweeper": Mutant(
        "no deadline cancels an order of which an event was given up",
        {},
        {"sweeper": False, "losses": 1, "lossy": FORWARD},
    ),
    "mixed-versions": Mutant(
        "a replica of order-service 2 completes an order when it is paid",
        {("order", "pending", "PaymentCompleted"): _COMPLETE},
    ),
    "reserve-again": Mutant(
        "inventory-service reserves at each delivery of PaymentCompleted",
        {("inventory", "reserved", "PaymentCompleted"): _RESERVE},
        _TWICE | {"stock": 2},
    ),
    "release-unasked": Mutant(
        "inventory-service puts back what it never reserved",
        {("inventory", "none", "OrderCancelled"): Step("released")},
    ),
    "refund-on-cancel-only": Mutant(
        "payment-service leaves InventoryFailed alone: OrderCancelled follows it",
        {("payment", state, "InventoryFailed"): None for state in ("none", "charged")},
        equivalent=True,
    ),
    "no-inbox": Mutant(
        "no inbox: the states alone recognise what came before", {}, _TWICE, equivalent=True
    ),
}


def given_up(readings: Iterable[Reading], **scenario: Any) -> Model:
    """Return the real model in which one event of these readings may become a dead letter."""
    return Model(losses=1, lossy=frozenset(readings), **scenario)
