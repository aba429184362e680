"""Dead letters that Kafka refuses: what passes is waited for, what never will is cut to fit, or kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from microservices.kit.database import Database, open_database
from microservices.kit.events import dead_letter_office as offices
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.dead_letters import dead_letter, unpublished
from microservices.kit.events.received import Received
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent, will_pass
from microservices.kit.settings import Settings

pytestmark = pytest.mark.usefixtures("each_database")

VALUE = b"0123456789" * 10_000


class Kafka:
    """In the place of a producer: a topic that takes `most` bytes, and has errors of its own before."""

    def __init__(self, most: int = 10**9, errors: Sequence[Exception] = ()) -> None:
        self.most, self.errors = most, list(errors)
        self.letters: list[Record] = []

    async def send(self, records: Sequence[Record]) -> None:
        if self.errors:
            raise NotSent([self.errors.pop(0)])
        (record,) = records
        size = len(record.key or b"") + len(record.value or b"")
        size += sum(len(name) + len(value or b"") for name, value in record.headers)
        if size > self.most:
            raise NotSent([kafka_error(KafkaError.MSG_SIZE_TOO_LARGE)])
        self.letters.append(record)


def kafka_error(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def letter(
    value: bytes | None = VALUE,
    key: bytes | None = b"order-1",
    headers: tuple[tuple[str, bytes | None], ...] = (("traceparent", b"00"),),
) -> Record:
    message = Received("order-created", 3, 7, None, 1234, key, value, headers)
    return dead_letter(message, group="a-group", attempts=3, error="ValueError: no")


def run(
    folder: Path, kafka: Kafka, test: Callable[[DeadLetterOffice, Database], Awaitable[None]]
) -> None:
    async def with_database() -> None:
        database = open_database("a-service", Settings(port=1, data_dir=folder))
        await database.start(offices.table.create)
        try:
            async with asyncio.timeout(10):
                await test(DeadLetterOffice(database, kafka), database)  # type: ignore[arg-type]
        finally:
            await database.stop()

    asyncio.run(with_database())


@pytest.mark.parametrize("most", [99_999, 50_000, 5000, 1000, 300])
def test_a_letter_that_is_too_large_is_cut_to_fit(tmp_path: Path, most: int) -> None:
    kafka = Kafka(most)

    async def test(office: DeadLetterOffice, _: Database) -> None:
        await office.publish(letter())
        assert await office.kept() == 0

    run(tmp_path, kafka, test)
    (cut,) = kafka.letters
    headers = dict(cut.headers)
    assert (headers["dlq.topic"], headers["dlq.partition"], headers["dlq.offset"]) == (
        b"order-created",
        b"3",
        b"7",
    )
    assert headers["dlq.truncated"] == b"100000"
    assert VALUE.startswith(cut.value or b"")
    assert len(cut.value or b"") >= most // 8 or most <= 1000


@pytest.mark.parametrize("odd", ["key", "headers"])
def test_a_large_key_or_header_is_left_out(tmp_path: Path, odd: str) -> None:
    kafka, large = Kafka(2000), b"x" * 500_000
    whole = letter(b"value", large) if odd == "key" else letter(b"value", headers=(("a", large),))

    async def test(office: DeadLetterOffice, _: Database) -> None:
        await office.publish(whole)

    run(tmp_path, kafka, test)
    (cut,) = kafka.letters
    assert dict(cut.headers)["dlq.offset"] == b"7"


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._INVALID_ARG,
    ],
)
def test_a_letter_that_is_refused_for_good_is_kept_whole(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offices, "AGAIN_SECONDS", 0.05)
    kafka, refused = Kafka(errors=[kafka_error(code)] * 3), letter(None, None)

    async def test(office: DeadLetterOffice, _: Database) -> None:
        await office.publish(refused)
        assert (await office.kept(), kafka.letters) == (1, [])
        async with office:
            while await office.kept():
                await asyncio.sleep(0.01)

    run(tmp_path, kafka, test)
    assert [(each.key, each.value, list(each.headers)) for each in kafka.letters] == [
        (refused.key, refused.value, list(refused.headers))
    ]


def test_a_letter_too_large_even_when_cut_is_kept(tmp_path: Path) -> None:
    async def test(office: DeadLetterOffice, database: Database) -> None:
        await office.publish(letter())
        ((_, kept),) = await database.read(offices.oldest)
        assert kept.value == VALUE

    run(tmp_path, Kafka(1), test)


def test_an_event_of_the_outbox_is_never_cut(tmp_path: Path) -> None:
    event = unpublished(Record("order-created", b"order-1", VALUE), position=5, error="too large")

    async def test(office: DeadLetterOffice, database: Database) -> None:
        await office.publish(event)
        ((_, kept),) = await database.read(offices.oldest)
        assert (kept.value, dict(kept.headers)["dlq.group"]) == (VALUE, b"outbox")

    run(tmp_path, Kafka(5000), test)


@pytest.mark.parametrize(
    "error",
    [
        kafka_error(KafkaError._ALL_BROKERS_DOWN),
        kafka_error(KafkaError._TRANSPORT),
        kafka_error(KafkaError._PURGE_QUEUE),
        kafka_error(KafkaError._FATAL),
        kafka_error(KafkaError.NOT_ENOUGH_REPLICAS),
        kafka_error(KafkaError.KAFKA_STORAGE_ERROR),
        kafka_error(KafkaError.UNKNOWN_TOPIC_OR_PART),
        kafka_error(KafkaError._UNKNOWN_TOPIC),
        BufferError("Local: Queue full"),
    ],
)
def test_what_will_pass_is_waited_for(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offices, "RETRY_SECONDS", 0.01)
    kafka = Kafka(errors=[error] * 5)

    async def test(office: DeadLetterOffice, _: Database) -> None:
        await office.publish(letter())
        assert await office.kept() == 0

    run(tmp_path, kafka, test)
    assert [each.value for each in kafka.letters] == [VALUE]


@pytest.mark.parametrize("error", [TypeError("no bytes"), ValueError("malformed")])
def test_what_the_client_cannot_encode_will_not_pass(error: Exception) -> None:
    assert not will_pass(error)
