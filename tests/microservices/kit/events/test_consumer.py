"""A consumer of Kafka: on librdkafka's own mock cluster, which needs no Java."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from sqlalchemy import Connection

from environment.waiting import wait_until
from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.events import consumer as consumers
from microservices.kit.events import inbox, partition
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.delivery import Dependencies
from microservices.kit.events.envelope import Cause, Event, write_event
from microservices.kit.events.event_types import OrderConfirmed
from microservices.kit.settings import Settings

SECONDS = 20


class Cluster:
    """One broker in this process; its topics have four partitions."""

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
        broker = next(iter(self.producer.list_topics(timeout=10).brokers.values()))
        self.client: dict[str, Any] = {"bootstrap.servers": f"{broker.host}:{broker.port}"}

    def publish(self, count: int) -> None:
        for number in range(count):
            id = f"order-{number}"
            value = write_event(OrderConfirmed.new(order_id=id), Cause("click", None, ""))
            self.producer.produce(OrderConfirmed.topic, value, id)
        assert self.producer.flush(10) == 0


class NoTopics:
    """In the place of Topics: the cluster creates them."""

    async def create(self) -> None: ...


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class Service:
    """Counts effects; its work waits until `free` is set."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.effects: list[str] = []
        self.free = asyncio.Event()

    def effect(self, _: Connection, event: Event) -> None:
        self.effects.append(event.data.order_id)

    async def work(self, _: Event) -> None:
        await self.free.wait()

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[EventConsumer]:
        database = open_database("a-service", Settings(port=1, data_dir=self.folder))
        await database.start(inbox.table.create)
        config = ConsumerConfig("a-group", [Handler(OrderConfirmed, self.effect, self.work)])
        dependencies = Dependencies(database, None)  # type: ignore[arg-type]
        consumer = EventConsumer(
            self.cluster.client,
            config,
            dependencies,
            topics=NoTopics(),
            drain=Drain(),  # type: ignore[arg-type]
        )
        try:
            async with consumer:
                yield consumer
        finally:
            await database.stop()


async def until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, timeout=SECONDS, every=0.02)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_a_paused_partition_that_comes_back_is_read_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "MOST", 5)
    monkeypatch.setattr(partition, "FEW", 1)
    monkeypatch.setattr(consumers, "FINISH_SECONDS", 0.1)
    cluster.publish(120)

    async def test() -> None:
        service = Service(cluster, tmp_path)

        async with service.consuming() as consumer:

            def lose(client: Consumer) -> None:
                consumer._on_revoke(client, places)
                client.incremental_unassign(places)

            def regain(client: Consumer) -> None:
                client.incremental_assign([TopicPartition(p.topic, p.partition) for p in places])
                consumer._on_assign(client, places)

            await until(lambda: len(consumer._partitions) == 4)
            await until(lambda: all(each._paused for each in consumer._partitions.values()))
            places = [TopicPartition(*place) for place in consumer._partitions]
            consumer._calls.append(lose)
            await until(lambda: not consumer._partitions)
            await asyncio.sleep(0.5)
            consumer._calls.append(regain)
            await until(lambda: len(consumer._partitions) == 4)
            service.free.set()
            await until(lambda: len(set(service.effects)) == 120)

    run(test)


def test_a_message_that_cannot_be_taken_in_is_read_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, failures = partition.receive, []

    def fails_twice(message: Any) -> Any:
        if message.key() == b"order-3" and len(failures) < 2:
            failures.append(message.offset())
            raise SystemError("error return without exception set")
        return receive(message)

    monkeypatch.setattr(partition, "receive", fails_twice)
    cluster.publish(40)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        async with service.consuming():
            await until(lambda: len(service.effects) == 40)
        assert len(failures) == 2
        assert sorted(service.effects) == sorted(f"order-{n}" for n in range(40))

    run(test)


class RaisesOnce:
    """In the place of Kafka's client: its first poll raises."""

    def __init__(self, client: Consumer) -> None:
        self._client, self.raised = client, False

    def poll(self, seconds: float) -> Any:
        if self.raised:
            return self._client.poll(seconds)
        self.raised = True
        raise RuntimeError("a defect in a callback")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_poll_that_raises_is_repeated(cluster: Cluster, tmp_path: Path) -> None:
    cluster.publish(4)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        async with service.consuming() as consumer:
            await until(lambda: len(service.effects) == 4)
            client = RaisesOnce(consumer._consumer)
            consumer._consumer = client  # type: ignore[assignment]
            await until(lambda: client.raised)
            cluster.publish(8)
            await until(lambda: len(service.effects) == 12)

    run(test)


def test_a_consumer_whose_thread_has_ended_is_not_ready(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(_: EventConsumer) -> None:
        raise SystemExit

    cluster.publish(4)

    async def test() -> None:
        async with Service(cluster, tmp_path).consuming() as consumer:
            await until(lambda: len(consumer._partitions) == 4)
            assert await consumer.unavailable() is None
            monkeypatch.setattr(EventConsumer, "_fetch", ends)
            await until(lambda: not consumer._thread.is_alive())
            assert await consumer.unavailable() == "not yet a member of a-group"

    run(test)
