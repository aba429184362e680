"""The producer: sends records to Kafka, and returns when Kafka has acknowledged them.

`acks=all` and idempotent: a record is acknowledged when it is durable, and a retry inside the client
neither doubles nor reorders anything. While Kafka is down the client retries without a limit.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from microservices.kit.events.kafka import MAX_BYTES
from microservices.kit.events.record import Record

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
FLUSH_SECONDS = 1.5
"""Longest wait, when we stop, for the records of `send_and_forget`."""

Delivered = Callable[[KafkaError | None, Message], None]


class EventProducer:
    """One Kafka client for all that a process sends."""

    def __init__(self, client: dict[str, Any]) -> None:
        self._settings = {
            **client,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 1,
            "message.timeout.ms": 0,  # no time limit for a record
            "message.max.bytes": MAX_BYTES,
        }
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="producer", daemon=True)

    async def __aenter__(self) -> Self:
        self._producer = Producer(self._settings)
        self._poller.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await asyncio.to_thread(self._poller.join)
        await asyncio.to_thread(self._producer.flush, FLUSH_SECONDS)
        self._producer.purge()

    async def send(self, records: Sequence[Record]) -> None:
        """Send records in their order; on return Kafka has them all.

        Raises:
            KafkaException: Kafka refuses one of them permanently.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        waiting = len(records)
        refused: KafkaError | None = None

        def delivered(error: KafkaError | None, _: Message) -> None:
            nonlocal waiting, refused
            waiting -= 1
            refused = refused or error
            if not waiting:
                loop.call_soon_threadsafe(settle, done, refused)

        for record in records:
            self._hand_over(record, delivered)
        if records:
            await done

    def send_and_forget(self, record: Record) -> None:
        """Put a record into this process's memory, from where the client sends it in a moment."""
        self._hand_over(record, None)

    def _hand_over(self, record: Record, delivered: Delivered | None) -> None:
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=list(record.headers),
                on_delivery=delivered,
            )
        except KafkaException as error:
            if error.args[0].fatal():  # this client will not work again, whatever Kafka does
                self._producer = Producer(self._settings)
            raise

    def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                self._producer.poll(POLL_SECONDS)
            except Exception:  # else the thread would end, and no record be acknowledged
                log.exception("an error in the producer's thread, which continues")


def settle(done: asyncio.Future[None], refused: KafkaError | None) -> None:
    """End the wait for a delivery, with its error if it has one."""
    if done.cancelled():
        return
    if refused is None:
        done.set_result(None)
    else:
        done.set_exception(KafkaException(refused))
