"""One message until its effect or its dead letter: attempts, their times, the limit, and leaving."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from microservices.kit.concurrency_limit import ConcurrencyLimit
from microservices.kit.database import open_database
from microservices.kit.events import dead_letter_office, inbox
from microservices.kit.events import delivery as deliveries
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.delivery import Abandoned, Delivery, Dependencies, wait_after
from microservices.kit.events.envelope import AHEAD, Cause, Event, write_event
from microservices.kit.events.event_types import OrderConfirmed
from microservices.kit.events.received import Received, receive
from microservices.kit.events.record import Record
from microservices.kit.events.stalls import Stalls
from microservices.kit.points import FaultPoints, PointFaults
from microservices.kit.saga import Contradiction
from microservices.kit.settings import Settings
from microservices.kit.wire import encode, read_json

pytestmark = pytest.mark.usefixtures("each_database")

Deliver = Callable[[Received], Delivery]


class Message:
    """In the place of confluent_kafka's."""

    def __init__(self, value: bytes | None, key: bytes | None = b"order-1") -> None:
        self._value, self._key = value, key

    def __getattr__(self, name: str) -> Callable[[], Any]:
        fields = {"value": self._value, "key": self._key, "headers": [("traceparent", b"?")]}
        fields |= {"topic": "order-confirmed", "partition": 3, "offset": 7, "timestamp": (1, 1234)}
        fields |= {"leader_epoch": None, "error": None}
        return lambda: fields[name]


class OddMessage(Message):
    """A client in C can send a header whose name is not UTF-8: it can be asked for once, and raises."""

    asked = 0

    def headers(self) -> None:
        self.asked += 1
        assert self.asked == 1, "the process would crash"
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def create_tables(connection: Connection) -> None:
    inbox.table.create(connection, checkfirst=True)
    dead_letter_office.table.create(connection, checkfirst=True)


def received(value: bytes | None, key: bytes | None = b"order-1") -> Received:
    return receive(Message(value, key))  # type: ignore[arg-type]


class Kafka:
    """In the place of a producer: keeps dead letters."""

    def __init__(self) -> None:
        self.letters: list[Record] = []

    async def send(self, records: Sequence[Record]) -> None:
        self.letters += records


class Service:
    """Counts effects; raises `errors`, one per attempt, first."""

    def __init__(self, errors: Sequence[Exception] = (), work: Any = None, **config: Any) -> None:
        self.errors, self.kafka, self.stalls = list(errors), Kafka(), Stalls()
        self.points = FaultPoints()
        self.effects: list[str] = []
        self.attempts: list[float] = []
        self.give_up = config.pop("give_up", True)
        self.config = {"first_wait": 0.01} | config
        self.work = work

    def effect(self, _: Connection, event: Event) -> None:
        self.attempts.append(time.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        self.effects.append(event.event_id)

    def run(self, folder: Path, test: Callable[[Deliver], Awaitable[None]]) -> None:
        async def with_database() -> None:
            database = open_database("a-service", Settings(port=1, data_dir=folder))
            await database.start(create_tables)
            handlers = [Handler(OrderConfirmed, self.effect, self.work, self.give_up)]
            config = ConsumerConfig("a-group", handlers, **self.config)
            self.office = DeadLetterOffice(database, self.kafka)  # type: ignore[arg-type]
            dependencies = Dependencies(
                database, self.office, stalls=self.stalls, points=self.points
            )
            try:
                async with asyncio.timeout(10):
                    await test(lambda message: Delivery(message, config, dependencies))
            finally:
                await database.stop()

        asyncio.run(with_database())

    def settle(self, folder: Path, *messages: Received) -> None:
        async def test(deliver: Deliver) -> None:
            for message in messages:
                await deliver(message).settle()

        self.run(folder, test)


def message() -> Received:
    return received(write_event(OrderConfirmed.new(order_id="order-1"), Cause("click", None, "")))


def test_an_event_that_is_delivered_twice_has_one_effect(tmp_path: Path) -> None:
    service, twice = Service(), message()
    service.settle(tmp_path, twice, twice)
    assert len(service.effects) == 1
    assert service.kafka.letters == []


def test_without_an_inbox_it_has_two(tmp_path: Path) -> None:
    service, twice = Service(inbox=False), message()
    service.settle(tmp_path, twice, twice)
    assert len(service.effects) == 2


def test_an_unreadable_message_is_a_dead_letter_at_once(tmp_path: Path) -> None:
    service = Service()
    service.settle(tmp_path, received(b"\xff", None), message())
    (letter,) = service.kafka.letters
    assert (letter.topic, letter.key, letter.value) == ("order-confirmed-dlq", None, b"\xff")
    headers = dict(letter.headers)
    assert headers.pop("dlq.error")
    assert headers == {
        "traceparent": b"?",
        "dlq.topic": b"order-confirmed",
        "dlq.partition": b"3",
        "dlq.offset": b"7",
        "dlq.timestamp": b"1234",
        "dlq.group": b"a-group",
        "dlq.attempts": b"0",
    }
    assert len(service.effects) == 1, "the next one is settled"


def test_headers_that_cannot_be_read_are_read_once(tmp_path: Path) -> None:
    service, value = Service(), message().value
    odd = receive(OddMessage(value))  # type: ignore[arg-type]
    service.settle(tmp_path, odd, message())
    (letter,) = service.kafka.letters
    headers = dict(letter.headers)
    assert (letter.value, headers["dlq.offset"], headers["dlq.attempts"]) == (value, b"7", b"0")
    assert headers["dlq.error"] == b"the headers cannot be read: UnicodeDecodeError"
    assert len(service.effects) == 1, "the next one is settled"


def test_any_error_while_reading_makes_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> Event:
        raise RecursionError("too deep")

    monkeypatch.setattr("microservices.kit.events.delivery.read_event", fails)
    service = Service()
    service.settle(tmp_path, message())
    (letter,) = service.kafka.letters
    assert dict(letter.headers)["dlq.error"] == b"RecursionError: too deep"


def test_an_effect_that_fails_waits_and_the_wait_doubles(tmp_path: Path) -> None:
    service = Service([ValueError("1"), ValueError("2")], first_wait=0.1)
    service.settle(tmp_path, message())
    first, second, third = service.attempts
    assert second - first >= 0.1
    assert third - second >= 0.2
    assert (len(service.effects), service.kafka.letters) == (1, [])


def test_the_wait_doubles_and_varies_by_a_tenth() -> None:
    for attempt in range(1, 5):
        least = 0.2 * 2 ** (attempt - 1)
        waits = [wait_after(attempt, first=0.2) for _ in range(200)]
        assert all(least <= wait <= least * 1.1 for wait in waits)
        assert len(set(waits)) > 100


def test_an_effect_that_always_fails_ends_as_dead_letter(tmp_path: Path) -> None:
    service = Service([ValueError("no")] * 5, tries=4)
    service.settle(tmp_path, message())
    (letter,) = service.kafka.letters
    headers = dict(letter.headers)
    assert (headers["dlq.attempts"], headers["dlq.error"]) == (b"4", b"ValueError: no")
    assert (len(service.attempts), service.effects) == (4, [])


def test_a_database_that_is_away_costs_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microservices.kit.events.delivery.DATABASE_SECONDS", 0.01)
    away = OperationalError("SELECT", {}, Exception("database is locked"))
    service = Service([away] * 10, tries=2)
    service.settle(tmp_path, message())
    assert (len(service.effects), service.kafka.letters) == (1, [])


def test_a_long_wait_for_the_database_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microservices.kit.events.delivery.DATABASE_SECONDS", 0.01)
    monkeypatch.setattr("microservices.kit.events.stalls.SECONDS", 0.05)
    away = OperationalError("SELECT", {}, Exception("database is locked"))
    service, reported = Service([away] * 20), []

    async def test(deliver: Deliver) -> None:
        settling = asyncio.create_task(deliver(message()).settle())
        while not settling.done():
            reported.append(await service.stalls.unavailable())
            await asyncio.sleep(0.01)
        assert (await service.stalls.unavailable(), service.stalls.seconds()) == (None, 0)

    service.run(tmp_path, test)
    assert reported[0] is None
    assert "order-confirmed/3 at offset 7: the database does not answer" in str(reported[-2])


def test_a_wrong_statement_costs_attempts(tmp_path: Path) -> None:
    """A column that this database does not have blocks no partition."""
    wrong = OperationalError("SELECT", {}, sqlite3.OperationalError("no such column: reserved"))
    service = Service([wrong] * 10, tries=2)
    service.settle(tmp_path, message(), message())
    assert (len(service.attempts), len(service.kafka.letters)) == (4, 2)


def test_a_compensation_is_never_given_up(tmp_path: Path) -> None:
    service = Service([ValueError("no")] * 8, give_up=False, tries=2, first_wait=0.001)
    service.settle(tmp_path, message())
    assert (len(service.attempts), len(service.effects), service.kafka.letters) == (9, 1, [])


def test_a_contradiction_is_a_dead_letter_at_once(tmp_path: Path) -> None:
    service = Service([Contradiction("OrderConfirmed arrived in the state 'none'")], give_up=False)
    service.settle(tmp_path, message(), message())
    (letter,) = service.kafka.letters
    assert b"Contradiction: OrderConfirmed" in (dict(letter.headers)["dlq.error"] or b"")
    assert (len(service.attempts), len(service.effects)) == (2, 1)


def test_the_wait_never_overflows() -> None:
    assert 30 <= wait_after(5000, first=0.2) <= 33


def early(seconds: float) -> Received:
    value = write_event(OrderConfirmed.new(order_id="order-1"), Cause("click", None, ""))
    at = (datetime.now(UTC) + AHEAD + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    return received(encode(read_json(value) | {"timestamp": at.replace("+00:00", "Z")}))


def test_an_event_that_is_early_has_its_effect_at_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOK_SECONDS", 0.02)
    service, began = Service(), time.monotonic()
    service.settle(tmp_path, early(0.6), message())
    assert (len(service.effects), service.kafka.letters) == (2, [])
    assert service.attempts[0] - began >= 0.5


def test_an_event_far_ahead_waits_for_a_clock_that_is_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(deliveries, "CORRECTION_SECONDS", 0.3)
    service, began = Service(), time.monotonic()
    service.settle(tmp_path, early(3600))
    (letter,) = service.kafka.letters
    headers = dict(letter.headers)
    assert b"in the future" in (headers["dlq.error"] or b"")
    assert (headers["dlq.attempts"], service.effects) == (b"0", [])
    assert time.monotonic() - began >= 0.3

    def corrected() -> None:
        monkeypatch.setattr("microservices.kit.events.envelope.AHEAD", timedelta(hours=2))

    async def test(deliver: Deliver) -> None:
        delivery = deliver(early(3600))
        asyncio.get_running_loop().call_later(0.1, corrected)
        await delivery.settle()

    service = Service()
    (tmp_path / "again").mkdir()
    service.run(tmp_path / "again", test)
    assert (len(service.effects), service.kafka.letters) == (1, [])


def test_events_that_are_early_wait_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(deliveries, "CORRECTION_SECONDS", 0.3)
    service, began = Service(), time.monotonic()

    async def test(deliver: Deliver) -> None:
        for each in [deliver(early(3600)) for _ in range(10)]:
            await each.settle()

    service.run(tmp_path, test)
    assert len(service.kafka.letters) == 10
    assert time.monotonic() - began < 2


def test_work_is_done_side_by_side_within_the_limit(tmp_path: Path) -> None:
    now, most = 0, 0

    async def work(_: Event) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1

    service = Service(work=work, limit=ConcurrencyLimit(2))

    async def test(deliver: Deliver) -> None:
        deliveries = [deliver(message()) for _ in range(6)]
        for delivery in deliveries:
            await delivery.settle()

    service.run(tmp_path, test)
    assert (most, len(service.effects)) == (2, 6)


def test_an_event_with_its_effect_costs_no_work(tmp_path: Path) -> None:
    worked = []

    async def work(event: Event) -> None:
        worked.append(event.event_id)

    service, twice = Service(work=work), message()
    service.settle(tmp_path, twice, twice)
    assert len(worked) == 1


def test_a_member_that_leaves_finishes_only_what_has_begun(tmp_path: Path) -> None:
    async def work(_: Event) -> None:
        await asyncio.sleep(0.05)

    service = Service(work=work, limit=ConcurrencyLimit(1))

    async def test(deliver: Deliver) -> None:
        begun, later = (deliver(message()) for _ in range(2))
        await asyncio.sleep(0.01)
        for delivery in (begun, later):
            delivery.abandon()
        await begun.settle()
        with pytest.raises(Abandoned):
            await later.settle()

    service.run(tmp_path, test)
    assert len(service.effects) == 1


# -- faults at points --


def hold(service: Service, *orders: str) -> None:
    words = {"hold": {"order-confirmed": list(orders)}} if orders else {}
    service.points.apply(PointFaults.model_validate(words))


async def until_held(service: Service, orders: int = 1) -> None:
    while len(service.points.report().held) < orders:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("with_work", [False, True])
def test_a_held_event_waits_before_its_work(tmp_path: Path, with_work: bool) -> None:
    worked: list[str] = []

    async def work(event: Event) -> None:
        worked.append(event.event_id)

    service = Service(work=work if with_work else None)
    hold(service, "order-1")

    async def test(deliver: Deliver) -> None:
        settling = asyncio.create_task(deliver(message()).settle())
        await until_held(service)
        await asyncio.sleep(3 * deliveries.HELD_SECONDS)
        assert (worked, service.effects, settling.done()) == ([], [], False)
        hold(service)
        await settling
        assert service.points.report().held == []

    service.run(tmp_path, test)
    assert (len(service.effects), len(worked)) == (1, int(with_work))


def test_a_hold_lets_other_orders_pass(tmp_path: Path) -> None:
    service = Service()
    hold(service, "order-2")
    service.settle(tmp_path, message())
    assert len(service.effects) == 1


@pytest.mark.parametrize("with_work", [False, True])
def test_a_held_event_is_left_to_the_partitions_next_owner(tmp_path: Path, with_work: bool) -> None:
    async def work(_: Event) -> None:
        raise AssertionError("it is held")

    service = Service(work=work if with_work else None)
    hold(service, "*")

    async def test(deliver: Deliver) -> None:
        delivery = deliver(message())
        settling = asyncio.create_task(delivery.settle())
        await until_held(service)
        delivery.abandon()
        with pytest.raises(Abandoned):
            await settling
        assert not delivery.begun

    service.run(tmp_path, test)
    assert service.effects == []


def test_a_repeat_is_committed_again_and_not_begun(tmp_path: Path) -> None:
    service, twice = Service(), message()
    service.settle(tmp_path, twice, twice)
    assert service.points.report().passed == {
        "begun": {"OrderConfirmed": 1},
        "committed": {"OrderConfirmed": 2},
    }


@pytest.mark.parametrize("give_up", [True, False])
def test_a_poisoned_event_is_given_up_only_where_that_is_allowed(
    tmp_path: Path, give_up: bool
) -> None:
    service = Service(give_up=give_up)
    poison = {"poison": {"order-confirmed": ["order-1"]}}
    service.points.apply(PointFaults.model_validate(poison))

    async def test(deliver: Deliver) -> None:
        settling = asyncio.create_task(deliver(message()).settle())
        await asyncio.sleep(0.2)
        assert settling.done() is give_up
        service.points.apply(PointFaults())
        await settling

    service.run(tmp_path, test)
    assert len(service.kafka.letters) == int(give_up)
    assert len(service.effects) == int(not give_up)
