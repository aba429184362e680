"""One broker for all of these tests; each has topics and groups of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from environment import Environment
from environment.kafka.tools import Kafka
from environment.waiting import wait_until
from tests.odd_records import send_odd_record
from tests.residue import nothing_left

SECONDS = 20

Joined = Callable[..., AbstractContextManager[Consumer]]


@pytest.fixture(scope="package")
def env() -> Iterator[Environment]:
    environment = Environment("phase4", runtime="process", only=["kafka"])
    environment.start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


@pytest.fixture
def kafka(env: Environment) -> Iterator[Kafka]:
    yield env.kafka
    env.kafka.close()


@pytest.fixture
def topic(kafka: Kafka) -> str:
    name = f"order-created-{uuid.uuid4().hex[:8]}"
    kafka.create(name)
    return name


@pytest.fixture
def group() -> str:
    return f"payment-service-group-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def joined(kafka: Kafka, group: str) -> Joined:
    """`joined(topic)`: a block in which a consumer called payment-service-1 has all partitions of the topic."""

    @contextmanager
    def block(topic: str) -> Iterator[Consumer]:
        words = {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "client.id": "payment-service-1",
            "session.timeout.ms": 6000,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        consumer = Consumer(words)
        consumer.subscribe([topic])

        def has_all() -> bool:
            # Asking for messages is what joins; one that comes is put back.
            if message := consumer.poll(0.1):
                consumer.seek(TopicPartition(topic, message.partition(), message.offset()))
            return len(consumer.assignment()) == 6

        try:
            assert wait_until(has_all, timeout=SECONDS)
            yield consumer
        finally:
            consumer.close()

    return block


def letter(
    kafka: Kafka, origin: str, value: bytes | None, *, key: bytes | None = b"order-7", **said: Any
) -> None:
    """A dead letter of `origin`, as a service writes it; `said` replaces headers, and None leaves one out."""
    told: dict[str, Any] = {
        "topic": origin,
        "partition": 3,
        "offset": 17,
        "timestamp": 1790000000123,
        "group": "payment-service-group",
        "attempts": 3,
        "error": "ValidationError: data.orderId should be a string",
        **said,
    }
    headers = [
        ("traceparent", b"00-trace-01"),
        *((f"dlq.{name}", str(v).encode()) for name, v in told.items() if v is not None),
    ]
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all"})
    producer.produce(f"{origin}-dlq", value, key=key, headers=headers, partition=0)  # type: ignore[arg-type]
    assert producer.flush(SECONDS) == 0


def check_odd_records(kafka: Kafka, topic: str) -> None:
    """Records with a header name that is not UTF-8 are shown, and harm neither the reader nor the page."""
    kafka.create(f"{topic}-dlq")
    for name in (topic, f"{topic}-dlq"):
        send_odd_record(kafka.bootstrap, name, b"odd", b"order-1", partition=0)
        kafka.produce(name, "next", headers={"dlq.topic": topic}, partition=0)
    for _ in range(2):
        read = kafka.read(topic)
        assert (read.value.tolist(), read.headers.tolist()) == (
            ["odd", "next"],
            [None, {"dlq.topic": topic}],
        )
    letters = kafka.dead_letters(topic)
    assert (letters.value.tolist(), letters.origin.tolist()) == (["odd", "next"], [None, topic])
    page = kafka.ui().url
    for path in (f"api/topics/{topic}/messages", "api/dead-letters"):
        for _ in range(3):
            rows = httpx.get(page + path, timeout=SECONDS).raise_for_status().json()
            assert [row["value"] for row in rows if row["topic"].startswith(topic)] == [
                "next",
                "odd",
            ]
    assert kafka.redrive(topic).outcome.tolist() == [
        "passed over: its headers cannot be read",
        "sent",
    ]
