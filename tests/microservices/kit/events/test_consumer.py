"""A consumer of Kafka: on librdkafka's own mock cluster, which needs no Java."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

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
from microservices.kit.events.delivery import Delivery, Dependencies
from microservices.kit.events.envelope import Cause, Event, write_event
from microservices.kit.events.event_types import OrderConfirmed
from microservices.kit.events.record import Record
from microservices.kit.events.stalls import Stalls
from microservices.kit.settings import Settings

SECONDS = 20


class Cluster:
    """One broker in this process; its topics have four partitions."""

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
        broker = next(iter(self.producer.list_topics(timeout=10).brokers.values()))
        self.client: dict[str, Any] = {"bootstrap.servers": f"{broker.host}:{broker.port}"}

    def publish(self, count: int, **place: int) -> None:
        for number in range(count):
            id = f"order-{number}"
            value = write_event(OrderConfirmed.new(order_id=id), Cause("click", None, ""))
            self.producer.produce(OrderConfirmed.topic, value, id, **place)
        assert self.producer.flush(10) == 0

    def committed(self) -> int:
        """How many messages the group is past, in all partitions."""
        reader = Consumer(self.client | {"group.id": "a-group"})
        places = [TopicPartition(OrderConfirmed.topic, n) for n in range(4)]
        offsets = [place.offset for place in reader.committed(places, timeout=10)]
        reader.close()
        return sum(offset for offset in offsets if offset > 0)


class NoTopics:
    """In the place of Topics: the cluster creates them."""

    ids: ClassVar[dict[str, str]] = {}

    async def create(self) -> None: ...


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class Office:
    """In the place of the office for dead letters: takes none until `opens` is set."""

    def __init__(self) -> None:
        self.letters: list[Record] = []
        self.opens = asyncio.Event()

    async def publish(self, letter: Record) -> None:
        await self.opens.wait()
        self.letters.append(letter)


class Service:
    """Counts effects; its work waits until `free` is set."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.effects: list[str] = []
        self.free, self.office, self.stalls = asyncio.Event(), Office(), Stalls()

    def effect(self, _: Connection, event: Event) -> None:
        self.effects.append(event.data.order_id)

    async def work(self, _: Event) -> None:
        await self.free.wait()

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[EventConsumer]:
        database = open_database("a-service", Settings(port=1, data_dir=self.folder))
        await database.start(lambda connection: inbox.table.create(connection, checkfirst=True))
        config = ConsumerConfig("a-group", [Handler(OrderConfirmed, self.effect, self.work)])
        dependencies = Dependencies(database, self.office, stalls=self.stalls)  # type: ignore[arg-type]
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


def test_the_offset_waits_for_the_dead_letter(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microservices.kit.events.stalls.SECONDS", 0.5)
    cluster.producer.produce(OrderConfirmed.topic, b"poison", b"key", partition=1)
    cluster.publish(5, partition=1)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        async with service.consuming():
            while "its dead letter is not written yet" not in str(
                await service.stalls.unavailable()
            ):
                await asyncio.sleep(0.05)
            assert (cluster.committed(), service.effects) == (0, [])
            assert service.stalls.seconds() > 0.5
            service.office.opens.set()
            await until(lambda: len(service.effects) == 5)
            assert (await service.stalls.unavailable(), service.stalls.seconds()) == (None, 0)
        assert [letter.value for letter in service.office.letters] == [b"poison"]
        assert cluster.committed() == 6

    run(test)


class Fails:
    """Raises the first two times that it is called with what `when` accepts; then, and else, it calls `real`."""

    def __init__(self, real: Callable[..., Any], when: Callable[..., bool]) -> None:
        self.real, self.when, self.times = real, when, 0

    def __get__(self, instance: Any, _: type) -> Callable[..., Any]:
        return lambda *args, **more: self(instance, *args, **more)

    def __call__(self, *args: Any, **more: Any) -> Any:
        if self.times < 2 and self.when(*args):
            self.times += 1
            raise SystemError("error return without exception set")
        return self.real(*args, **more)


def third(*arguments: Any) -> bool:
    """Whether a message is one of those in the middle."""
    return any(getattr(each, "key", str)() == b"order-3" for each in arguments)


def always(*_: Any) -> bool:
    return True


STEPS: dict[str, tuple[object, str, Callable[..., bool]]] = {
    "reading a message": (partition, "receive", third),
    "its partition's place": (consumers, "place_of", third),
    "accepting a message": (partition.Partition, "receive", lambda _, m: third(m)),
    "making a delivery": (partition, "Delivery", always),
    "accepting a partition": (consumers, "Partition", always),
    "the callback of an assignment": (EventConsumer, "_on_assign", always),
    "handing messages over": (EventConsumer, "_hand_over", always),
    "fetching": (EventConsumer, "_fetch", always),
    "a call of the client": (EventConsumer, "_do_calls", always),
    "storing an offset": (partition.Partition, "_move_past", always),
    "settling": (Delivery, "settle", always),
    "having the effect": (Delivery, "_attempt", always),
    "resuming": (partition.Partition, "_resume", always),
}


JOINS_AGAIN = {
    *("its partition's place", "accepting a message", "accepting a partition"),
    *("the callback of an assignment", "handing messages over", "a call of the client"),
}
"""The consumer joins its group again after these errors, which takes seconds."""


@pytest.mark.parametrize(
    "step",
    [pytest.param(step, marks=[pytest.mark.slow] if step in JOINS_AGAIN else []) for step in STEPS],
)
def test_an_unexpected_error_at_any_step_loses_nothing(
    step: str, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, when = STEPS[step]
    fails = Fails(getattr(owner, name), when)
    monkeypatch.setattr(consumers, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(partition, "RETRY_SECONDS", 0.05)
    cluster.publish(40)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        service.office.opens.set()
        monkeypatch.setattr(owner, name, fails)
        async with service.consuming() as consumer:
            await until(lambda: len(set(service.effects)) == 40)
            assert fails.times == 2
            cluster.publish(40)
            await until(lambda: len(set(service.effects)) == 40 and len(service.effects) >= 80)
            await until(lambda: cluster.committed() == 80)
            assert await consumer.unavailable() is None
        assert service.office.letters == []

    run(test)


def test_an_offset_that_did_not_come_is_read_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client loses (confluent-kafka drops a batch when a callback raises) is read again."""
    real, lost = EventConsumer._hand_over, []

    def loses_once(self: EventConsumer, messages: list[Any]) -> None:
        kept = [m for m in messages if m.offset() != 3 or (m.partition(), 3) in lost]
        lost.extend((m.partition(), 3) for m in messages if m not in kept)
        real(self, kept)

    monkeypatch.setattr(EventConsumer, "_hand_over", loses_once)
    cluster.publish(40)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        async with service.consuming():
            await until(lambda: len(service.effects) == 40)
        assert lost
        assert sorted(service.effects) == sorted(f"order-{n}" for n in range(40))

    run(test)


def test_a_gap_in_the_log_is_passed(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction's marker, or a deleted message, has an offset and never comes."""
    real = EventConsumer._hand_over

    def has_gaps(self: EventConsumer, messages: list[Any]) -> None:
        real(self, [m for m in messages if m.offset() % 4 != 2])

    monkeypatch.setattr(EventConsumer, "_hand_over", has_gaps)
    for number in range(4):
        cluster.publish(9, partition=number)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        async with service.consuming():
            await until(lambda: len(service.effects) == 28)
        assert cluster.committed() == 36

    run(test)


def test_many_messages_leave_the_loop_free_between(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = EventConsumer._receive

    def counts(self: EventConsumer, messages: list[Any]) -> None:
        sizes.append(len(messages))
        real(self, messages)

    monkeypatch.setattr(EventConsumer, "_receive", counts)
    cluster.publish(600)

    async def test() -> None:
        service = Service(cluster, tmp_path)
        service.free.set()
        async with service.consuming():
            await until(lambda: len(service.effects) == 600)
        assert max(sizes) <= consumers.SLICE

    run(test)
