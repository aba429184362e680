"""Phase 5's services on a real broker: each order ends as the coin says, and money and stock add up."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from environment import Environment, LabError
from environment.waiting import wait_until
from labs.pages import read_all
from microservices.analytics_service.v2 import CONSUMES
from microservices.kit import coin
from tests.environment.broker import Broker
from tests.residue import nothing_left

SERVICES = ["kafka", "order-service", "payment-service", "inventory-service", "analytics-service"]
SEED, SECONDS, PRICE = 7, 60, 19.99
PAYMENT_RATE, INVENTORY_RATE = 0.3, 0.2
STOCK = 100_000
SESSION_SECONDS = 6
"""A group removes a member that is silent for so long (kit/events/kafka.py)."""


class Shop:
    """Phase 5 without a gateway, and a look at it."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.http = httpx.Client(timeout=30, trust_env=False)

    def get(self, service: str, path: str) -> Any:
        return read_all(self.http, self.env[service].replicas[-1].url + path)

    def order(self, key: str, quantity: int = 1, product: str = "prod-1") -> str:
        items = [{"productId": product, "quantity": quantity, "price": PRICE}]
        replicas = self.env["order-service"].replicas
        response = self.http.post(
            replicas[hash(key) % len(replicas)].url + "/orders",
            json={"userId": "user-1", "items": items},
            headers={"Idempotency-Key": key},
        )
        assert response.status_code in (200, 201), response.text
        return str(response.json()["id"])

    def orders(self, prefix: str, count: int) -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda n: self.order(f"{prefix}{n}"), range(count)))

    def ended(self, ids: list[str], seconds: float = SECONDS) -> dict[str, str]:
        """Wait until all of these orders have ended, and nothing is owed, set aside or waits in an outbox."""

        def statuses() -> dict[str, str]:
            known = {each["id"]: each["status"] for each in self.get("order-service", "/orders")}
            return {id: known[id] for id in ids}

        assert wait_until(lambda: "pending" not in statuses().values(), timeout=seconds)
        assert wait_until(self.at_rest, timeout=seconds), self.gauges()
        return statuses()

    def gauges(self) -> dict[str, float]:
        gauges = {}
        for service in ("order-service", "payment-service", "inventory-service"):
            text = self.http.get(self.env[service].replicas[-1].url + "/metrics").text
            for line in text.splitlines():
                name, _, value = line.partition(" ")
                if name in (
                    "outbox_events",
                    "sagas_pending",
                    "refunds_owed",
                    "reservations_open",
                ):
                    gauges[f"{service} {name}"] = float(value)
        return gauges

    def at_rest(self) -> bool:
        return set(self.gauges().values()) == {0.0}

    def check_books(self) -> None:
        """For each order: what was charged and not refunded is its total when it is completed, else nothing."""
        orders = {each["id"]: each for each in self.get("order-service", "/orders")}
        ledger = self.get("payment-service", "/ledger")
        net = dict.fromkeys(orders, 0.0)
        for charge in ledger["charges"]:
            net[charge["orderId"]] += charge["amount"]
        for refund in ledger["refunds"]:
            net[refund["orderId"]] -= refund["amount"]
        assert len(ledger["charges"]) == len({each["orderId"] for each in ledger["charges"]})
        assert net == {
            id: each["total"] if each["status"] == "completed" else 0 for id, each in orders.items()
        }
        assert sum(ledger["balances"].values()) == pytest.approx(0, abs=0.001)
        assert ledger["balances"]["owed"] == 0
        sold = sum(
            item["quantity"]
            for each in orders.values()
            if each["status"] == "completed"
            for item in each["items"]
            if item["productId"] == "prod-1"
        )
        assert self.get("inventory-service", "/stock")["prod-1"] == {
            "onHand": STOCK - sold,
            "reserved": 0,
        }
        revenue = round(sum(net.values()), 2)
        view = lambda: self.get("analytics-service", "/analytics")  # noqa: E731
        assert wait_until(lambda: view()["totalRevenue"] == revenue, timeout=SECONDS), view()


def outcome(id: str) -> str:
    """How an order ends, by the coin alone."""
    fails = coin.fails(seed=SEED, order_id=id, step="payment", rate=PAYMENT_RATE) or coin.fails(
        seed=SEED, order_id=id, step="inventory", rate=INVENTORY_RATE
    )
    return "cancelled" if fails else "completed"


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    env = Environment(
        "phase5",
        runtime=request.param,
        seed=SEED,
        only=SERVICES,
        settings={"inventory-service": {"STOCK": f"prod-1={STOCK},last=1"}},
    )
    env.start()
    session = str(env.session)
    yield Shop(env)
    env.stop()
    assert nothing_left(session, seconds=0) == []


pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


def test_every_order_ends_as_the_coin_says(shop: Shop) -> None:
    ids = shop.orders("k", 200)
    assert shop.ended(ids) == {id: outcome(id) for id in ids}
    shop.check_books()


def test_deaths_of_services_and_broker_change_no_outcome(shop: Shop) -> None:
    ids: list[str] = []
    for number, service in enumerate(SERVICES):
        ids += shop.orders(f"killed-{number}-", 30)
        with shop.env[service].replicas[0].killed():
            if service != "order-service":
                ids += shop.orders(f"down-{number}-", 10)
    assert shop.ended(ids, seconds=90) == {id: outcome(id) for id in ids}
    shop.check_books()


def test_three_replicas_of_each_end_orders_alike(shop: Shop) -> None:
    for service in SERVICES[1:]:
        shop.env.scale(service, 3)
    ids = shop.orders("three-", 200)
    assert shop.ended(ids) == {id: outcome(id) for id in ids}
    shop.check_books()
    assert totals_of_windows(shop) == totals(shop)
    passed = newest_event(shop) - LATENESS
    assert wait_until(lambda: watermark(shop) == pytest.approx(passed, abs=0.002), timeout=SECONDS)
    for service in SERVICES[1:]:
        shop.env.scale(service, 1)


def test_a_held_event_waits_longer_than_a_silent_member_may(shop: Shop) -> None:
    payment = shop.env["payment-service"]
    with payment.held({"order-created": ["*"]}) as fault:
        (id,) = shop.orders("held-", 1)

        def held() -> bool:
            waiting = {"topic": "order-created", "orderId": id}
            return any(waiting in report["held"] for report in payment.points().values())

        assert wait_until(held, timeout=SECONDS)
        assert wait_until(lambda: time.time() > fault.began + SESSION_SECONDS + 1, timeout=SECONDS)
        assert held(), "the group removed a member that only holds an event"
        assert payment.replicas[0].ready
        assert shop.get("order-service", f"/orders/{id}")["status"] == "pending"
        fault.replace({"order-cancelled": ["*"]})
        assert wait_until(lambda: not held(), timeout=SECONDS)
    assert shop.ended([id]) == {id: outcome(id)}


def test_a_crash_point_ends_a_service_whose_order_ends_all_the_same(shop: Shop) -> None:
    payment = shop.env["payment-service"]
    with payment.crashing("committed", "OrderCreated"):
        (id,) = shop.orders("crashed-", 1)
        assert wait_until(lambda: payment.replicas[0].condition == "exited", timeout=SECONDS)
        assert payment.replicas[0].exit_code == 137
        assert '"message":"crash point"' in payment.logs(20)
    assert shop.ended([id], seconds=90) == {id: outcome(id)}
    ((_, report),) = payment.points().items()
    assert report["passed"]["committed"]["OrderCreated"] == 1, "it was delivered again"
    assert "OrderCreated" not in report["passed"].get("begun", {}), "and had its effect before"
    shop.check_books()


def test_a_point_that_a_service_lacks_is_explained(shop: Shop) -> None:
    with pytest.raises(LabError, match=r"no 'Order' passes the point 'sent'.*PaymentCompleted"):
        shop.env["payment-service"].crashing("sent", "Order").__enter__()
    with pytest.raises(LabError, match=r"consumes no 'orders'.*order-created"):
        shop.env["payment-service"].held({"orders": ["*"]}).__enter__()
    with pytest.raises(LabError, match="have points"):
        shop.env["kafka"].points()
    assert payment_is_healthy(shop)


def payment_is_healthy(shop: Shop) -> bool:
    with shop.env["payment-service"].slowed(0.01):  # refused while another fault is left
        return True


def test_the_last_item_is_sold_once(shop: Shop) -> None:
    wanted = [f"last-{n}" for n in range(40)]
    ids = [shop.order(key, product="last") for key in wanted]
    statuses = shop.ended(ids)
    assert list(statuses.values()).count("completed") == 1
    assert shop.get("inventory-service", "/stock")["last"] == {"onHand": 0, "reserved": 0}
    cancelled = next(id for id, status in statuses.items() if status == "cancelled")
    assert shop.get("order-service", f"/orders/{cancelled}")["cancellationReason"]


def test_all_records_sent_again_change_nothing(shop: Shop) -> None:
    before = {path: shop.get(s, path) for s, path in TRUTHS}
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    records = broker.records(
        "order-created", "payment-completed", "order-confirmed", "order-cancelled"
    )
    broker.produce_all([(m.topic(), m.value(), m.key()) for m in reversed(records)])
    assert wait_until(lambda: settled(broker), timeout=SECONDS)
    assert {path: shop.get(s, path) for s, path in TRUTHS} == before


def test_events_under_new_ids_leave_every_window_as_it_is(shop: Shop) -> None:
    before = totals(shop), shop.get("analytics-service", WINDOWS)["windows"]
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    again = []
    for m in broker.records("order-created", "payment-completed"):
        event = json.loads(m.value() or b"")
        later = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event |= {"eventId": f"again-{event['eventId']}", "timestamp": later}
        again.append((m.topic(), json.dumps(event).encode(), m.key()))
    broker.produce_all(again)
    assert wait_until(lambda: settled(broker), timeout=SECONDS)
    sums = [{**window, "closed": 0, "first": 0} for window in before[1]]
    now = shop.get("analytics-service", WINDOWS)["windows"]
    assert [{**window, "closed": 0, "first": 0} for window in now] == sums
    assert totals(shop) == totals_of_windows(shop) == before[0]


WINDOWS = "/windows?size=10&step=10"


LATENESS = 5


def watermark(shop: Shop) -> float:
    mark = shop.get("analytics-service", WINDOWS)["watermark"]
    return datetime.fromisoformat(mark).timestamp()


def newest_event(shop: Shop) -> float:
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    records = broker.records(*(kind.topic for kind in CONSUMES))
    times = [json.loads(m.value() or b"")["timestamp"] for m in records]
    return datetime.fromisoformat(max(times)).timestamp()


def totals(shop: Shop) -> tuple[float, ...]:
    view = shop.get("analytics-service", "/analytics")
    names = ("orderCount", "successfulOrders", "failedOrders", "totalRevenue")
    return tuple(view[name] for name in names)


def totals_of_windows(shop: Shop) -> tuple[float, ...]:
    windows = shop.get("analytics-service", WINDOWS)["windows"]
    names = ("orders", "successful", "failed", "revenue")
    return tuple(round(sum(window[name] for window in windows), 2) for name in names)


TRUTHS = [
    ("order-service", "/orders"),
    ("payment-service", "/ledger"),
    ("inventory-service", "/stock"),
    ("analytics-service", "/analytics"),
]


def settled(broker: Broker) -> bool:
    reads = {
        "payment-service-group": ["order-created", "order-confirmed", "order-cancelled"],
        "inventory-service-group": ["payment-completed", "order-confirmed", "order-cancelled"],
        "analytics-service-2-group": ["order-created", "payment-completed"],
    }
    return all(broker.lag(group, topic) == 0 for group, topics in reads.items() for topic in topics)


def test_forged_events_move_no_money(shop: Shop) -> None:
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    before = {path: shop.get(s, path) for s, path in TRUTHS[:3]}
    completed = next(each for each in before["/orders"] if each["status"] == "completed")
    forged: list[tuple[str, bytes, bytes]] = []
    for id, kind, topic, data in [
        (completed["id"], "OrderCancelled", "order-cancelled", {"reason": "forged"}),
        ("never-ordered", "OrderConfirmed", "order-confirmed", {}),
        (
            "never-ordered",
            "InventoryReserved",
            "inventory-reserved",
            {"reservationId": "r", "items": [{"productId": "prod-1", "quantity": 1, "price": 1}]},
        ),
        (
            "never-charged",
            "PaymentCompleted",
            "payment-completed",
            {
                "paymentId": "p",
                "amount": -1,
                "items": [{"productId": "prod-1", "quantity": -1, "price": 1}],
            },
        ),
    ]:
        envelope = {
            "eventType": kind,
            "eventId": f"forged-{kind}",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "correlationId": "forged",
            "causationId": None,
            "version": 1,
            "data": {"orderId": id, **data},
        }
        forged.append((topic, json.dumps(envelope).encode(), id.encode()))
    broker.produce_all(forged)
    assert wait_until(lambda: settled(broker), timeout=SECONDS)
    assert {path: shop.get(s, path) for s, path in TRUTHS[:3]} == before
    dead = {
        m.value()
        for topic in ("order-confirmed", "inventory-reserved", "payment-completed")
        for m in broker.records(f"{topic}-dlq")
    }
    assert {value for _, value, _ in forged[1:]} <= dead


def test_a_silent_service_ends_orders_at_their_deadline(shop: Shop) -> None:
    shop.env.configure("order-service", SAGA_TIMEOUT_SECONDS=2)
    with shop.env["payment-service"].replicas[0].killed():
        ids = shop.orders("silent-", 10)
        known = lambda: {e["id"]: e["status"] for e in shop.get("order-service", "/orders")}  # noqa: E731
        assert wait_until(lambda: {known()[id] for id in ids} == {"cancelled"}, timeout=30)
    assert set(shop.ended(ids).values()) == {"cancelled"}
    shop.check_books()
