"""The services do what the tables of the saga say: every sequence of events, on a real database, against `decide`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select

from microservices.checker.model import ORCHESTRATED, TABLES
from microservices.checker.mutants import RETRIABLE
from microservices.inventory_service import v1 as inventory
from microservices.inventory_service import v2 as asked_inventory
from microservices.inventory_service.store import create_tables as create_shelf
from microservices.kit import saga
from microservices.kit.events import outbox
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import (
    ChargeRequested,
    Data,
    InventoryFailed,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    RefundRequested,
    ReleaseRequested,
    ReserveRequested,
)
from microservices.kit.events.participant import Moment, Participant
from microservices.kit.items import Item
from microservices.order_service import orchestration
from microservices.order_service import saga as order_saga
from microservices.order_service import store as orders
from microservices.order_service import v3 as order
from microservices.order_service import v4 as orchestrator
from microservices.payment_service import charging
from microservices.payment_service import v3 as payment
from microservices.payment_service import v4 as asked_payment
from tests.postgresql import PostgreSQL

CAUSE = Cause("click", "event-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
ITEMS = [Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})]
ID = "order-1"
EVENTS: dict[str, Data] = {
    data.__class__.__name__: data
    for data in (
        OrderCreated.new(order_id=ID, user_id="user-1", items=ITEMS, total_cents=3998),
        PaymentCompleted.new(order_id=ID, payment_id="p", amount_cents=3998, items=ITEMS),
        PaymentFailed.new(order_id=ID, payment_id="p", amount_cents=3998, reason="declined"),
        InventoryReserved.new(order_id=ID, reservation_id="r", items=ITEMS),
        InventoryFailed.new(order_id=ID, reason="none left", items=ITEMS),
        OrderConfirmed.new(order_id=ID),
        OrderCancelled.new(order_id=ID, reason="no answer in time"),
        ChargeRequested.new(order_id=ID, items=ITEMS, total_cents=3998),
        RefundRequested.new(order_id=ID),
        ReserveRequested.new(order_id=ID, items=ITEMS),
        ReleaseRequested.new(order_id=ID),
    )
}


def new_order(connection: Connection) -> None:
    orchestrator.create_tables(connection)
    row = {
        "id": ID,
        "user_id": "user-1",
        "items": orders.items_column(ITEMS),
        "total_cents": 3998,
        "status": "pending",
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    connection.execute(orders.orders.insert().values(row))


full_shelf = partial(create_shelf, stock={"prod-1": 100})
SERVICES: dict[str, tuple[Participant, Callable[[Connection], None]]] = {
    "order": (order.PARTICIPANT, new_order),
    "payment": (payment.PARTICIPANT, charging.create_tables),
    "inventory": (inventory.PARTICIPANT, full_shelf),
    "orchestrator": (orchestrator.PARTICIPANT, new_order),
    "asked payment": (asked_payment.PARTICIPANT, charging.create_tables),
    "asked inventory": (asked_inventory.PARTICIPANT, full_shelf),
}
MODULES: dict[str, Any] = {
    "order": order,
    "payment": payment,
    "inventory": inventory,
    "orchestrator": orchestrator,
    "asked payment": asked_payment,
    "asked inventory": asked_inventory,
}
CHECKED = {
    **TABLES,
    "orchestrator": ORCHESTRATED["order"],
    "asked payment": ORCHESTRATED["payment"],
    "asked inventory": ORCHESTRATED["inventory"],
}
PUBLISHED_FIRST = {
    "order": order_saga.PUBLISHED_FIRST,
    "orchestrator": orchestration.PUBLISHED_FIRST,
}


@contextmanager
def database(create: Callable[[Connection], None]) -> Iterator[Connection]:
    with create_engine("sqlite://").begin() as connection:
        create(connection)
        outbox.table.create(connection)
        yield connection


def published(connection: Connection) -> list[str]:
    rows = connection.execute(select(outbox.table.c.value).order_by(outbox.table.c.position))
    return [json.loads(row.value)["eventType"] for row in rows]


@pytest.mark.parametrize("service", SERVICES)
def test_checker_and_service_read_the_same_table(service: str) -> None:
    assert SERVICES[service][0].table is CHECKED[service]


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_names_what_the_service_consumes_and_publishes(service: str) -> None:
    module = MODULES[service]
    table = SERVICES[service][0].table
    consumed = {symbol for _, symbol in table} - {"deadline", "refund"}
    steps = [each for step in table.values() for each in (step, step.if_fails) if each]
    first = set(PUBLISHED_FIRST.get(service, ()))
    assert {kind.__name__ for kind in module.CONSUMES} == consumed
    assert {kind.__name__ for kind in module.PUBLISHES} == first | {
        name for step in steps for name in step.publishes
    }


def test_what_the_checker_forbids_to_give_up_is_never_given_up() -> None:
    kept = {("payment", kind.__name__) for kind in payment.NEVER_GIVEN_UP}
    kept |= {("inventory", kind.__name__) for kind in inventory.NEVER_GIVEN_UP}
    assert kept == RETRIABLE


@pytest.mark.parametrize("service", SERVICES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_database_agrees_with_the_table(service: str, data: st.DataObject) -> None:
    with database(SERVICES[service][1]) as connection:
        check_agreement(connection, SERVICES[service][0], data)


@pytest.mark.parametrize("service", SERVICES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_postgresql_agrees_with_the_table(
    postgresql: PostgreSQL, service: str, data: st.DataObject
) -> None:
    with postgresql.undone() as connection:
        SERVICES[service][1](connection)
        outbox.table.create(connection)
        check_agreement(connection, SERVICES[service][0], data)


def check_agreement(connection: Connection, participant: Participant, data: st.DataObject) -> None:
    """Take any steps, and compare each state and all that is published with the table."""
    symbols = sorted({symbol for _, symbol in participant.table})
    steps = st.tuples(st.sampled_from(symbols), st.booleans())
    state = participant.find(connection, ID)
    expected: list[str] = []
    for symbol, fails in data.draw(st.lists(steps, max_size=8)):
        moment = Moment(connection, ID, EVENTS.get(symbol), CAUSE)
        try:
            step = saga.decide(participant.table, state, symbol, fails=fails)
        except saga.Contradiction:
            with pytest.raises(saga.Contradiction):
                participant.step(moment, symbol, fails=fails)
        else:
            participant.step(moment, symbol, fails=fails)
            state = step.to
            expected += step.publishes
        assert participant.find(connection, ID) == state
        assert published(connection) == expected


@pytest.mark.parametrize("service", SERVICES)
def test_a_step_that_is_taken_again_changes_nothing(service: str) -> None:
    table = SERVICES[service][0].table
    for (_, symbol), step in table.items():
        for each in (step, step.if_fails):
            if each and each is not saga.CONTRADICTION:
                assert table.get((each.to, symbol)) in (None, saga.CONTRADICTION)


def test_a_step_carries_the_cause_of_its_event() -> None:
    with database(charging.create_tables) as connection:
        payment.PARTICIPANT.receive(connection, Event("e", "t", EVENTS["OrderCreated"], CAUSE))
        envelope = json.loads(connection.execute(select(outbox.table.c.value)).scalar_one())
    assert envelope["correlationId"] == "click"
    assert envelope["causationId"] == "event-1"
