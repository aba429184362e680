"""order-service 3 without Kafka: what it keeps of a saga, and what a deadline does."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select

from microservices.kit.events import outbox
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import InventoryReserved, PaymentFailed
from microservices.kit.points import FaultPoints, PointFaults
from microservices.order_service import sagas, store, v3
from tests.microservices.conftest import NO_KAFKA, Start
from tests.microservices.examples import new_order

CAUSE = Cause("click", "created-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")


@pytest.fixture
def connection() -> Iterator[Connection]:
    with create_engine("sqlite://").begin() as connection:
        v3.create_tables(connection)
        outbox.table.create(connection)
        yield connection


def insert(connection: Connection, id: str, *, seconds: float, status: str = "pending") -> None:
    row = {"id": id, "user_id": "user-1", "items": "[]", "total_cents": 1, "status": status}
    connection.execute(store.orders.insert().values(row | {"created_at": "2026-01-01"}))
    connection.execute(sagas.sagas.insert().values(sagas.new_row(id, seconds=seconds, cause=CAUSE)))


def events(connection: Connection) -> list[dict[str, Any]]:
    rows = connection.execute(select(outbox.table).order_by(outbox.table.c.position))
    return [json.loads(row.value) for row in rows]


def order(connection: Connection, id: str) -> Any:
    return store.find_order(connection, id)


def test_an_overdue_order_is_cancelled(connection: Connection) -> None:
    insert(connection, "late", seconds=-1)
    insert(connection, "in-time", seconds=60)
    insert(connection, "ended", seconds=-1, status="completed")
    assert v3.cancel_overdue(connection) is True
    assert v3.cancel_overdue(connection) is False
    assert (order(connection, "late").status, order(connection, "late").cancellation_reason) == (
        "cancelled",
        v3.TIMED_OUT,
    )
    assert order(connection, "in-time").status == "pending"
    assert order(connection, "ended").status == "completed"
    cancelled, notification = events(connection)
    assert cancelled["eventType"] == "OrderCancelled"
    assert cancelled["data"] == {"orderId": "late", "reason": v3.TIMED_OUT}
    assert notification["data"]["template"] == "order-cancelled"


def test_a_deadlines_events_follow_from_the_order(connection: Connection) -> None:
    insert(connection, "late", seconds=-1)
    v3.cancel_overdue(connection)
    for event in events(connection):
        assert (event["correlationId"], event["causationId"]) == ("click", "created-1")


def test_many_overdue_orders_take_several_transactions(connection: Connection) -> None:
    for number in range(v3.BATCH + 1):
        insert(connection, f"late-{number}", seconds=-1)
    assert v3.cancel_overdue(connection) is True
    assert sagas.count_pending(connection) == 1
    assert v3.cancel_overdue(connection) is True
    assert v3.cancel_overdue(connection) is False
    assert sagas.count_pending(connection) == 0


def test_an_answer_after_the_deadline_changes_nothing(connection: Connection) -> None:
    insert(connection, "late", seconds=-1)
    v3.cancel_overdue(connection)
    reserved = InventoryReserved.new(order_id="late", reservation_id="r", items=[])
    v3.PARTICIPANT.receive(connection, Event("e", "t", reserved, CAUSE))
    assert order(connection, "late").status == "cancelled"
    assert len(events(connection)) == 2


def test_the_reason_of_a_refused_payment_is_kept(connection: Connection) -> None:
    insert(connection, "poor", seconds=60)
    failed = PaymentFailed.new(order_id="poor", payment_id="p", amount_cents=1, reason="declined")
    v3.PARTICIPANT.receive(connection, Event("e", "t", failed, CAUSE))
    assert order(connection, "poor").cancellation_reason == "declined"
    assert events(connection)[0]["data"]["reason"] == "declined"


def test_an_event_of_an_unknown_order_is_an_error(connection: Connection) -> None:
    reserved = InventoryReserved.new(order_id="forged", reservation_id="r", items=[])
    with pytest.raises(v3.UnknownOrder):
        v3.PARTICIPANT.receive(connection, Event("e", "t", reserved, CAUSE))
    assert events(connection) == []


def test_the_oldest_pending_order_is_measured(connection: Connection) -> None:
    assert sagas.oldest_pending_seconds(connection, timeout=30) == 0
    insert(connection, "old", seconds=10)
    insert(connection, "new", seconds=25)
    assert sagas.oldest_pending_seconds(connection, timeout=30) == pytest.approx(20, abs=1)


def test_an_order_is_stored_with_its_saga(start: Start, tmp_path: Path) -> None:
    given = {"version": "3", "KAFKA_BOOTSTRAP": NO_KAFKA, "SAGA_TIMEOUT_SECONDS": 5}
    running = start("order-service", ready=False, **given).wait_ready("/health")
    answer = running.http.post("/orders", json=new_order(), headers={"X-Correlation-Id": "click-7"})
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    with sqlite3.connect(tmp_path / "order-service.db") as database:
        (saga,) = database.execute("SELECT order_id, correlation_id, created_event_id FROM sagas")
        (value,) = database.execute("SELECT value FROM outbox").fetchone()
    assert saga == (answer.json()["id"], "click-7", json.loads(value)["eventId"])
    metrics = running.http.get("/metrics").text
    assert "\nsagas_pending 1.0\n" in metrics
    assert "\noutbox_events 1.0\n" in metrics


@pytest.mark.parametrize(
    ("named", "cancelled"), [("in-time", ["in-time"]), ("*", ["in-time", "other"])]
)
def test_a_deadline_that_a_fault_names_counts_as_passed(
    connection: Connection, named: str, cancelled: list[str]
) -> None:
    for id in ("in-time", "other"):
        insert(connection, id, seconds=60)
    insert(connection, "ended", seconds=60, status="completed")
    points = FaultPoints()
    points.apply(PointFaults.model_validate({"overdue": [named]}))
    assert v3.cancel_overdue(connection, points=points) is True
    ids = ("in-time", "other", "ended")
    assert [id for id in ids if order(connection, id).status == "cancelled"] == cancelled
