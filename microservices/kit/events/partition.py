"""A partition: its messages that we hold are processed concurrently, and settled in their order.

An offset is stored when its message is settled, and only directly after the one before. So a message that is missing
in between (lost in the client, or one that could not be accepted) is read again: nothing moves past it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import Consumer, Message, TopicPartition

from microservices.kit.events.consumer_config import ConsumerConfig
from microservices.kit.events.delivery import Abandoned, Delivery, Dependencies, explained
from microservices.kit.events.kafka import RETRY_SECONDS
from microservices.kit.events.received import Received, receive

log = logging.getLogger(__name__)

MOST = 500
"""Messages of one partition that we hold at once; then the partition is paused."""

FEW = 100
"""Messages of a paused partition that are left when it is resumed."""

Place = tuple[str, int]
"""Topic and partition."""


class Partition:
    """The messages of one partition that we hold."""

    def __init__(
        self,
        place: Place,
        config: ConsumerConfig,
        dependencies: Dependencies,
        call: Callable[[Callable[[Consumer], None]], None],
        *,
        topic_id: str = "",
    ) -> None:
        self._place, self._call, self._topic_id = place, call, topic_id
        self._config, self._dependencies = config, dependencies
        self._deliveries: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._leaving = self._paused = self._rewinding = self._closed = False
        self._next_offset: int | None = None
        self._task = asyncio.create_task(self._run())

    def receive(self, message: Message) -> None:
        """Take a message; when that fails, take none until Kafka delivers this one again."""
        offset = message.offset()
        assert offset is not None
        if self._rewinding or self._closed:
            return
        if self._next_offset is not None and offset > self._next_offset:
            return self._read_the_gap(self._next_offset, offset)
        try:
            delivery = Delivery(receive(message), self._config, self._dependencies)
        except Exception as error:
            log.exception("a message cannot be accepted, reading it again")
            self._stalled(f"offset {offset} cannot be accepted ({explained(error)})")
            return self._rewind(offset, after=RETRY_SECONDS)
        self._accept(delivery)

    def _accept(self, delivery: Delivery) -> None:
        self._dependencies.stalls.clear((*self._place, "receive"))
        self._next_offset = delivery.message.offset + 1
        self._deliveries.append(delivery)
        self._arrived.set()
        if len(self._deliveries) >= MOST and not self._paused:
            self._paused = True
            self._call(lambda consumer: consumer.pause([TopicPartition(*self._place)]))

    def stop_receiving(self) -> None:
        """Take no more messages: this replica joins the group again."""
        self._closed = True

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
        self._dependencies.stalls.clear((*self._place, "receive"))

    async def _run(self) -> None:
        with suppress(Abandoned):
            while await self._next():
                await self._settle(self._deliveries[0])
                self._deliveries.popleft()

    async def _settle(self, delivery: Delivery) -> None:
        settled = False
        while True:
            try:
                if not settled:
                    await delivery.settle()
                    settled = True
                self._move_past(delivery.message)
                return self._resume(left=len(self._deliveries) - 1)
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
        # The id is committed too: the offset means nothing in another topic with the same name.
        after = TopicPartition(topic, partition, message.offset + 1, self._topic_id, epoch)
        self._call(lambda consumer: consumer.store_offsets(offsets=[after]))

    def _read_the_gap(self, missing: int, offset: int) -> None:
        """Read again from the offset that did not come.

        When that one does not come again, the log has none there (a marker of a transaction, or a message that was
        deleted), and the next one is accepted.
        """
        log.warning("offset %d of %s/%d came instead of %d", offset, *self._place, missing)
        self._rewind(missing)

    def _rewind(self, offset: int, *, after: float = 0) -> None:
        """Have Kafka deliver an offset again; messages fetched behind it are dropped until then."""
        self._rewinding, loop = True, asyncio.get_running_loop()
        place = TopicPartition(*self._place, offset)

        def seek(consumer: Consumer) -> None:
            try:
                consumer.seek(place)
            except Exception as error:
                log.warning("%s/%d cannot be read again yet: %s", *self._place, error)
                loop.call_soon_threadsafe(self._seek_again, offset)
            else:
                # Later than all that was fetched before, and earlier than what comes now.
                loop.call_soon_threadsafe(self._rewound)

        loop.call_later(after, self._call, seek)

    def _seek_again(self, offset: int) -> None:
        if not self._leaving:
            self._rewind(offset, after=RETRY_SECONDS)

    def _rewound(self) -> None:
        self._rewinding = False
        self._next_offset = None  # whatever comes first is the next one

    def _resume(self, *, left: int) -> None:
        if self._paused and left <= FEW:
            self._paused = False
            self._call(lambda consumer: consumer.resume([TopicPartition(*self._place)]))

    def _stalled(self, reason: str) -> None:
        topic, partition = self._place
        # A name of its own: meanwhile earlier messages of this partition are settled.
        self._dependencies.stalls.report(
            (*self._place, "receive"), f"{topic}/{partition}: {reason}"
        )
