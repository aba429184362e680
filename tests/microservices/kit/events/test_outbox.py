"""Outbox, inbox, lease and relay on a database, with a producer that can be told to fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from sqlalchemy import Connection, MetaData, func, select

from microservices.kit.database import Database, open_database
from microservices.kit.events import inbox, lease, outbox
from microservices.kit.events.event_types import Cause, OrderConfirmed, Record
from microservices.kit.events.inbox import inbox_table
from microservices.kit.events.lease import leases_table
from microservices.kit.events.outbox import outbox_table
from microservices.kit.events.relay import Relay
from microservices.kit.settings import Settings

metadata = MetaData()
OUTBOX, INBOX, LEASES = outbox_table(metadata), inbox_table(metadata), leases_table(metadata)
CAUSE = Cause("click", "event-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
SECONDS = 10


class Kafka:
    """In the place of a producer: keeps what it is sent; refuses, or never answers, while told to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.refuses = False
        self.away = asyncio.Event()
        self.away.set()

    async def send(self, records: Sequence[Record]) -> None:
        await self.away.wait()
        if self.refuses:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.sent += [str((record.key or b"").decode()) for record in records]


def tell(connection: Connection, *ids: str) -> None:
    for id in ids:
        outbox.add(connection, OUTBOX, OrderConfirmed.new(order_id=id), cause=CAUSE)


def waiting(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    database = open_database("order-service", Settings(port=1, data_dir=folder))
    await database.start(metadata.create_all)
    try:
        yield database
    finally:
        await database.stop()


def relay(database: Database, kafka: Kafka) -> Relay:
    return Relay(database, kafka, outbox=OUTBOX, leases=LEASES)  # type: ignore[arg-type]


def run(folder: Path, test: Callable[[Database, Kafka], Awaitable[None]]) -> None:
    async def with_database() -> None:
        async with opened(folder) as database, asyncio.timeout(SECONDS):
            await test(database, Kafka())

    asyncio.run(with_database())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_an_event_carries_its_cause_and_a_step_of_the_same_trace(tmp_path: Path) -> None:
    async def test(database: Database, _: Kafka) -> None:
        await database.write(tell, "order-1")
        ((_, record),) = await database.read(outbox.first, OUTBOX, 10)
        event = json.loads(record.value or b"")
        assert (record.topic, record.key) == ("order-confirmed", b"order-1")
        assert (event["correlationId"], event["causationId"]) == ("click", "event-1")
        ((name, step),) = record.headers
        assert name == "traceparent"
        assert step is not None
        assert step.startswith(b"00-" + b"a" * 32)
        assert step.decode() != CAUSE.traceparent

    run(tmp_path, test)


def test_events_are_sent_in_the_order_of_their_transactions_and_then_forgotten(
    tmp_path: Path,
) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        ids = [f"order-{n}" for n in range(1200)]
        await database.write(tell, *ids[:600])
        async with relay(database, kafka) as running:
            await database.write(tell, *ids[600:])
            running.wake()
            await until(lambda: len(kafka.sent) == len(ids))
        assert kafka.sent == ids
        assert await database.read(waiting) == 0

    run(tmp_path, test)


def test_a_change_that_is_rolled_back_tells_nobody(tmp_path: Path) -> None:
    def fails(connection: Connection) -> None:
        tell(connection, "order-1")
        raise ValueError("no")

    async def test(database: Database, kafka: Kafka) -> None:
        with pytest.raises(ValueError, match="no"):
            await database.write(fails)
        assert await database.read(waiting) == 0

    run(tmp_path, test)


def test_while_kafka_refuses_or_is_away_events_wait_in_their_table(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        kafka.refuses = True
        await database.write(tell, "order-1", "order-2")
        async with relay(database, kafka):
            await asyncio.sleep(0.2)
            assert (kafka.sent, await database.read(waiting)) == ([], 2)
            kafka.away.clear()
            kafka.refuses = False
            await asyncio.sleep(0.8)
            assert (kafka.sent, await database.read(waiting)) == ([], 2)
            kafka.away.set()
            await until(lambda: kafka.sent == ["order-1", "order-2"])

    run(tmp_path, test)


def test_a_relay_that_stops_while_kafka_is_away_loses_nothing(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        kafka.away.clear()
        await database.write(tell, "order-1")
        async with relay(database, kafka):
            await asyncio.sleep(0.1)
        assert await database.read(waiting) == 1
        kafka.away.set()
        async with relay(database, kafka):
            await until(lambda: kafka.sent == ["order-1"])

    run(tmp_path, test)


def test_two_relays_send_every_event_once_and_the_second_takes_over(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        first, second = relay(database, kafka), relay(database, kafka)
        async with second:
            async with first:
                for number in range(50):
                    await database.write(tell, f"order-{number}")
                await until(lambda: len(kafka.sent) >= 50)
            await database.write(tell, "order-50")
            await until(lambda: len(kafka.sent) >= 51)
        assert kafka.sent == [f"order-{n}" for n in range(51)]

    run(tmp_path, test)


def test_another_one_waits_for_a_lease_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(lease.time, "time", lambda: now)

    async def test(database: Database, _: Kafka) -> None:
        nonlocal now

        async def take(holder: str) -> bool:
            return await database.write(lease.take, LEASES, name="relay", holder=holder)

        assert await take("ada")
        assert not await take("bob")
        now += lease.LEASE_SECONDS / 2
        assert await take("ada")
        now += lease.LEASE_SECONDS / 2
        assert not await take("bob"), "it was renewed"
        now += lease.LEASE_SECONDS
        assert await take("bob")
        assert not await take("ada"), "who slept has lost it"
        await database.write(lease.give_up, LEASES, name="relay", holder="ada")
        assert not await take("ada"), "nobody gives up another one's"
        await database.write(lease.give_up, LEASES, name="relay", holder="bob")
        assert await take("ada")

    run(tmp_path, test)


def test_positions_are_never_used_again(tmp_path: Path) -> None:
    async def test(database: Database, _: Kafka) -> None:
        await database.write(tell, "order-1")
        ((position, _),) = await database.read(outbox.first, OUTBOX, 10)
        await database.write(outbox.remove, OUTBOX, [position])
        await database.write(tell, "order-2")
        await database.write(outbox.remove, OUTBOX, [position])  # by one who slept
        assert await database.read(waiting) == 1

    run(tmp_path, test)


def test_the_inbox_lets_an_event_in_once_and_forgets_it_with_its_transaction(
    tmp_path: Path,
) -> None:
    def fails(connection: Connection) -> None:
        assert inbox.accept(connection, INBOX, "event-1")
        raise ValueError("no effect")

    async def test(database: Database, _: Kafka) -> None:
        with pytest.raises(ValueError, match="no effect"):
            await database.write(fails)
        assert await database.write(inbox.accept, INBOX, "event-1")
        assert not await database.write(inbox.accept, INBOX, "event-1")
        assert await database.read(inbox.knows, INBOX, "event-1")

    run(tmp_path, test)
