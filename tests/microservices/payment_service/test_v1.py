import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.microservices.conftest import Start
from tests.microservices.running import Running

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A payment-service whose work takes half a second."""
    data = tmp_path_factory.mktemp("slow")
    running = Running("payment-service", data=data, PAYMENT_SECONDS=0.5)
    try:
        yield running.wait_ready()
    finally:
        running.close()


def charges(payment: Running, order_id: str) -> list[float]:
    ledger = payment.http.get("/ledger").json()
    return [each["amount"] for each in ledger["charges"] if each["orderId"] == order_id]


def test_a_payment_is_in_the_ledger_and_balances(start: Start) -> None:
    payment = start("payment-service", PAYMENT_SECONDS=0)
    answer = payment.http.post("/pay", json={"orderId": "order-1", "amount": 39.98})
    assert answer.status_code == 200
    assert answer.json() == {
        "paymentId": answer.json()["paymentId"],
        "orderId": "order-1",
        "status": "completed",
        "amount": 39.98,
    }
    assert payment.http.get("/ledger").json() == {
        "charges": [{"orderId": "order-1", "amount": 39.98}],
        "refunds": [],
        "balances": {"customers": -39.98, "shop": 39.98, "owed": 0},
    }


def test_a_payment_takes_its_seconds_and_delays_no_other(slow: Running) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: slow.http.post("/pay", json={"amount": 1}), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert 0.5 <= time.monotonic() - began < 2  # one after the other: 4 seconds


def test_paying_twice_charges_once(payment: Running) -> None:
    order_id = str(uuid4())
    body = {"orderId": order_id, "amount": 5}
    first, second = (payment.http.post("/pay", json=body).json() for _ in range(2))
    assert first == second
    assert charges(payment, order_id) == [5.0]


def test_paying_twice_at_once_charges_once(slow: Running) -> None:
    body = {"orderId": "order-1", "amount": 5}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: slow.http.post("/pay", json=body).json(), range(8)))
    assert len({answer["paymentId"] for answer in answers}) == 1
    assert charges(slow, "order-1") == [5.0]


def test_another_amount_for_the_same_order_is_refused(payment: Running) -> None:
    order_id = str(uuid4())
    payment.http.post("/pay", json={"orderId": order_id, "amount": 5})
    answer = payment.http.post("/pay", json={"orderId": order_id, "amount": 6})
    assert answer.status_code == 422
    assert charges(payment, order_id) == [5.0]


def test_a_payment_without_a_body_is_refused(payment: Running) -> None:
    before = payment.http.get("/ledger").json()
    for absent in (b"", b"null", b" "):
        answer = payment.http.post("/pay", content=absent, headers=JSON)
        assert answer.status_code in (400, 422), absent
        assert answer.headers["content-type"] == "application/problem+json"
    assert payment.http.get("/ledger").json() == before


def test_an_empty_payment_charges_nothing(payment: Running) -> None:
    first, second = payment.http.post("/pay", json={}), payment.http.post("/pay", json={})
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["amount"] == 0
    assert first.json()["orderId"] != second.json()["orderId"]
