"""The consumer: one member of a group, which divides the partitions of its topics among its members.

A group's offset in each partition is where it goes on reading. It is stored here only after the
effect of a message is durable (`delivery.py`): a replica that is killed at any moment leaves a
message that is delivered again, never one that is lost.

A thread polls Kafka all the time, also while all messages are being worked on, so that the group does not remove a
busy replica.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import TimeoutError as TimedOut
from contextlib import suppress
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from microservices.kit.drain import Drain
from microservices.kit.events.consumer_config import ConsumerConfig
from microservices.kit.events.delivery import Abandoned, Delivery, Dependencies
from microservices.kit.events.kafka import GROUP_SETTINGS, RETRY_SECONDS
from microservices.kit.events.received import Received, receive
from microservices.kit.events.topics import Topics

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
MOST = 500
"""Messages of one partition that we hold at once; then the partition is paused."""

FEW = 100
"""Messages of a paused partition that are left when it is resumed."""

FINISH_SECONDS = 3.0
"""Longest wait for work that has begun, when a partition is revoked."""

LEAVE_SECONDS = 1.0
"""Longest wait for Kafka to confirm that this replica leaves the group; Kafka may be down."""

Place = tuple[str, int]
"""Topic and partition."""


class EventConsumer:
    """Consumes the topics of `config` as a member of its group."""

    def __init__(
        self,
        client: dict[str, Any],
        config: ConsumerConfig,
        dependencies: Dependencies,
        *,
        topics: Topics,
        drain: Drain,
    ) -> None:
        self._config, self._dependencies = config, dependencies
        self._topics, self._drain = topics, drain
        self._settings = {**client, **GROUP_SETTINGS, "group.id": config.group}
        self._partitions: dict[Place, Partition] = {}
        self._calls: deque[Callable[[Consumer], None]] = deque()
        self._joined = False
        self._stopping, self._finished = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._starting = asyncio.create_task(self._start())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what has begun, and leave the group, so that others take over at once."""
        self._starting.cancel()
        self._stopping.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._finished.wait, FINISH_SECONDS + 1)
            await asyncio.to_thread(self._thread.join, LEAVE_SECONDS)

    async def unavailable(self) -> str | None:
        """Return why no events are consumed, `None` when this replica is in the group, even without a partition."""
        return None if self._joined else f"not yet a member of {self._config.group}"

    async def _start(self) -> None:
        try:
            await self._topics.create()
            self._consumer = Consumer(self._settings)
            self._thread.start()
        except Exception:
            log.exception("the consumer cannot start")

    # -- in the thread --

    def _run(self) -> None:
        try:
            self._poll()
        except BaseException:  # else the thread would end without a line in the log
            log.exception("the consumer has ended")
        finally:
            self._joined = False  # and /ready answers 503
            self._finished.set()

    def _poll(self) -> None:
        self._consumer.subscribe(
            [kind.topic for kind in self._config.kinds],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        while not (self._stopping.is_set() or self._drain.draining):
            self._fetch()
            self._do_calls()
        self._joined = False
        self._release(self._consumer.assignment(), FINISH_SECONDS)
        self._finished.set()
        self._consumer.close()

    def _fetch(self) -> None:
        try:
            message = self._consumer.poll(POLL_SECONDS)
            if message is not None:
                # poll returns with the first message; consume would wait for the last one.
                more = self._consumer.consume(MOST, timeout=0)
                self._loop.call_soon_threadsafe(self._receive, [message, *more])
        except KafkaException as error:
            log.warning("nothing fetched, trying again: %s", error)
        except Exception:
            log.exception("nothing fetched, trying again")
            self._stopping.wait(RETRY_SECONDS)

    def _do_calls(self) -> None:
        """Make the calls that the event loop asks for: a client works only for the thread that polls."""
        while self._calls:
            call = self._calls.popleft()
            try:
                call(self._consumer)
            except KafkaException as error:  # the partition has another owner meanwhile
                log.warning("a consumer call failed: %s", error.args[0].str())
            except Exception:
                log.exception("a consumer call failed")

    def _on_assign(self, _: Consumer, places: list[TopicPartition]) -> None:
        self._joined = True
        log.info("assigned %s", named(places))
        self._loop.call_soon_threadsafe(self._take, [(p.topic, p.partition) for p in places])

    def _on_revoke(self, _: Consumer, places: list[TopicPartition]) -> None:
        log.info("revoked %s", named(places))
        self._release(places, FINISH_SECONDS)

    def _on_lost(self, _: Consumer, places: list[TopicPartition]) -> None:
        self._joined = False  # until the next assignment
        log.warning("lost %s: the group removed this replica", named(places))
        self._release(places, 0)

    def _release(self, places: list[TopicPartition], seconds: float) -> None:
        releasing = self._leave([(p.topic, p.partition) for p in places], seconds)
        with suppress(TimedOut):
            asyncio.run_coroutine_threadsafe(releasing, self._loop).result(seconds + 1)
        self._do_calls()

    # -- in the loop --

    def _take(self, places: list[Place]) -> None:
        for place in places:
            self._partitions[place] = Partition(
                place, self._config, self._dependencies, self._calls.append
            )

    async def _leave(self, places: list[Place], seconds: float) -> None:
        leaving = [self._partitions.pop(place) for place in places if place in self._partitions]
        await asyncio.gather(*(partition.leave(seconds) for partition in leaving))

    def _receive(self, messages: list[Message]) -> None:
        for message in messages:
            if error := message.error():
                log.warning("kafka: %s", error.str())
            elif partition := self._partitions.get(place_of(message)):
                partition.receive(message)


class Partition:
    """The messages of one partition that we hold: processed concurrently, settled in their order."""

    def __init__(
        self,
        place: Place,
        config: ConsumerConfig,
        dependencies: Dependencies,
        call: Callable[[Callable[[Consumer], None]], None],
    ) -> None:
        self._place, self._call = place, call
        self._config, self._dependencies = config, dependencies
        self._deliveries: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._leaving = self._paused = self._rewinding = False
        self._task = asyncio.create_task(self._run())

    def receive(self, message: Message) -> None:
        """Take a message; when that fails, take none until Kafka delivers this one again."""
        if self._rewinding:
            return
        try:
            delivery = Delivery(receive(message), self._config, self._dependencies)
        except Exception:
            log.exception("a message cannot be accepted, reading it again")
            return self._rewind(message)
        self._deliveries.append(delivery)
        self._arrived.set()
        if len(self._deliveries) >= MOST and not self._paused:
            self._paused = True
            self._call(lambda consumer: consumer.pause([TopicPartition(*self._place)]))

    async def leave(self, seconds: float) -> None:
        """Settle what has begun, for at most `seconds`; leave the rest to the partition's next owner."""
        self._leaving = True
        if self._paused:  # a pause would outlast the assignment: this replica may get it again
            self._call(lambda consumer: consumer.resume([TopicPartition(*self._place)]))
        for delivery in self._deliveries:
            delivery.abandon()
        self._arrived.set()
        await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()
        for delivery in self._deliveries:
            delivery.cancel()

    async def _run(self) -> None:
        with suppress(Abandoned):
            while await self._next():
                delivery = self._deliveries[0]
                await self._settle(delivery)
                self._move_past(delivery.message)
                self._deliveries.popleft()
                self._resume()

    async def _settle(self, delivery: Delivery) -> None:
        while True:
            try:
                return await delivery.settle()
            except Abandoned:
                raise
            except Exception:  # a bug of this service; moving on would lose the message
                log.exception("a message cannot be settled, trying again")
            await asyncio.sleep(RETRY_SECONDS)

    async def _next(self) -> bool:
        """Wait for a message; false when the next one belongs to the partition's next owner."""
        while not self._deliveries and not self._leaving:
            self._arrived.clear()
            await self._arrived.wait()
        return bool(self._deliveries) and (not self._leaving or self._deliveries[0].begun)

    def _move_past(self, message: Received) -> None:
        topic, partition, epoch = message.topic, message.partition, message.leader_epoch
        after = TopicPartition(topic, partition, message.offset + 1, leader_epoch=epoch)
        self._call(lambda consumer: consumer.store_offsets(offsets=[after]))

    def _rewind(self, message: Message) -> None:
        """Have Kafka deliver a message again; those fetched behind it are dropped until then."""
        self._rewinding, loop, offset = True, asyncio.get_running_loop(), message.offset()
        assert offset is not None
        place = TopicPartition(*self._place, offset)

        def seek(consumer: Consumer) -> None:
            consumer.seek(place)
            # Later than all that was fetched before, and earlier than what comes now.
            loop.call_soon_threadsafe(self._rewound)

        loop.call_later(RETRY_SECONDS, self._call, seek)

    def _rewound(self) -> None:
        self._rewinding = False

    def _resume(self) -> None:
        if self._paused and len(self._deliveries) <= FEW:
            self._paused = False
            self._call(lambda consumer: consumer.resume([TopicPartition(*self._place)]))


def place_of(message: Message) -> Place:
    """Return the topic and partition of a message."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return topic, partition


def named(places: list[TopicPartition]) -> str:
    """Return the names of partitions for a log line."""
    return ", ".join(f"{place.topic}/{place.partition}" for place in places) or "no partition"
