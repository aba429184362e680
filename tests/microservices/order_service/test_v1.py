import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import NAMESPACE_OID, uuid5

import httpx
import pytest

from microservices.kit.http.idempotency import CLAIM_SECONDS
from microservices.order_service.payment import PAY_SECONDS
from tests.microservices.conftest import Start
from tests.microservices.examples import AUTHORIZED, new_key, new_order
from tests.microservices.running import Running, free_port


@pytest.fixture
def faults(payment: Running) -> Iterator[None]:
    yield
    payment.http.put("/faults", json={}, headers=AUTHORIZED).raise_for_status()


def break_payment(payment: Running, **faults: float) -> None:
    payment.http.put("/faults", json=faults, headers=AUTHORIZED).raise_for_status()


def charged(payment: Running, order_id: str) -> list[float]:
    ledger = payment.http.get("/ledger").json()
    return [each["amount"] for each in ledger["charges"] if each["orderId"] == order_id]


def test_a_paid_order_is_completed_and_charged_its_total(order: Running, payment: Running) -> None:
    answer = order.http.post("/orders", json=new_order())
    made = answer.json()
    assert answer.status_code == 201
    assert made == new_order() | {
        "id": made["id"],
        "total": 39.98,
        "status": "completed",
        "createdAt": made["createdAt"],
    }
    assert charged(payment, made["id"]) == [39.98]
    assert order.http.get(f"/orders/{made['id']}").json() == made | {"cancellationReason": None}
    assert made in order.http.get("/orders").json()


def test_the_id_of_an_order_with_a_key_is_predictable(order: Running) -> None:
    key = new_key()
    made = order.http.post("/orders", json=new_order(), headers=key).json()
    assert made["id"] == str(uuid5(NAMESPACE_OID, f"7:user-1:{key['Idempotency-Key']}"))


@pytest.mark.usefixtures("faults")
def test_a_refused_payment_cancels_the_order_and_says_why(order: Running, payment: Running) -> None:
    break_payment(payment, status=402)
    answer = order.http.post("/orders", json=new_order())
    assert (answer.status_code, answer.json()["status"]) == (201, "cancelled")
    break_payment(payment)  # nothing is wrong any more
    shown = order.http.get(f"/orders/{answer.json()['id']}").json()
    assert shown["cancellationReason"] == "payment-service refused with 402"
    assert charged(payment, shown["id"]) == []


@pytest.mark.usefixtures("faults")
def test_a_broken_payment_service_means_503_and_no_order(order: Running, payment: Running) -> None:
    key, before = new_key(), order.http.get("/orders").json()
    break_payment(payment, status=500)
    answer = order.http.post("/orders", json=new_order(), headers=key)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert order.http.get("/orders").json() == before

    break_payment(payment)
    began = time.monotonic()
    assert order.http.post("/orders", json=new_order(), headers=key).status_code == 201
    assert time.monotonic() - began < 5  # the failed one gave up its claim; else 10 seconds


def test_an_unreachable_payment_service_means_503_soon_and_no_order(start: Start) -> None:
    order = start("order-service", PAYMENT_SERVICE_URL=f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    assert order.http.post("/orders", json=new_order()).status_code == 503
    assert time.monotonic() - began < 2
    assert order.http.get("/orders").json() == []
    assert order.http.get("/ready").status_code == 200  # another service's death is not ours


def test_a_repeat_gets_the_first_answer_and_pays_nothing(order: Running, payment: Running) -> None:
    key = new_key()
    first = order.http.post("/orders", json=new_order(), headers=key)
    spaced = b' {"items" : [{"price":19.990,"productId":"prod-1","quantity":2}],"userId":"user-1"}'
    again = order.http.post(
        "/orders", content=spaced, headers=key | {"Content-Type": "application/json"}
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert charged(payment, first.json()["id"]) == [39.98]


def test_a_key_with_another_body_is_refused(order: Running, payment: Running) -> None:
    key = new_key()
    made = order.http.post("/orders", json=new_order(), headers=key).json()
    assert order.http.post("/orders", json=new_order(total=39.98), headers=key).status_code == 422
    assert charged(payment, made["id"]) == [39.98]


def test_a_key_belongs_to_one_user(order: Running) -> None:
    key = new_key()
    ada = order.http.post("/orders", json=new_order(), headers=key)
    grace = order.http.post("/orders", json=new_order(userId="user-2"), headers=key)
    assert (ada.status_code, grace.status_code) == (201, 201)
    assert ada.json()["id"] != grace.json()["id"]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """A payment-service that takes its time, and two replicas of order-service before it."""
    data = tmp_path_factory.mktemp("slow")
    payment = Running("payment-service", data=data, PAYMENT_SECONDS=0.3)
    running = [payment]
    running += [
        Running("order-service", data=data, PAYMENT_SERVICE_URL=payment.url) for _ in range(2)
    ]
    try:
        yield [each.wait_ready() for each in running]
    finally:
        for each in running:
            each.close()


def test_one_key_on_two_replicas_at_once_pays_once(
    slow: list[Running],
) -> None:
    payment, *replicas = slow
    key = new_key()
    paid_before = payment.log().count('"path":"/pay"')

    def post(number: int) -> httpx.Response:
        return replicas[number % 2].http.post("/orders", json=new_order(), headers=key)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert charged(payment, answers[0].json()["id"]) == [39.98]
    # One at a time asked for payment: the others waited for its answer.
    assert payment.log().count('"path":"/pay"') - paid_before == 1


def test_of_two_bodies_with_one_key_one_wins(
    slow: list[Running],
) -> None:
    payment, order, _ = slow
    key = new_key()
    bodies = [new_order(), new_order(items=[{"productId": "p", "quantity": 1, "price": 5}])]
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(order.http.post, "/orders", json=body, headers=key) for body in bodies]
        answers = sorted((each.result() for each in sent), key=lambda each: each.status_code)
    assert [answer.status_code for answer in answers] == [201, 422]
    won = answers[0].json()
    assert (won["status"], charged(payment, won["id"])) == ("completed", [won["total"]])


def test_kill_9_loses_no_acknowledged_order(start: Start, payment: Running) -> None:
    order = start("order-service", PAYMENT_SERVICE_URL=payment.url)
    acknowledged: list[str] = []
    enough = threading.Event()

    def post_until_it_dies() -> None:
        with httpx.Client(base_url=order.url) as client:
            while True:
                try:
                    answer = client.post("/orders", json=new_order())
                except httpx.TransportError:
                    return
                assert answer.status_code == 201
                acknowledged.append(answer.json()["id"])
                if len(acknowledged) >= 100:
                    enough.set()

    with ThreadPoolExecutor(4) as pool:
        posting = [pool.submit(post_until_it_dies) for _ in range(4)]
        assert enough.wait(20)
        order.kill()
        for each in posting:
            each.result()
    again = start("order-service", PAYMENT_SERVICE_URL=payment.url)
    kept = {each["id"] for each in again.http.get("/orders").json()}
    assert set(acknowledged) <= kept
    paid = {each["orderId"] for each in payment.http.get("/ledger").json()["charges"]}
    assert kept <= paid


def test_a_claim_outlasts_the_work_that_is_done_under_it() -> None:
    assert CLAIM_SECONDS >= PAY_SECONDS + 3


def test_a_key_whose_holder_was_killed_is_charged_once(start: Start) -> None:
    payment = start("payment-service", PAYMENT_SECONDS=0.5)
    soon = {"microservices.kit.http.idempotency.CLAIM_SECONDS": 3}  # the claim has to run out
    order = start("order-service", PAYMENT_SERVICE_URL=payment.url, constants=soon)
    key = new_key()
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(httpx.post, f"{order.url}/orders", json=new_order(), headers=key)
        wait_for_pay(payment)
        order.kill()
        assert lost.exception()
    heir = start("order-service", PAYMENT_SERVICE_URL=payment.url)
    answer = heir.http.post("/orders", json=new_order(), headers=key, timeout=20)
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")
    assert charged(payment, answer.json()["id"]) == [39.98]


def wait_for_pay(payment: Running) -> None:
    """Return when payment-service works on a payment: its order has claimed the key by then."""
    deadline = time.monotonic() + 5
    while "http_requests_in_flight 2.0" not in payment.http.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
