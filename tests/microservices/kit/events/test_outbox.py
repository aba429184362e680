"""Outbox, inbox, lease and relay on a database, with a producer that fails on demand."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from sqlalchemy import Connection, func, select

from microservices.kit import clock
from microservices.kit.database import Database, open_database
from microservices.kit.database_errors import DatabaseAway
from microservices.kit.events import dead_letter_office, inbox, lease, outbox
from microservices.kit.events import relay as relays
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.envelope import Cause
from microservices.kit.events.event_types import OrderConfirmed
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent
from microservices.kit.events.relay import NAME, RENEW_SECONDS, Relay
from microservices.kit.points import FaultPoints, PointFaults
from microservices.kit.settings import Settings

pytestmark = pytest.mark.usefixtures("each_database")

CAUSE = Cause("click", "event-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
SECONDS = 10


class Kafka:
    """In the place of a producer: keeps what it is sent; refuses, or never answers, on demand."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.letters: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.refuses = False
        self.full = 0
        self.away = asyncio.Event()
        self.away.set()

    async def send(self, records: Sequence[Record]) -> None:
        await self.away.wait()
        if self.full:
            self.full -= 1
            raise BufferError("Local: Queue full")
        if self.refuses:
            raise NotSent([KafkaException(KafkaError(KafkaError._TRANSPORT))] * len(records))
        errors = [self._error(record, alone=len(records) == 1) for record in records]
        if any(errors):
            # The broker refuses a whole batch for one of its events; what was sent to other partitions is there.
            too_large = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
            errors = [each or (too_large if n % 2 else None) for n, each in enumerate(errors)]
        for record, error in zip(records, errors, strict=True):
            if error is None:
                kept = self.letters if record.topic.endswith("-dlq") else self.sent
                kept.append((record.key or b"").decode())
        if any(errors):
            raise NotSent(errors)

    def _error(self, record: Record, *, alone: bool) -> Exception | None:
        key = (record.key or b"").decode()
        if record.topic.endswith("-dlq") or key not in self.refused:
            return None
        return self.refused[key] if alone else KafkaException(KafkaError(10))


def create_tables(connection: Connection) -> None:
    for table in (outbox.table, inbox.table, lease.table, dead_letter_office.table):
        table.create(connection, checkfirst=True)


def publish(connection: Connection, *ids: str) -> None:
    for id in ids:
        outbox.add(connection, OrderConfirmed.new(order_id=id), cause=CAUSE)


def waiting(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(outbox.table)).scalar_one()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    database = open_database("order-service", Settings(port=1, data_dir=folder))
    await database.start(create_tables)
    try:
        yield database
    finally:
        await database.stop()


def relay(database: Database, kafka: Kafka) -> Relay:
    office = DeadLetterOffice(database, kafka)  # type: ignore[arg-type]
    return Relay(database, kafka, office)  # type: ignore[arg-type]


def run(folder: Path, test: Callable[[Database, Kafka], Awaitable[None]]) -> None:
    async def with_database() -> None:
        async with opened(folder) as database, asyncio.timeout(SECONDS):
            await test(database, Kafka())

    asyncio.run(with_database())


async def until(condition: Callable[[], bool], *, every: float = 0.005) -> None:
    while not condition():
        await asyncio.sleep(every)


def test_an_event_carries_its_cause_and_its_trace(tmp_path: Path) -> None:
    async def test(database: Database, _: Kafka) -> None:
        await database.write(publish, "order-1")
        ((_, record),) = await database.read(outbox.first, 10)
        event = json.loads(record.value or b"")
        assert (record.topic, record.key) == ("order-confirmed", b"order-1")
        assert (event["correlationId"], event["causationId"]) == ("click", "event-1")
        ((name, step),) = record.headers
        assert name == "traceparent"
        assert step is not None
        assert step.startswith(b"00-" + b"a" * 32)
        assert step.decode() != CAUSE.traceparent

    run(tmp_path, test)


def test_events_are_published_in_order_and_then_deleted(
    tmp_path: Path,
) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        ids = [f"order-{n}" for n in range(1200)]
        await database.write(publish, *ids[:600])
        async with relay(database, kafka) as running:
            await database.write(publish, *ids[600:])
            running.wake()
            await until(lambda: len(kafka.sent) == len(ids))
        assert kafka.sent == ids
        assert await database.read(waiting) == 0

    run(tmp_path, test)


def test_a_commit_of_another_replica_is_published_before_the_lease_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "RENEW_SECONDS", 60)

    async def test(database: Database, kafka: Kafka) -> None:
        async with relay(database, kafka), opened(tmp_path) as other:
            for number in range(3):
                await asyncio.sleep(2 * relays.LOOK_SECONDS)  # the relay has found nothing
                await other.write(publish, f"order-{number}")
                await until(lambda: len(kafka.sent) == number + 1)  # noqa: B023

    run(tmp_path, test)


def test_a_relay_at_rest_hardly_reads_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, reads = outbox.first, []

    def counted(connection: Connection, limit: int) -> list[tuple[int, Record]]:
        reads.append(limit)
        return first(connection, limit)

    monkeypatch.setattr(outbox, "first", counted)

    async def test(database: Database, kafka: Kafka) -> None:
        async with relay(database, kafka):
            await until(lambda: bool(reads))
            before = len(reads)
            await asyncio.sleep(1)
        # Twice for each renewal of the lease; PostgreSQL has no number that shows a commit.
        assert len(reads) - before < 10 or database.version() is None

    run(tmp_path, test)


def test_a_relay_that_stops_deletes_what_kafka_has(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        await database.write(publish, "order-1", "order-2")
        async with relay(database, kafka):
            await until(lambda: bool(kafka.sent), every=0)  # before the relay has deleted them
        assert kafka.sent == ["order-1", "order-2"]
        assert await database.read(waiting) == 0

    run(tmp_path, test)


def test_a_held_relay_publishes_nothing_and_keeps_its_lease(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        points = FaultPoints()
        points.apply(PointFaults.model_validate({"hold": {"relay": True}}))
        office = DeadLetterOffice(database, kafka)  # type: ignore[arg-type]
        held = Relay(database, kafka, office, holder="held", points=points)  # type: ignore[arg-type]
        await database.write(publish, "order-1", "order-2")
        async with held:
            await asyncio.sleep(2 * RENEW_SECONDS)
            assert kafka.sent == []
            assert not await database.write(lease.take, name=NAME, holder="another")
            points.apply(PointFaults())
            await until(lambda: len(kafka.sent) == 2)
        assert points.report().passed == {"sent": {"OrderConfirmed": 2}}

    run(tmp_path, test)


def test_a_held_relay_that_stops_leaves_its_events(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        points = FaultPoints()
        points.apply(PointFaults.model_validate({"hold": {"relay": True}}))
        office = DeadLetterOffice(database, kafka)  # type: ignore[arg-type]
        await database.write(publish, "order-1")
        async with Relay(database, kafka, office, points=points):  # type: ignore[arg-type]
            pass
        assert (kafka.sent, await database.read(waiting)) == ([], 1)

    run(tmp_path, test)


def test_a_change_that_is_rolled_back_publishes_nothing(tmp_path: Path) -> None:
    def fails(connection: Connection) -> None:
        publish(connection, "order-1")
        raise ValueError("no")

    async def test(database: Database, kafka: Kafka) -> None:
        with pytest.raises(ValueError, match="no"):
            await database.write(fails)
        assert await database.read(waiting) == 0

    run(tmp_path, test)


def test_while_kafka_refuses_or_is_away_events_wait(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        kafka.refuses = True
        await database.write(publish, "order-1", "order-2")
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


@pytest.mark.parametrize(
    "error",
    [
        KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)),
        KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)),
        KafkaException(KafkaError(KafkaError.TOPIC_EXCEPTION)),
        TypeError("a value that is not bytes"),
    ],
)
def test_an_event_that_is_refused_for_good_becomes_a_dead_letter(
    tmp_path: Path, error: Exception
) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        ids = [f"order-{n}" for n in range(10)]
        kafka.refused = {"order-4": error}
        await database.write(publish, *ids)
        async with relay(database, kafka):
            await until(lambda: len(kafka.sent) == 9 and bool(kafka.letters))
            while await database.read(waiting):
                await asyncio.sleep(0.01)
        assert kafka.letters == ["order-4"]
        assert sorted(kafka.sent) == sorted({*ids} - {"order-4"}), "each is sent once"

    run(tmp_path, test)


def test_a_database_that_is_away_is_named_as_what_the_relay_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseAway("failed to resolve host 'postgres'")

    async def test(database: Database, kafka: Kafka) -> None:
        monkeypatch.setattr(outbox, "first", away)
        async with relay(database, kafka) as running:
            await until(lambda: bool(running._stalls._waits))
            ((_, reason),) = running._stalls._waits.values()
        assert "the database does not answer: failed to resolve host" in reason

    run(tmp_path, test)


def test_an_event_that_waits_leaves_no_duplicates_behind(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        ids = [f"order-{n}" for n in range(10)]
        kafka.refused = {"order-4": KafkaException(KafkaError(KafkaError._TRANSPORT))}
        await database.write(publish, *ids)
        async with relay(database, kafka) as running:
            await asyncio.sleep(1.2)
            assert "events cannot be sent" in str([*running._stalls._waits.values()])
            kafka.refused = {}
            await until(lambda: len(kafka.sent) >= 10)
        assert await database.read(waiting) == 0
        assert kafka.letters == []
        assert kafka.sent.count("order-0") == 1, "what Kafka has is not sent again"
        assert {*kafka.sent} == {*ids}

    run(tmp_path, test)


@pytest.mark.parametrize("step", ["lease.take", "outbox.first", "outbox.remove"])
def test_a_relay_outlives_an_error_at_any_step(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = step.split(".")
    owner = {"lease": lease, "outbox": outbox}[module]
    real, failures = getattr(owner, name), []

    def fails_twice(*args: Any, **more: Any) -> Any:
        if len(failures) < 2:
            failures.append(step)
            raise SystemError("error return without exception set")
        return real(*args, **more)

    async def test(database: Database, kafka: Kafka) -> None:
        await database.write(publish, "order-1")
        monkeypatch.setattr(owner, name, fails_twice)
        async with relay(database, kafka) as running:
            await until(lambda: "order-1" in kafka.sent and len(failures) == 2)
            while await database.read(waiting):
                await asyncio.sleep(0.01)
            assert await running.unavailable() is None

    run(tmp_path, test)


def test_a_relay_outlives_an_unexpected_error(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        kafka.full = 1
        await database.write(publish, "order-1")
        async with relay(database, kafka):
            await until(lambda: kafka.sent == ["order-1"])

    run(tmp_path, test)


def test_a_relay_that_has_ended_is_not_ready(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        async with relay(database, kafka) as running:
            assert await running.unavailable() is None
            running._task.cancel()
            await until(running._task.done)
            assert await running.unavailable() == "the relay has ended"

    run(tmp_path, test)


def test_a_relay_that_stops_while_kafka_is_away_loses_nothing(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        kafka.away.clear()
        await database.write(publish, "order-1")
        async with relay(database, kafka):
            await asyncio.sleep(0.1)
        assert await database.read(waiting) == 1
        kafka.away.set()
        async with relay(database, kafka):
            await until(lambda: kafka.sent == ["order-1"])

    run(tmp_path, test)


def test_two_relays_publish_once_and_the_second_takes_over(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        first, second = relay(database, kafka), relay(database, kafka)
        async with second:
            async with first:
                for number in range(50):
                    await database.write(publish, f"order-{number}")
                await until(lambda: len(kafka.sent) >= 50)
            await database.write(publish, "order-50")
            await until(lambda: len(kafka.sent) >= 51)
        assert kafka.sent == [f"order-{n}" for n in range(51)]

    run(tmp_path, test)


def test_another_replica_waits_until_a_lease_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "shared_seconds", lambda _: now)

    async def test(database: Database, _: Kafka) -> None:
        nonlocal now

        async def take(holder: str) -> bool:
            return await database.write(lease.take, name="relay", holder=holder)

        assert await take("ada")
        assert not await take("bob")
        now += lease.LEASE_SECONDS / 2
        assert await take("ada")
        now += lease.LEASE_SECONDS / 2
        assert not await take("bob"), "it was renewed"
        now += lease.LEASE_SECONDS
        assert await take("bob")
        assert not await take("ada"), "a holder that did not renew it has lost it"
        await database.write(lease.release, name="relay", holder="ada")
        assert not await take("ada"), "a lease is released by its holder only"
        await database.write(lease.release, name="relay", holder="bob")
        assert await take("ada")

    run(tmp_path, test)


def test_a_clock_that_is_set_ends_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database, _: Kafka) -> None:
        async def take(holder: str) -> bool:
            return await database.write(lease.take, name="relay", holder=holder)

        assert await take("ada")
        for jump in (3600, -3600):
            set_clock = SimpleNamespace(
                time=lambda j=jump: time.time() + j, monotonic=time.monotonic
            )
            monkeypatch.setattr(clock, "time", set_clock)
            assert not await take("bob")
            assert await take("ada")

    run(tmp_path, test)


def test_a_holder_that_is_back_keeps_its_lease(tmp_path: Path) -> None:
    async def test(database: Database, kafka: Kafka) -> None:
        assert await database.write(lease.take, name="relay", holder="order-service-1/MainProcess")
        office = DeadLetterOffice(database, kafka)  # type: ignore[arg-type]
        back = Relay(database, kafka, office, holder="order-service-1/MainProcess")  # type: ignore[arg-type]
        assert await back._holds_lease()

    run(tmp_path, test)


def test_a_lease_from_before_a_restart_of_the_machine_has_ended() -> None:
    assert clock.runs(until=101.0, now=100.0, duration=2.0)
    assert not clock.runs(until=99.0, now=100.0, duration=2.0)
    assert not clock.runs(until=5000.0, now=100.0, duration=2.0), "the clock began anew"
    assert not clock.runs(until=1.7e9, now=100.0, duration=2.0), "of an earlier version"


def test_positions_are_never_used_again(tmp_path: Path) -> None:
    async def test(database: Database, _: Kafka) -> None:
        await database.write(publish, "order-1")
        ((position, _),) = await database.read(outbox.first, 10)
        await database.write(outbox.remove, [position])
        await database.write(publish, "order-2")
        await database.write(outbox.remove, [position])  # by a relay that was paused
        assert await database.read(waiting) == 1

    run(tmp_path, test)


def test_the_inbox_accepts_once_and_rolls_back(
    tmp_path: Path,
) -> None:
    def fails(connection: Connection) -> None:
        assert inbox.accept(connection, "event-1")
        raise ValueError("no effect")

    async def test(database: Database, _: Kafka) -> None:
        with pytest.raises(ValueError, match="no effect"):
            await database.write(fails)
        assert await database.write(inbox.accept, "event-1")
        assert not await database.write(inbox.accept, "event-1")
        assert await database.read(inbox.contains, "event-1")

    run(tmp_path, test)
