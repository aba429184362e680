"""The consumer: one member of a group, which divides the partitions of its topics among its members.

A group's offset in each partition is where it goes on reading. It is stored here only after the
effect of a message is durable (`delivery.py`), and in the partition's order without a gap
(`partition.py`): a replica that is killed at any moment leaves a message that is delivered again,
never one that is lost. Whatever raises in here has the same end: the replica joins the group again,
and reads on from the offsets that are committed.

A thread polls Kafka all the time, also while all messages are being worked on, so that the group does not remove a
busy replica.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as TimedOut
from contextlib import contextmanager, suppress
from typing import Any, Self

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)

from microservices.kit.backoff import backoff
from microservices.kit.drain import Drain
from microservices.kit.events.consumer_config import ConsumerConfig
from microservices.kit.events.delivery import Dependencies
from microservices.kit.events.kafka import GROUP_SETTINGS, RETRY_SECONDS
from microservices.kit.events.partition import MOST, Partition, Place
from microservices.kit.events.topics import Topics

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
SLICE = 50
"""Messages that the event loop takes at once: meanwhile no request is answered."""

FINISH_SECONDS = 3.0
"""Longest wait for work that has begun, when a partition is revoked."""

COMMITTED_SECONDS = 5.0
"""Longest wait for the offsets that the group has committed."""

LONGEST_SECONDS = 10.0
"""Longest wait before this replica joins again: each time, the whole group divides its partitions anew."""

LEAVE_SECONDS = 1.0
"""Longest wait for Kafka to confirm that this replica leaves the group; Kafka may be down."""


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
        self._joined, self._failures = False, 0
        self._doubtful, self._taken = threading.Event(), threading.Event()
        self._taken.set()
        self._stopping, self._finished = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._topics.on_new_id = self._doubtful.set
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
        while True:
            try:
                await self._topics.create()
                self._consumer = Consumer(self._settings)
                return self._thread.start()
            except Exception:
                log.exception("the consumer cannot start, trying again")
            await asyncio.sleep(RETRY_SECONDS)

    # -- in the thread --

    @property
    def _ending(self) -> bool:
        return self._stopping.is_set() or self._drain.draining

    def _run(self) -> None:
        try:
            while not self._ending:
                self._be_member()
        except BaseException:  # else the thread would end without a line in the log
            log.exception("the consumer has ended")
        finally:
            self._joined = False  # and /ready answers 503
            self._finished.set()
            with suppress(RuntimeError):  # it is closed already
                self._consumer.close()  # else the group would wait for this member

    def _be_member(self) -> None:
        """Be a member of the group until this replica stops, or until something unexpected happens."""
        try:
            self._poll()
        except Exception:
            log.exception("the consumer failed, joining the group again")
        self._joined = False
        with self._logged("the partitions were not released"):
            self._release(self._every_place(), FINISH_SECONDS)
        if self._ending:
            self._finished.set()
            return self._consumer.close()
        with self._logged("the consumer was not closed"):
            self._consumer.close()
        self._calls.clear()
        self._failures += 1
        self._stopping.wait(backoff(self._failures, first=RETRY_SECONDS, longest=LONGEST_SECONDS))
        with self._logged("there is no new consumer"):
            self._consumer = Consumer(self._settings)

    def _poll(self) -> None:
        self._doubtful.clear()
        self._consumer.subscribe(
            [kind.topic for kind in self._config.kinds],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        while not self._ending:
            self._fetch()
            self._do_calls()
            if self._doubtful.is_set():
                raise RuntimeError("a message or a topic is not what it was expected to be")

    def _fetch(self) -> None:
        message = self._consumer.poll(POLL_SECONDS)
        if message is None:
            return
        # poll returns with the first message; consume would wait for the last one. A call that raises drops
        # what it has fetched, so this replica joins again.
        messages = [message, *self._consumer.consume(MOST, timeout=0)]
        for begin in range(0, len(messages), SLICE):
            self._hand_over(messages[begin : begin + SLICE])
        self._failures = 0

    def _hand_over(self, messages: list[Message]) -> None:
        """Have the event loop take some messages, once it has taken those before: requests get their turn between."""
        while not self._taken.wait(POLL_SECONDS) and not self._ending:
            pass
        self._taken.clear()
        self._loop.call_soon_threadsafe(self._receive, messages)

    def _do_calls(self) -> None:
        """Make the calls that the event loop asks for: a client works only for the thread that polls."""
        while self._calls:
            call = self._calls.popleft()
            with self._logged("a consumer call failed"):
                call(self._consumer)

    @contextmanager
    def _logged(self, failure: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:  # the partition has another owner meanwhile
            log.warning("%s: %s", failure, error.args[0].str())
        except Exception:
            log.exception(failure)

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        ids = self._topics.ids
        if places and (outdated := self._outdated(consumer, places, ids)):
            log.warning(
                "committed in a topic that was deleted, from the start: %s", named(outdated)
            )
            consumer.incremental_assign(
                [
                    TopicPartition(place.topic, place.partition, OFFSET_BEGINNING)
                    if place in outdated
                    else place
                    for place in places
                ]
            )
        self._joined = True
        log.info("assigned %s", named(places))
        taken = [(place.topic, place.partition) for place in places]
        self._loop.call_soon_threadsafe(self._take, taken, ids)

    def _outdated(
        self, consumer: Consumer, places: list[TopicPartition], ids: Mapping[str, str]
    ) -> list[TopicPartition]:
        """Return the partitions whose committed offset belongs to a topic that was deleted since.

        Kafka may keep that offset, and the new topic has other messages before it.
        """
        committed = consumer.committed(places, timeout=COMMITTED_SECONDS)
        return [
            place
            for place, at in zip(places, committed, strict=True)
            if at.offset >= 0 and at.metadata and at.metadata != ids.get(place.topic, at.metadata)
        ]

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

    def _take(self, places: list[Place], ids: Mapping[str, str]) -> None:
        try:
            for place in places:
                self._partitions[place] = Partition(
                    place,
                    self._config,
                    self._dependencies,
                    self._calls.append,
                    topic_id=ids.get(place[0], ""),
                )
        except Exception:
            log.exception("a partition cannot be accepted")
            self._doubt()

    def _every_place(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in [*self._partitions]]

    async def _leave(self, places: list[Place], seconds: float) -> None:
        leaving = [self._partitions.pop(place) for place in places if place in self._partitions]
        await asyncio.gather(*(partition.leave(seconds) for partition in leaving))

    def _receive(self, messages: list[Message]) -> None:
        try:
            for message in messages:
                if error := message.error():
                    log.warning("kafka: %s", error.str())
                    if error.fatal():
                        self._doubtful.set()
                elif partition := self._partitions.get(place_of(message)):
                    partition.receive(message)
        except Exception:
            log.exception("a message cannot be accepted")
            self._doubt()
        finally:
            self._taken.set()

    def _doubt(self) -> None:
        """Accept nothing until this replica has joined again: something was lost, and it is unknown what."""
        self._doubtful.set()
        for partition in self._partitions.values():
            partition.stop_receiving()


def place_of(message: Message) -> Place:
    """Return the topic and partition of a message."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return topic, partition


def named(places: list[TopicPartition]) -> str:
    """Return the names of partitions for a log line."""
    return ", ".join(f"{place.topic}/{place.partition}" for place in places) or "no partition"
