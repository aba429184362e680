"""The producer: sends records to Kafka, and returns when Kafka has acknowledged them.

`acks=all` and idempotent: a record is acknowledged when it is durable, and a retry inside the client
neither doubles nor reorders anything. While Kafka is down the client retries without a limit.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from microservices.kit.events.kafka import MAX_BYTES
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
METADATA_MS = 5000
"""How soon a topic that was deleted, or created again, is noticed."""

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
            "topic.metadata.refresh.interval.ms": METADATA_MS,
        }
        self._failed = threading.Event()
        self._retired: list[Producer] = []
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
            NotSent: with the error of each record that Kafka has not acknowledged.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        errors: list[Exception | None] = [None] * len(records)
        waiting = len(records) + 1  # so that nothing is done before all are handed over

        def settled(number: int, error: Exception | None) -> None:
            nonlocal waiting
            with counting:
                errors[number] = errors[number] or error
                waiting -= 1
                last = not waiting
            if last:
                loop.call_soon_threadsafe(settle, done, errors)

        def delivered(number: int, error: KafkaError | None, _: Message) -> None:
            settled(number, None if error is None else KafkaException(error))

        counting = threading.Lock()
        for number, record in enumerate(records):
            try:
                self._hand_over(record, partial(delivered, number))
            except Exception as error:
                settled(number, error)
        with counting:
            waiting -= 1
            last = not waiting
        if last:
            settle(done, errors)
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
            self._note(error)
            raise

    # -- in the thread --

    def _poll(self) -> None:
        while not self._stopping.is_set():
            for step in (self._serve_current, self._replace_failed, self._serve_retired):
                try:
                    step()
                except (
                    Exception
                ) as error:  # else the thread would end, and no record be acknowledged
                    log.exception("an error in the producer's thread, which continues")
                    self._note(error)

    def _note(self, error: Exception) -> None:
        """Note a fatal error of the current client, which raises it where it is used."""
        cause = error.args[0] if isinstance(error, KafkaException) else None
        if isinstance(cause, KafkaError) and (cause.fatal() or cause.code() == KafkaError._FATAL):
            self._failed.set()

    def _serve_current(self) -> None:
        self._producer.poll(POLL_SECONDS)

    def _replace_failed(self) -> None:
        """Take another client: after a fatal error this one will not work again, whatever Kafka does."""
        if self._failed.is_set():
            log.error("the producer had a fatal error, continuing with a new one")
            failed, self._producer = self._producer, Producer(self._settings)
            self._retired.append(failed)
            self._failed.clear()

    def _serve_retired(self) -> None:
        """Return what failed clients still hold to the callers that wait for it, as not sent."""
        for retired in [*self._retired]:
            retired.purge()
            with suppress(KafkaException):  # its fatal error, again
                retired.poll(0)
            if not len(retired):
                self._retired.remove(retired)


def settle(done: asyncio.Future[None], errors: Sequence[Exception | None]) -> None:
    """End the wait for a delivery, with its errors if it has any."""
    if done.cancelled():
        return
    if all(error is None for error in errors):
        done.set_result(None)
    else:
        done.set_exception(NotSent(errors))
