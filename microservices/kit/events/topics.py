"""The topics of a service: it creates those that are missing, when it starts and while it runs."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from microservices.kit.events.event_types import Data, dead_letter_topic
from microservices.kit.events.kafka import MAX_BYTES, RETRY_SECONDS
from microservices.kit.events.refusals import is_gone

log = logging.getLogger(__name__)

PARTITIONS = 6
"""Of every topic: up to six replicas of a service share its events."""

WATCH_SECONDS = 2.0
"""How soon a topic that was deleted is created again."""

LISTED_SECONDS = 10.0
LOOK_SECONDS = 0.05


class Topics:
    """The topics a service consumes, with their dead letters, and those it publishes to.

    While the service runs, one that was deleted is created again.
    """

    def __init__(
        self,
        client: dict[str, Any],
        *,
        consumes: Iterable[type[Data]],
        publishes: Iterable[type[Data]] = (),
    ) -> None:
        consumed = {kind.topic for kind in consumes}
        published = {kind.topic for kind in publishes}
        dead_letters = {dead_letter_topic(topic) for topic in consumed}
        self._consumed = consumed
        self.names = sorted(consumed | published | dead_letters)
        self.ids: dict[str, str] = {}
        """Kafka's id of each topic: a topic that was deleted and created again has the same name and another id."""
        self.on_new_id: Callable[[], None] = lambda: None
        self._client = client
        self._admin: AdminClient | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def create(self) -> None:
        """Create the topics, and return when Kafka lists them all; while Kafka is down, wait for it."""
        while True:
            try:
                return await asyncio.to_thread(self._create, self.names)
            except KafkaException as error:
                log.warning("topics cannot be created, trying again: %s", error.args[0].str())
            await asyncio.sleep(RETRY_SECONDS)

    async def ensure(self, topic: str) -> None:
        """Create a topic that this service did not create when it started.

        Raises:
            KafkaException: it does not exist, and cannot be created.
        """
        if topic not in self.names:
            await asyncio.to_thread(self._create, [topic])
            self.names = sorted({*self.names, topic})

    async def unavailable(self) -> str | None:
        """Return why Kafka cannot be used now, `None` when it answers and has every topic."""
        try:
            missing = await asyncio.to_thread(self._missing, self.names)
        except KafkaException:
            return "Kafka does not answer"
        return f"Kafka has no topic {', '.join(missing)}" if missing else None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await asyncio.to_thread(self._look)
            except KafkaException as error:
                log.warning("topics cannot be checked, trying again: %s", error.args[0].str())
            except Exception:  # whatever it is, the next attempt may succeed
                log.exception("topics cannot be checked, trying again")

    # -- in a thread --

    def _look(self) -> None:
        before = self.ids
        if missing := self._missing(self.names):
            log.error("topics are missing, creating them: %s", ", ".join(missing))
            self._create(missing)
            self._missing(self.names)
        known = before.keys() & self._consumed
        if again := sorted(name for name in known if before[name] != self.ids[name]):
            log.error(
                "topics were created again, reading them from their start: %s", ", ".join(again)
            )
            self.on_new_id()

    def _create(self, names: Sequence[str]) -> None:
        wide = {"max.message.bytes": str(MAX_BYTES)}
        topics = [
            NewTopic(name, PARTITIONS, 1, config=wide if name.endswith("-dlq") else {})
            for name in names
        ]
        made = self._connected().create_topics(topics, operation_timeout=2, request_timeout=2)
        for future in made.values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        self._await(names)

    def _await(self, names: Sequence[str]) -> None:
        """Wait until Kafka lists topics: a consumer that subscribes before does not find them for seconds."""
        deadline = time.monotonic() + LISTED_SECONDS
        while missing := self._missing(names, with_leaders=True):
            if time.monotonic() > deadline:
                detail = f"created, and not listed: {', '.join(missing)}"
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, detail))
            time.sleep(LOOK_SECONDS)

    def _missing(self, names: Iterable[str], *, with_leaders: bool = False) -> list[str]:
        """Return those of the topics that Kafka does not have, or not with a leader in every partition."""
        asked = self._connected().describe_topics(TopicCollection([*names]), request_timeout=1)
        found = {name: described(future) for name, future in asked.items()}
        self.ids = self.ids | {name: str(one.topic_id) for name, one in found.items() if one}
        return [name for name, one in found.items() if not usable(one, with_leaders=with_leaders)]

    def _connected(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._client)
        return self._admin


def described(future: "Future[TopicDescription]") -> TopicDescription | None:
    """Return the description of a topic, `None` when it does not exist."""
    try:
        return future.result()
    except KafkaException as error:
        if is_gone(error):
            return None
        raise


def usable(topic: TopicDescription | None, *, with_leaders: bool) -> bool:
    """Return whether a topic exists; `with_leaders`: and each of its partitions has a leader."""
    if topic is None or not topic.partitions:
        return False
    return not with_leaders or all(partition.leader for partition in topic.partitions)
