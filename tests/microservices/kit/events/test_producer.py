"""The producer on librdkafka's own mock cluster: what was not sent is reported, also by a client that failed."""

import asyncio
import ctypes
from collections.abc import Awaitable, Callable

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition, cimpl

from microservices.kit.events.producer import EventProducer
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent, code_of, will_pass

TOPIC = "order-created"


class Cluster:
    """One broker in this process."""

    def __init__(self) -> None:
        self.owner = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
        broker = next(iter(self.owner.list_topics(timeout=10).brokers.values()))
        self.client = {"bootstrap.servers": f"{broker.host}:{broker.port}"}

    def values(self) -> list[bytes | None]:
        reader = Consumer(self.client | {"group.id": "reader", "enable.partition.eof": True})
        reader.assign([TopicPartition(TOPIC, n, 0) for n in range(4)])
        found, ended = [], 0
        while ended < 4:
            message = reader.poll(10)
            assert message is not None
            if message.error():
                ended += 1
            else:
                found.append(message.value())
        reader.close()
        return found


def fail(producer: Producer) -> None:
    """Give a client the fatal error that librdkafka keeps for tests."""
    library = ctypes.CDLL(cimpl.__file__)
    # The first field behind the head of the object is librdkafka's handle.
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    code = ctypes.c_int(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert library.rd_kafka_test_fatal_error(handle, code, ctypes.c_char_p(b"a test")) == 0


def run(test: Callable[[EventProducer, Cluster], Awaitable[None]]) -> None:
    async def with_producer() -> None:
        cluster = Cluster()
        async with asyncio.timeout(20), EventProducer(cluster.client) as producer:
            await test(producer, cluster)

    asyncio.run(with_producer())


def test_only_what_is_refused_is_reported() -> None:
    async def test(producer: EventProducer, cluster: Cluster) -> None:
        values = [b"first", b"x" * 3_000_000, b"last"]
        with pytest.raises(NotSent) as caught:
            await producer.send([Record(TOPIC, b"key", value) for value in values])
        first, large, last = caught.value.errors
        assert (first, last) == (None, None)
        assert large is not None
        assert code_of(large) == KafkaError.MSG_SIZE_TOO_LARGE
        assert cluster.values() == [b"first", b"last"]

    run(test)


def test_a_malformed_record_is_reported_as_such() -> None:
    async def test(producer: EventProducer, _: Cluster) -> None:
        with pytest.raises(NotSent) as caught:
            await producer.send([Record(TOPIC, b"key", 7)])  # type: ignore[arg-type]
        (error,) = caught.value.errors
        assert error is not None
        assert not will_pass(error)

    run(test)


def test_nothing_waits_for_a_client_that_failed() -> None:
    async def test(producer: EventProducer, cluster: Cluster) -> None:
        await producer.send([Record(TOPIC, b"key", b"before")])
        unsent = [asyncio.create_task(producer.send([Record(TOPIC, b"key", b"lost")]))]
        failed = producer._producer
        fail(failed)
        unsent.append(asyncio.create_task(producer.send([Record(TOPIC, b"key", b"lost too")])))
        for error in await asyncio.gather(*unsent, return_exceptions=True):
            assert error is None or (isinstance(error, NotSent) and will_pass(error.errors[0]))  # type: ignore[arg-type]
        while producer._producer is failed or producer._retired:
            await asyncio.sleep(0.01)
        await producer.send([Record(TOPIC, b"key", b"after")])
        assert cluster.values()[-1] == b"after"

    run(test)
