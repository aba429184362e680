"""payment-service 3: the coin, tombstones and debts, on a database and over HTTP."""

import time
from contextlib import suppress
from types import ModuleType
from unittest.mock import MagicMock

import pytest
from sqlalchemy import Connection

from microservices.kit.events import outbox
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import Data, OrderCancelled, OrderConfirmed, OrderCreated
from microservices.kit.http.pages import PageRequest
from microservices.kit.items import Item
from microservices.kit.saga import Contradiction
from microservices.payment_service import (
    charging,
    debts,
    ledger,
    participation,
    refunds,
    store,
    v3,
    v4,
)
from microservices.payment_service.settings import PaymentSettings
from tests.microservices.conftest import NO_KAFKA, Start
from tests.microservices.running import Running

CAUSE = Cause("click", "event-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
ITEMS = [Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})]
HALF = PaymentSettings(port=1, refund_failure_rate=0.5)


@pytest.fixture
def connection(transaction: Connection) -> Connection:
    charging.create_tables(transaction)
    outbox.table.create(transaction)
    return transaction


def receive(connection: Connection, *data: Data) -> None:
    for each in data:
        v3.PARTICIPANT.receive(connection, Event("e", "t", each, CAUSE))


def created(id: str, cents: int = 3998) -> OrderCreated:
    return OrderCreated.new(order_id=id, user_id="user-1", items=ITEMS, total_cents=cents)


def cancelled(id: str) -> OrderCancelled:
    return OrderCancelled.new(order_id=id, reason="no answer in time")


def sums(connection: Connection) -> dict[str, int]:
    page = ledger.read_ledger(connection, PageRequest(), dict)
    return {name: getattr(page, name) for name in ("charged", "owed", "refunded")}


def pay_until_done(connection: Connection, settings: PaymentSettings) -> int:
    """Ask the bank, without the waits, until nothing is owed; the number of rounds."""
    rounds = 0
    while debts.count_open(connection):
        connection.execute(debts.refunds.update().values(next_at=0))
        refunds.pay_due(connection, participant=v3.PARTICIPANT, settings=settings)
        rounds += 1
    return rounds


def test_a_cancelled_order_is_owed_and_paid_back_once(connection: Connection) -> None:
    receive(connection, created("a"), cancelled("a"), cancelled("a"))
    assert sums(connection) == {"charged": 3998, "owed": 3998, "refunded": 0}
    assert pay_until_done(connection, PaymentSettings(port=1)) == 1
    assert not refunds.pay_due(
        connection, participant=v3.PARTICIPANT, settings=PaymentSettings(port=1)
    )
    assert sums(connection) == {"charged": 3998, "owed": 0, "refunded": 3998}
    assert charging.state_of(connection, "a") == "refunded"


def test_an_order_cancelled_before_it_arrives_is_never_charged(connection: Connection) -> None:
    receive(connection, cancelled("a"), created("a"))
    assert charging.state_of(connection, "a") == "barred"
    assert sums(connection)["charged"] == 0


def test_a_refund_stands_on_the_page_of_its_charge(connection: Connection) -> None:
    receive(connection, *(created(id) for id in "abc"), cancelled("b"))
    pay_until_done(connection, PaymentSettings(port=1))
    first = ledger.read_ledger(connection, PageRequest(limit=1), dict)
    assert first.charges.next is not None
    second = ledger.read_ledger(connection, first.charges.next, dict)
    assert (first.refunds, second.refunds) == ([], [{"order_id": "b", "amount_cents": 3998}])
    assert {first.refunded, second.refunded} == {3998}


def test_a_settled_order_is_never_refunded(connection: Connection) -> None:
    receive(connection, created("a"), OrderConfirmed.new(order_id="a"), cancelled("a"))
    assert charging.state_of(connection, "a") == "settled"
    assert debts.count_open(connection) == 0


def test_a_confirmation_without_a_charge_is_a_contradiction(connection: Connection) -> None:
    with pytest.raises(Contradiction):
        receive(connection, OrderConfirmed.new(order_id="forged"))
    assert sums(connection)["charged"] == 0


def test_a_charge_of_version_2_counts_as_charged(connection: Connection) -> None:
    store.charge_once(connection, "old", 500)
    receive(connection, created("old", 500))
    assert sums(connection)["charged"] == 500
    receive(connection, cancelled("old"))
    assert sums(connection)["owed"] == 500


def test_a_refund_takes_as_many_attempts_as_the_coin_says(connection: Connection) -> None:
    ids = [f"order-{n}" for n in range(60)]
    receive(connection, *(created(id) for id in ids), *(cancelled(id) for id in ids))
    expected = {}
    for id in ids:
        attempt = 1
        while refunds.refused(id, attempt, HALF):
            attempt += 1
        expected[id] = attempt - 1
    assert pay_until_done(connection, HALF) == 1 + max(expected.values())
    rows = connection.execute(debts.refunds.select())
    assert {row.order_id: row.attempts for row in rows} == expected
    assert sum(expected.values()) > 20


def test_a_refused_refund_waits_longer_each_time(connection: Connection) -> None:
    never = PaymentSettings(port=1, refund_failure_rate=0.999999)
    receive(connection, created("a"), cancelled("a"))
    waits = []
    for _ in range(10):
        connection.execute(debts.refunds.update().values(next_at=0))
        refunds.pay_due(connection, participant=v3.PARTICIPANT, settings=never)
        (row,) = connection.execute(debts.refunds.select())
        waits.append(row.next_at - time.time())
    assert waits[:8] == sorted(waits[:8])
    assert waits[0] < 0.3
    assert all(29 < wait <= 33.1 for wait in waits[8:])


@pytest.mark.parametrize(
    ("version", "undone_by"),
    [(v3, {"OrderCancelled", "InventoryFailed"}), (v4, {"RefundRequested"})],
)
def test_only_events_that_undo_a_payment_are_compensated(
    version: ModuleType, undone_by: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = MagicMock()
    compensated: list[str] = []
    monkeypatch.setattr(participation, "create_event_app", built)
    monkeypatch.setattr(
        participation, "compensate", lambda _, event, *, participant: compensated.append(event)
    )
    version.build(PaymentSettings(port=1))
    for handler in built.call_args.kwargs["consumes"].handlers:
        with suppress(AttributeError):  # of the other handlers, which need a database
            handler.effect(None, handler.kind.__name__)
    assert set(compensated) == undone_by


@pytest.fixture
def service(start: Start) -> Running:
    given = {"version": "3", "KAFKA_BOOTSTRAP": NO_KAFKA, "PAYMENT_SECONDS": 0}
    running = start("payment-service", ready=False, PAYMENT_FAILURE_RATE=0.5, **given)
    return running.wait_ready("/health")


def test_over_http_the_same_table_answers(service: Running) -> None:
    ids = [f"order-{n}" for n in range(20)]
    settings = PaymentSettings(port=1, payment_failure_rate=0.5)
    for id in ids:
        answer = service.http.post("/pay", json={"orderId": id, "amount": 5})
        refused = charging.is_refused(id, settings)
        assert answer.status_code == (402 if refused else 200), answer.text
        again = service.http.post("/pay", json={"orderId": id, "amount": 5})
        assert (again.status_code, again.text) == (answer.status_code, answer.text)
    other = next(id for id in ids if not charging.is_refused(id, settings))
    assert service.http.post("/pay", json={"orderId": other, "amount": 6}).status_code == 422
