"""Phase 5's services on a real broker: each order ends as the coin says, and money and stock add up."""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pandas as pd
import pytest

from environment import Environment, LabError
from environment.waiting import wait_until
from labs import story
from labs.audit import audit
from labs.pages import read_all
from labs.published import topic_of
from microservices.analytics_service.v2 import CONSUMES
from microservices.kit import coin
from microservices.kit.events.event_types import EVENTS, NotificationRequested, dead_letter_topic
from microservices.order_service.v4 import COMMANDS
from tests.environment.broker import Broker
from tests.labs.cli.command import run_lab
from tests.residue import nothing_left

SERVICES = ["kafka", "order-service", "payment-service", "inventory-service", "analytics-service"]
SEED, SECONDS, PRICE = 7, 60, 19.99
PAYMENT_RATE, INVENTORY_RATE = 0.3, 0.2
STOCK = 100_000
SESSION_SECONDS = 6
"""A group removes a member that is silent for so long (kit/events/kafka.py)."""

until = partial(wait_until, timeout=SECONDS, every=0.2)
"""Each look reads whole lists: looks that follow one another at once would keep the services from their work."""


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

        assert until(lambda: "pending" not in statuses().values(), timeout=seconds)
        assert until(self.at_rest, timeout=seconds), self.gauges()
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
        assert until(lambda: view()["totalRevenue"] == revenue), view()

    def audited(self) -> pd.DataFrame:
        """Read the audit by the order, once the events of every order have been read."""
        table = audit(self.env).set_index("order")
        until(lambda: not under_way(audit(self.env)))
        return audit(self.env).set_index("order") if under_way(table) else table


def under_way(table: pd.DataFrame) -> bool:
    return bool(table["verdict"].str.startswith("under way").any())


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
        settings={"inventory-service": {"STOCK": f"prod-1={STOCK},last=1,few=5"}},
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


def test_the_audit_finds_every_order_right(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    table = shop.audited()
    assert set(table["verdict"]) == {"right"}
    assert table.attrs["books"] == []
    assert set(table["stock"]) == {"sold", "failed", ""}
    refunded = table["refund_seconds"].notna()
    assert (refunded == (table["refunded"] > 0)).all()
    assert refunded.any()
    printed = run_lab(capsys, "audit", "--session", str(shop.env.session))
    assert printed.code == 0
    assert printed.out.rstrip().endswith(f"{len(table)} orders, {len(table)} right")


def test_the_story_of_an_order_is_a_tree(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    table = shop.audited()
    ends = {"sold": "OrderConfirmed", "failed": "OrderCancelled", "": "OrderCancelled"}
    for stock, end in ends.items():
        told = story.story(shop.env, str(table.index[table["stock"] == stock][0]))
        assert told["cause"].isna().sum() == told["trace"].nunique() == 1
        assert set(told["cause"].dropna()) <= set(told["event"])
        assert end in set(told["type"])
        assert story.remaining(told, story.readings(shop.env, told)) == []
    session = ("--session", str(shop.env.session))
    printed = run_lab(capsys, "saga", told["correlation"].iloc[0], *session)
    assert "It has ended." in printed.out
    assert "o-------------------->*" in printed.out
    rows = json.loads(run_lab(capsys, "saga", told["order"].iloc[0], "--json", *session).out)
    assert [row["event"] for row in rows] == told["event"].tolist()
    unknown = run_lab(capsys, "saga", "nobody", *session)
    assert unknown.code == 2
    assert unknown.err.startswith("error: No event has the order id or the correlation id 'nobody'")


def test_kafkas_tools_show_the_topics_and_groups_of_a_saga(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = {kind.topic for kind in EVENTS} - {
        kind.topic for kind in (NotificationRequested, *COMMANDS)
    }
    shown = shop.env.kafka.topics().set_index("topic")["messages"]
    assert topics | {dead_letter_topic(topic) for topic in topics} <= set(shown.index)
    assert (shown[sorted(topics)] > 0).all()
    lags = shop.env.kafka.lag("inventory-service-group")
    assert set(lags["topic"]) == {"payment-completed", "order-confirmed", "order-cancelled"}
    session = ("--session", str(shop.env.session))
    assert "payment-refunded" in run_lab(capsys, "kafka", "topics", *session).out
    assert "inventory-service-group" in run_lab(capsys, "kafka", "groups", *session).out
    page = shop.http.get(f"{shop.env.kafka.ui().url}api/overview").json()
    assert topics <= {row["topic"] for row in page["topics"]}
    assert "inventory-service-group" in {row["group"] for row in page["groups"]}


def test_an_order_that_waits_shows_where(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with shop.env["payment-service"].replicas[0].killed():
        id = shop.order("waits")
        session = ("--session", str(shop.env.session))
        assert until(lambda: run_lab(capsys, "saga", id, *session).code == 0)
        printed = run_lab(capsys, "saga", id, *session).out
        assert "It has not ended.\n  payment-service has not read OrderCreated at" in printed
    shop.ended([id])


def test_deaths_of_services_and_broker_change_no_outcome(shop: Shop) -> None:
    ids: list[str] = []
    for number, service in enumerate(SERVICES):
        ids += shop.orders(f"killed-{number}-", 30)
        with shop.env[service].replicas[0].killed():
            if service != "order-service":
                ids += shop.orders(f"down-{number}-", 10)
    assert shop.ended(ids, seconds=90) == {id: outcome(id) for id in ids}
    shop.check_books()
    assert not shop.audited()["contradicts"].any()


def test_three_replicas_of_each_end_orders_alike(shop: Shop) -> None:
    for service in SERVICES[1:]:
        shop.env.scale(service, 3)
    ids = shop.orders("three-", 200)
    assert shop.ended(ids) == {id: outcome(id) for id in ids}
    shop.check_books()
    assert totals_of_windows(shop) == totals(shop)
    passed = newest_event(shop) - LATENESS
    assert until(lambda: watermark(shop) == pytest.approx(passed, abs=0.002))
    for service in SERVICES[1:]:
        shop.env.scale(service, 1)


def test_a_held_event_waits_longer_than_a_silent_member_may(shop: Shop) -> None:
    payment = shop.env["payment-service"]
    with payment.held({"order-created": ["*"]}) as fault:
        (id,) = shop.orders("held-", 1)

        def held() -> bool:
            waiting = {"topic": "order-created", "orderId": id}
            return any(waiting in report["held"] for report in payment.points().values())

        assert until(held)
        assert until(lambda: time.time() > fault.began + SESSION_SECONDS + 1)
        assert held(), "the group removed a member that only holds an event"
        assert payment.replicas[0].ready
        assert shop.get("order-service", f"/orders/{id}")["status"] == "pending"
        fault.replace({"order-cancelled": ["*"]})
        assert until(lambda: not held())
    assert shop.ended([id]) == {id: outcome(id)}


def test_a_crash_point_ends_a_service_whose_order_ends_all_the_same(shop: Shop) -> None:
    payment = shop.env["payment-service"]
    with payment.crashing("committed", "OrderCreated"):
        (id,) = shop.orders("crashed-", 1)
        assert until(lambda: payment.replicas[0].condition == "exited")
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
    cancelled = [id for id, status in statuses.items() if status == "cancelled"]
    reasons = {shop.get("order-service", f"/orders/{id}")["cancellationReason"] for id in cancelled}
    assert "1 of last were ordered, 0 are left" in reasons


def test_what_the_shelf_cannot_give_gets_a_sentence(shop: Shop) -> None:
    wanted = [shop.order(f"unknown-{n}", product="no-such") for n in range(8)]
    wanted += [shop.order(f"many-{n}", product="few", quantity=6) for n in range(8)]
    assert set(shop.ended(wanted).values()) == {"cancelled"}
    reasons = {shop.get("order-service", f"/orders/{id}")["cancellationReason"] for id in wanted}
    assert reasons == {
        "the card was declined",
        "there is no product no-such",
        "6 of few were ordered, 5 are left",
    }


def test_a_stock_that_cannot_be_read_gets_a_sentence(shop: Shop) -> None:
    with pytest.raises(LabError, match="STOCK is 'prod-1': 'prod-1' should be product=number"):
        shop.env.configure("inventory-service", STOCK="prod-1")
    assert shop.env["inventory-service"].replicas[0].ready


def test_all_records_sent_again_change_nothing(shop: Shop) -> None:
    before = {path: shop.get(s, path) for s, path in TRUTHS}
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    records = broker.records(
        "order-created", "payment-completed", "order-confirmed", "order-cancelled"
    )
    broker.produce_all([(m.topic(), m.value(), m.key()) for m in reversed(records)])
    assert until(lambda: settled(broker))
    assert {path: shop.get(s, path) for s, path in TRUTHS} == before


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


def test_a_silent_service_ends_orders_at_their_deadline(shop: Shop) -> None:
    shop.env.configure("order-service", SAGA_TIMEOUT_SECONDS=2)
    with shop.env["payment-service"].replicas[0].killed():
        ids = shop.orders("silent-", 10)
        known = lambda: {e["id"]: e["status"] for e in shop.get("order-service", "/orders")}  # noqa: E731
        assert until(lambda: {known()[id] for id in ids} == {"cancelled"}, timeout=30)
    assert set(shop.ended(ids).values()) == {"cancelled"}
    shop.check_books()
    assert not shop.audited()["contradicts"].any()


def test_events_under_new_ids_leave_every_window_as_it_is(shop: Shop) -> None:
    """After the audits that find nothing: these name every order of which an event has another id, too."""
    before = totals(shop), shop.get("analytics-service", WINDOWS)["windows"]
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    again = []
    for m in broker.records("order-created", "payment-completed"):
        event = json.loads(m.value() or b"")
        later = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event |= {"eventId": f"again-{event['eventId']}", "timestamp": later}
        again.append((m.topic(), json.dumps(event).encode(), m.key()))
    broker.produce_all(again)
    assert until(lambda: settled(broker))
    sums = [{**window, "closed": 0, "first": 0} for window in before[1]]
    now = shop.get("analytics-service", WINDOWS)["windows"]
    assert [{**window, "closed": 0, "first": 0} for window in now] == sums
    assert totals(shop) == totals_of_windows(shop) == before[0]


def forged(kind: str, order: str, **data: Any) -> tuple[str, bytes, bytes]:
    """An event that no service published: its topic, value and key."""
    envelope = {
        "eventType": kind,
        "eventId": f"forged-{uuid.uuid4()}",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "correlationId": "forged",
        "causationId": None,
        "version": 1,
        "data": {"orderId": order, **data},
    }
    return topic_of(kind), json.dumps(envelope).encode(), order.encode()


def test_forged_events_move_no_money(shop: Shop) -> None:
    """After all looks at the books: analytics-service adds up what the topics hold, also what was forged."""
    broker = Broker(str(shop.env.state()["kafka"]["bootstrap"]))
    verdicts = shop.audited()["verdict"]  # no event is under way any more
    before = {path: shop.get(s, path) for s, path in TRUTHS[:3]}
    ends: dict[str, list[str]] = {"completed": [], "cancelled": []}
    for each in before["/orders"]:
        ends[each["status"]].append(each["id"])
    charged = {each["orderId"] for each in before["/ledger"]["charges"]}
    sold, unpaid = ends["completed"], [id for id in ends["cancelled"] if id not in charged]
    items = [{"productId": "prod-1", "quantity": 1, "price": PRICE}]
    negative = [{"productId": "prod-1", "quantity": -1, "price": PRICE}]
    contradicting = [
        forged("OrderCancelled", sold[0], reason="forged"),
        forged("InventoryFailed", sold[1], reason="forged", items=items),
        forged("PaymentFailed", sold[2], paymentId="p", amount=PRICE, reason="forged"),
        forged("OrderConfirmed", unpaid[0]),
        forged("InventoryReserved", unpaid[1], reservationId="r", items=items),
        forged("PaymentCompleted", unpaid[2], paymentId="p", amount=PRICE, items=items),
        forged("OrderConfirmed", "never-ordered"),
        forged("InventoryReserved", "never-ordered", reservationId="r", items=items),
        *(
            event
            for number, amount in enumerate((-1, 2**63, -(2**63), 1e19))
            for event in (
                forged("PaymentRefunded", f"gift-{number}", paymentId="p", amount=amount),
                forged("OrderCreated", f"made-{number}", userId="e", total=amount, items=items),
                forged(
                    "PaymentCompleted", f"paid-{number}", paymentId="p", amount=amount, items=items
                ),
            )
        ),
        forged("PaymentCompleted", "negative", paymentId="p", amount=PRICE, items=negative),
        forged("OrderCreated", "less-than-nothing", userId="e", total=PRICE, items=negative),
        # Refunds of an order that was never charged, and of nothing at all.
        forged("PaymentRefunded", unpaid[3], paymentId="p", amount=0),
        forged("PaymentRefunded", "never-charged", paymentId="p", amount=0),
    ]
    broker.produce_all(contradicting)
    assert until(lambda: settled(broker))
    table = shop.audited()
    assert {path: shop.get(s, path) for s, path in TRUTHS[:3]} == before
    assert table.loc[[key.decode() for _, _, key in contradicting], "contradicts"].all()
    found = set(table.index[table["verdict"] != verdicts.reindex(table.index)])
    assert found == {key.decode() for _, _, key in contradicting}
    letters = set(shop.env.kafka.dead_letters()["key"])
    unreadable = ("gift-", "made-", "paid-", "negative", "less-")
    assert {key for key in found if key.startswith(unreadable)} <= letters
    assert {sold[0], unpaid[0], "never-ordered"} <= letters
