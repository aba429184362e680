"""Phase 4's services on a real broker, looked at from outside: nothing is lost, and nothing happens twice.

One system for all tests: each makes orders of its own and looks at these; the last ones look at all there are.
"""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from environment import Environment
from environment.waiting import wait_until
from labs.pages import read_all
from tests.environment.broker import Broker
from tests.microservices.running import Running
from tests.mutants.descriptions import mutated
from tests.odd_records import send_odd_record
from tests.residue import nothing_left

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]

TOPICS = (
    "order-created",
    "payment-completed",
    "order-confirmed",
    "notification-requested",
)
GROUP = "payment-service-group"
SECONDS = 30
TOTAL = 39.98

until = partial(wait_until, timeout=SECONDS, every=0.1)
"""Each look reads whole lists or topics: looks without a pause would keep the services from their work."""

ITEMS = ({"productId": "prod-1", "quantity": 2, "price": 19.99},)


class System:
    """Phase 4 without a gateway, and a look at it."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.broker = Broker(str(env.state()["kafka"]["bootstrap"]))
        self.http = httpx.Client(timeout=10, trust_env=False)

    def get(self, service: str, path: str) -> Any:
        return read_all(self.http, self.env[service].replicas[0].url + path)

    def order(
        self,
        user: str = "user-1",
        key: str | None = None,
        replica: int = 0,
        items: Sequence[dict[str, Any]] = ITEMS,
    ) -> str:
        """Makes an order; its id, once order-service has acknowledged it."""
        body = {"userId": user, "items": items}
        url = self.env["order-service"].replicas[replica].url + "/orders"
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.http.post(url, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def orders(self, count: int) -> list[str]:
        return [self.order() for _ in range(count)]

    def unready(self, service: str) -> str:
        """Why a service is not ready; empty when it is."""
        answer = self.http.get(self.env[service].replicas[0].url + "/ready")
        return "" if answer.status_code == 200 else str(answer.json()["detail"])

    def metric(self, service: str, name: str) -> float:
        """The value of a gauge."""
        text = self.http.get(self.env[service].replicas[0].url + "/metrics").text
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.partition(" ")[2])

    def statuses(self, ids: list[str]) -> Counter[str]:
        known = {order["id"]: order["status"] for order in self.get("order-service", "/orders")}
        return Counter(known.get(id, "lost") for id in ids)

    def charges(self, ids: list[str]) -> list[tuple[str, float]]:
        ledger = self.get("payment-service", "/ledger")["charges"]
        return sorted((e["orderId"], e["amount"]) for e in ledger if e["orderId"] in set(ids))

    def notified(self, ids: list[str]) -> list[str]:
        sent = self.get("notification-service", "/notifications")
        return sorted(each["orderId"] for each in sent if each["orderId"] in set(ids))

    def complete(self, ids: list[str]) -> None:
        """All orders complete, each is charged once, and each customer is notified once."""
        done = {"completed": len(ids)}
        assert until(lambda: self.statuses(ids) == done), self.statuses(ids)
        told = sorted(ids)
        assert until(lambda: len(self.notified(ids)) >= len(ids))
        assert self.charges(ids) == [(id, TOTAL) for id in told]
        assert self.notified(ids) == told

    def settled(self) -> bool:
        """Whether every group has dealt with all that lies in the topics."""
        reads = {
            GROUP: ["order-created"],
            "order-service-group": ["payment-completed"],
            "notification-service-group": ["notification-requested"],
        }
        return all(
            self.broker.lag(group, t) == 0 for group, topics in reads.items() for t in topics
        )

    def pids(self) -> dict[str, int | None]:
        rows = self.env.state()["services"].values()
        return {replica["id"]: replica["pid"] for row in rows for replica in row["replicas"]}

    def await_told(self, ids: list[str]) -> None:
        """Each order's OrderCreated is in Kafka, in the partition of its key."""

        def told() -> bool:
            keys = {m.key() for m in self.broker.records("order-created")}
            return {id.encode() for id in ids} <= keys

        assert until(told)

    def dead(self, topic: str, values: set[bytes | None]) -> list[Any]:
        return [m for m in self.broker.records(f"{topic}-dlq") if m.value() in values]

    def letters_of(self, topic: str, value: bytes) -> list[Any]:
        """The dead letters of the message with this value, which may be cut."""
        (origin,) = [m for m in self.broker.records(topic) if m.value() == value]
        place = {"dlq.partition": origin.partition(), "dlq.offset": origin.offset()}
        wanted = {(name, str(number).encode()) for name, number in place.items()}
        return [m for m in self.broker.records(f"{topic}-dlq") if wanted <= set(m.headers())]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    command = ["python", "-m", "tests.environment.raising_payment", "2"]
    folder = tmp_path_factory.mktemp("described")
    env = Environment(
        "phase4",
        runtime="process",
        only=["kafka", "order-service", "payment-service", "notification-service"],
        settings={"payment-service": {"PAYMENT_SECONDS": "0.3", "RETRY_BACKOFF_SECONDS": "0.05"}},
        description=mutated(folder, {"payment-service": {"command": command}}),
    )
    env.start()
    session = str(env.session)
    yield System(env)
    env.stop()
    assert nothing_left(session, seconds=0) == []


def event(**changes: Any) -> dict[str, Any]:
    """OrderCreated of an order that order-service does not have."""
    data = {
        "orderId": str(uuid.uuid4()),
        "userId": "user-1",
        "items": [{"productId": "prod-1", "quantity": 2, "price": 19.99}],
        "total": TOTAL,
    }
    envelope = {
        "eventType": "OrderCreated",
        "eventId": str(uuid.uuid4()),
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "correlationId": "click",
        "causationId": None,
        "version": 1,
        "data": data | {name: changes.pop(name) for name in list(changes) if name in data},
    }
    return envelope | changes


def encoded(envelope: dict[str, Any]) -> tuple[bytes, bytes]:
    """Value and key."""
    return json.dumps(envelope).encode(), str(envelope["data"]["orderId"]).encode()


def poisons() -> dict[str, tuple[bytes | None, bytes | None]]:
    """Twelve messages, each with a fault of its own: name to (value, key)."""
    good, key = encoded(event())
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="milliseconds")
    deep, long = encoded(event()), encoded(event())
    return {
        "not JSON": (b"order please", b"not-json"),
        "wrong schema": encoded(event(items="two books")),
        "unknown version": encoded(event(version=2)),
        "null value": (None, b"null-value"),
        "null key": (encoded(event())[0], None),
        "invalid UTF-8": (good.replace(b"user-1", b"us\xffer"), key),
        "lone surrogate": (good.replace(b"user-1", b"\\ud800"), key),
        "NaN amount": (good.replace(b"39.98", b"NaN"), key),
        "deep nesting": (deep[0].replace(b'"user-1"', b"[" * 5000 + b"]" * 5000), deep[1]),
        "1 MB": (long[0].replace(b"user-1", b"u" * 1_000_000), long[1]),
        "a handler that raises": encoded(event(userId="raises-always")),
        "a future timestamp": encoded(event(timestamp=tomorrow)),
    }


def test_an_order_is_accepted_first_and_completed_by_events(system: System) -> None:
    with system.env["payment-service"].paused():
        id = system.order(key=(key := uuid.uuid4().hex))
        assert system.statuses([id]) == {"pending": 1}
        assert system.order(key=key) == id
    system.complete([id])


def test_every_event_of_an_order_carries_one_trace(
    system: System,
) -> None:
    id = system.order()
    system.complete([id])
    mine = [m for m in system.broker.records(*TOPICS) if m.key() == id.encode()]
    found = {json.loads(m.value())["eventType"]: json.loads(m.value()) for m in mine}
    assert {m.topic() for m in mine} == set(TOPICS)
    assert len({each["correlationId"] for each in found.values()}) == 1
    assert found["OrderCreated"]["causationId"] is None
    assert found["PaymentCompleted"]["causationId"] == found["OrderCreated"]["eventId"]
    assert found["OrderConfirmed"]["causationId"] == found["PaymentCompleted"]["eventId"]
    traces = [dict(m.headers())["traceparent"].decode().split("-") for m in mine]
    assert len({trace for _, trace, _, _ in traces}) == 1
    assert len({span for _, _, span, _ in traces}) == len(mine)


def test_poison_is_set_aside_and_good_events_have_effect(
    system: System,
) -> None:
    before, sent = system.pids(), poisons()
    good = []
    for value, key in sent.values():
        good.append(system.order())
        system.broker.produce("order-created", value, key)
    good += system.orders(3)
    system.complete(good)
    values = {value for value, _ in sent.values()}
    assert until(lambda: len(system.dead("order-created", values)) >= 12)
    letters = {letter.value(): letter for letter in system.dead("order-created", values)}
    assert len(letters) == 12
    origins = {
        (m.topic(), m.partition(), m.offset()): m for m in system.broker.records("order-created")
    }
    for name, (value, key) in sent.items():
        letter, headers = letters[value], dict(letters[value].headers())
        origin = origins[
            headers["dlq.topic"].decode(),
            int(headers["dlq.partition"]),
            int(headers["dlq.offset"]),
        ]
        assert (letter.key(), origin.value(), origin.key()) == (key, value, key), name
        assert int(headers["dlq.timestamp"]) == origin.timestamp()[1]
        assert headers["dlq.group"].decode() == GROUP
        assert int(headers["dlq.attempts"]) == (3 if "raises" in name else 0), name
        assert headers["dlq.error"], name
    assert until(system.settled)
    assert system.pids() == before, "no consumer was restarted"


def test_an_effect_that_fails_once_is_tried_again(system: System) -> None:
    id = system.order(user="raises-once")
    system.complete([id])


def test_a_refused_dead_letter_holds_nothing_up(system: System) -> None:
    check_refused_letters(system)


def test_a_refused_event_holds_no_other_event_up(system: System) -> None:
    check_refused_events(system)


def test_headers_that_cannot_be_read_lose_no_order(system: System) -> None:
    check_odd_records(system)


def test_an_early_event_waits_for_its_time(system: System) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=64)).isoformat(timespec="milliseconds")
    value, key = encoded(event(timestamp=soon))
    system.broker.produce("order-created", value, key)
    order = key.decode()
    assert until(lambda: system.charges([order]) == [(order, TOTAL)])
    assert system.dead("order-created", {value}) == []


def check_refused_letters(system: System) -> None:
    """A dead letter that its topic finds too large is cut; one that it refuses is kept, and sent later."""
    large, refused = uuid.uuid4().hex.encode() * 2000, uuid.uuid4().hex.encode()
    system.broker.set_topic("order-created-dlq", "max.message.bytes", "5000")
    try:
        system.broker.produce("order-created", large, b"key", partition=0)
        ids = system.orders(12)
        system.complete(ids)
        assert until(system.settled), "no partition waits"
        (letter,) = [
            m
            for m in system.broker.records("order-created-dlq")
            if large.startswith(m.value() or b"?")
        ]
        headers = dict(letter.headers())
        (origin,) = [m for m in system.broker.records("order-created") if m.value() == large]
        assert (int(headers["dlq.partition"]), int(headers["dlq.offset"])) == (0, origin.offset())
        assert (int(headers["dlq.truncated"]), letter.key()) == (len(large), b"key")
        assert len(letter.value()) >= 1000
        system.broker.set_topic("order-created-dlq", "max.message.bytes", "1")
        system.broker.produce("order-created", refused, b"key", partition=0)
        system.complete(system.orders(12))
        assert until(system.settled), "no partition waits"
        assert system.metric("payment-service", "dead_letters_refused") == 1
        assert system.letters_of("order-created", refused) == []
    finally:
        system.broker.set_topic("order-created-dlq", "max.message.bytes", "2000000")
    # Cut, when the limit rose while the letter was offered shorter and shorter.
    assert until(lambda: len(system.letters_of("order-created", refused)) == 1)
    assert until(lambda: system.metric("payment-service", "dead_letters_refused") == 0)


def check_refused_events(system: System) -> None:
    """An event that its topic refuses becomes a dead letter; those behind it are published."""
    system.broker.set_topic("order-created", "max.message.bytes", "600")
    try:
        items = [{"productId": f"prod-{n}", "quantity": 1, "price": 1} for n in range(50)]
        large = system.order(items=items)
        ids = system.orders(3)
        system.complete(ids)
        assert until(lambda: system.metric("order-service", "outbox_events") == 0)
    finally:
        system.broker.set_topic("order-created", "max.message.bytes", "1048588")
    letters = [m for m in system.broker.records("order-created-dlq") if m.key() == large.encode()]
    (letter,) = letters
    headers = dict(letter.headers())
    assert headers["dlq.group"] == b"outbox"
    assert b"MSG_SIZE_TOO_LARGE" in headers["dlq.error"]
    assert json.loads(letter.value())["data"]["orderId"] == large
    assert system.statuses([large]) == {"pending": 1}
    sent = system.env.kafka.redrive("order-created").set_index("key")
    assert sent.outcome[large] == "sent"
    assert until(lambda: system.statuses([large]) == {"completed": 1})


def check_deleted_topics(system: System) -> None:
    """Topics that are deleted under the running services are created again, and used without a restart."""
    before, poison = system.pids(), uuid.uuid4().hex.encode()
    system.complete(system.orders(6))
    system.broker.delete("order-created", "order-created-dlq", "payment-completed")
    services = ("order-service", "payment-service")
    assert until(lambda: all(system.unready(each) == "" for each in services))
    ids = system.orders(12)
    system.complete(ids)
    system.broker.produce("order-created", poison, b"key")
    assert until(lambda: len(system.dead("order-created", {poison})) == 1)
    system.broker.delete("order-created-dlq")
    poison = uuid.uuid4().hex.encode()
    system.broker.produce("order-created", poison, b"key")
    assert until(lambda: len(system.dead("order-created", {poison})) == 1)
    system.complete(system.orders(6))
    assert system.pids() == before, "nothing was restarted"


def check_odd_records(system: System) -> None:
    """Records with a header name that is not UTF-8, among orders in every partition, become dead letters."""
    before, ids = system.pids(), []
    odd = {uuid.uuid4().hex.encode() for _ in range(6)}
    with system.env["payment-service"].stopped():  # so that it receives all of them at once
        for partition, value in enumerate(odd):
            ids += system.orders(3)
            send_odd_record(
                system.broker.bootstrap, "order-created", value, b"key", partition=partition
            )
        ids += system.orders(6)
    system.complete(ids)
    assert until(lambda: len(system.dead("order-created", odd)) == 6)
    for letter in system.dead("order-created", odd):
        headers = dict(letter.headers())
        assert headers["dlq.error"].startswith(b"the headers cannot be read"), headers
        assert (letter.key(), headers["dlq.topic"]) == (b"key", b"order-created")
    assert until(system.settled)
    stopped = "payment-service-1"
    assert before | {stopped: None} == system.pids() | {stopped: None}, "nothing else was restarted"


def test_every_record_sent_again_ten_times_changes_nothing(system: System) -> None:
    ids = system.orders(5)
    system.complete(ids)
    before = [system.charges(ids), system.notified(ids), system.statuses(ids)]
    again = [m for m in system.broker.records(*TOPICS) if m.key() in {id.encode() for id in ids}]
    assert len(again) >= 20
    system.broker.produce_all([(m.topic(), m.value(), m.key()) for m in again] * 10)
    assert until(system.settled)
    assert [system.charges(ids), system.notified(ids), system.statuses(ids)] == before


def test_payment_killed_inside_a_handler_charges_every_order_once(system: System) -> None:
    ids = system.orders(20)
    with system.env["payment-service"].killed():
        assert len(ids) > 0
        ids += system.orders(5)
    system.complete(ids)


def test_an_order_survives_a_dead_broker_and_a_dead_service(
    system: System,
) -> None:
    with ExitStack() as order_back, ExitStack() as kafka_back:
        kafka_back.enter_context(system.env["kafka"].killed())
        ids = system.orders(10)
        order_back.enter_context(system.env["order-service"].killed())
        kafka_back.close()
    system.complete(ids)


def test_a_broker_killed_under_load_loses_no_acknowledged_order(system: System) -> None:
    ids: list[str] = []
    enough = threading.Event()

    def load() -> None:
        while not enough.wait(0.02):
            ids.append(system.order())

    thread = threading.Thread(target=load)
    thread.start()
    try:
        assert until(lambda: len(ids) > 10)
        with system.env["kafka"].killed():
            before = len(ids)
            assert until(lambda: len(ids) > before + 5)
        after = len(ids)
        assert until(lambda: len(ids) > after + 10)
    finally:
        enough.set()
        thread.join()
    system.complete(ids)


def test_a_stop_without_a_broker_exits_0_in_time(
    system: System,
) -> None:
    with system.env["kafka"].killed(), ExitStack() as back:
        ids = system.orders(3)
        began = time.monotonic()
        for service in ("order-service", "payment-service"):
            back.enter_context(system.env[service].stopped())
            row = system.env.state()["services"][service]["replicas"][0]
            assert row["condition"] == "exited"
        assert time.monotonic() - began < 20
        log = system.env["order-service"].logs(200)
        assert "Traceback" not in log.rpartition("draining")[2]
        system.env._verbs.heal(["kafka"])
    system.complete(ids)


def test_three_replicas_own_two_partitions_each_and_the_seventh_idles(system: System) -> None:
    system.env.scale("payment-service", 3)
    assert until(lambda: system.broker.owned(GROUP) == [2, 2, 2])
    ids = system.orders(12)
    system.env.scale("payment-service", 7)
    assert until(lambda: system.broker.owned(GROUP) == [0, 1, 1, 1, 1, 1, 1])
    assert all(replica.ready for replica in system.env["payment-service"].replicas)
    system.complete(ids)


def test_a_member_that_wakes_after_its_session_harms_nothing(system: System) -> None:
    system.env.scale("payment-service", 3)
    assert until(lambda: system.broker.owned(GROUP) == [2, 2, 2])
    ids = system.orders(12)
    with system.env["payment-service"].replicas[1].paused():
        ids += system.orders(12)
        assert until(lambda: system.broker.owned(GROUP) == [3, 3])
        done = {"completed": len(ids)}
        assert until(lambda: system.statuses(ids) == done)
    assert until(lambda: system.broker.owned(GROUP) == [2, 2, 2])
    ids += system.orders(12)
    system.complete(ids)


def test_another_replica_publishes_the_events_of_a_dead_one(
    system: System,
) -> None:
    system.env.scale("order-service", 3)
    ids = [system.order(replica=number) for number in (0, 1, 2) * 3]
    for victim in (0, 1, 2):  # one of them has the lease
        with system.env["order-service"].replicas[victim].killed():
            other = (victim + 1) % 3
            ids += [system.order(replica=other) for _ in range(3)]
            system.await_told(ids)
    system.complete(ids)
    system.env.scale("order-service", 1)


def test_a_consumer_that_comes_late_misses_nothing(
    system: System, tmp_path_factory: pytest.TempPathFactory
) -> None:
    every = system.get("order-service", "/orders")
    charged = system.get("payment-service", "/ledger")["charges"]
    assert every
    late = Running(
        "analytics-service",
        data=tmp_path_factory.mktemp("late"),
        KAFKA_BOOTSTRAP=system.broker.bootstrap,
    )
    try:
        late.wait_ready()
        wanted = {
            "totalRevenue": round(sum(charge["amount"] for charge in charged), 2),
            "successfulOrders": len(every),
            "failedOrders": 0,
            "successRate": 1.0,
        }

        def shown() -> dict[str, Any]:
            found = late.http.get("/analytics").json()
            return {name: found[name] for name in wanted}

        assert until(lambda: shown() == wanted), (shown(), wanted)
    finally:
        late.close()


# After the tests that consume every event from the start: those of a deleted topic are gone.
def test_a_deleted_topic_is_created_again(system: System) -> None:
    check_deleted_topics(system)


@pytest.mark.docker
def test_on_docker_orders_survive_a_dead_payment_and_broker() -> None:
    with Environment(
        "phase4",
        runtime="docker",
        only=["kafka", "order-service", "payment-service", "notification-service"],
        settings={"payment-service": {"PAYMENT_SECONDS": "0.3"}},
    ) as env:
        system = System(env)
        ids = system.orders(5)
        with env["payment-service"].killed():
            ids += system.orders(5)
        with env["kafka"].killed():
            ids += system.orders(5)
        system.complete(ids)
        for check in (
            check_odd_records,
            check_refused_letters,
            check_refused_events,
            check_deleted_topics,
        ):
            check(system)
        session = str(env.session)
    assert nothing_left(session, seconds=5) == []
