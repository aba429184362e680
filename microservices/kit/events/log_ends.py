"""The ends of the log: how far each partition of a group's topics reaches, and from where the group has still to read.

A consumer sees a partition that is silent. Only the broker can show whether nothing was published, or whether it was
not read yet.

What the group has committed is read by a consumer that joins no group. The admin client's request for it ends the
process when the group has no coordinator yet (librdkafka's issue 5040).
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from microservices.kit.events.event_types import Data
from microservices.kit.events.partition import Place
from microservices.kit.events.topics import PARTITIONS

log = logging.getLogger(__name__)

EARLIEST, LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]

EVERY_SECONDS = 0.5
REQUEST_SECONDS = 1.0
FINISH_SECONDS = 2.5
"""Longest wait for a look that is under way, when the service stops."""


@dataclass(frozen=True)
class Ends:
    """One look at the log. A look grows old: meanwhile events are published.

    `end` is the offset that the next message of a partition will have, `begin` the first one that the group has not
    committed.
    """

    end: Mapping[Place, int] = field(default_factory=dict)
    begin: Mapping[Place, int] = field(default_factory=dict)
    asked: float = -1e9
    """When the broker was asked, on the monotonic clock of this process."""

    @property
    def age(self) -> float:
        """Seconds since the broker was asked."""
        return time.monotonic() - self.asked


class LogEnds:
    """Asks the broker again and again; `latest` is the newest look."""

    def __init__(self, client: dict[str, Any], kinds: Iterable[type[Data]], group: str) -> None:
        self._client, self._group = client, group
        self._consumer: Consumer | None = None
        self._looking: asyncio.Future[Ends] | None = None
        self._places = [(kind.topic, number) for kind in kinds for number in range(PARTITIONS)]
        self._admin: AdminClient | None = None
        self.latest = Ends()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        # A client that is closed while another thread uses it ends the process.
        looking = [self._looking] if self._looking else []
        pending = (await asyncio.wait(looking, timeout=FINISH_SECONDS))[1] if looking else ()
        if self._consumer is not None and not pending:
            await asyncio.to_thread(self._consumer.close)

    async def _run(self) -> None:
        while True:
            try:
                self._looking = asyncio.ensure_future(asyncio.to_thread(self._look))
                # Its error is read when the service waits for it, and that may have ended.
                self._looking.add_done_callback(lambda look: look.cancelled() or look.exception())
                self.latest = await asyncio.shield(self._looking)
            except KafkaException as error:  # Kafka is down, or a topic is not there yet
                log.debug("the ends of the log are not known: %s", error)
            except Exception:
                log.exception("the ends of the log cannot be read, trying again")
            await asyncio.sleep(EVERY_SECONDS)

    # -- in a thread --

    def _look(self) -> Ends:
        asked = time.monotonic()
        begin = self._committed()
        unknown = [place for place in self._places if place not in begin]
        begin |= self._offsets(unknown, EARLIEST)
        return Ends(self._offsets(self._places, LATEST), begin, asked)

    def _committed(self) -> dict[Place, int]:
        if self._consumer is None:
            self._consumer = Consumer({**self._client, "group.id": self._group})
        places = [TopicPartition(*place) for place in self._places]
        found = self._consumer.committed(places, timeout=REQUEST_SECONDS)
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def _offsets(self, places: Iterable[Place], which: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(*place): which for place in places}
        if not asked:
            return {}
        admin = self._connected()
        found = admin.list_offsets(asked, request_timeout=REQUEST_SECONDS)
        try:
            return {
                (place.topic, place.partition): future.result().offset
                for place, future in found.items()
            }
        except KafkaException:
            admin.list_topics(timeout=REQUEST_SECONDS)  # after this it has each partition's leader
            raise

    def _connected(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._client)
        return self._admin
