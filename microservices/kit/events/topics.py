"""The topics of a service: it creates those that are missing."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from microservices.kit.events.event_types import Data, dead_letter_topic
from microservices.kit.events.kafka import MAX_BYTES, RETRY_SECONDS

log = logging.getLogger(__name__)

PARTITIONS = 6
"""Of every topic: up to six replicas of a service share its events."""


class Topics:
    """The topics a service consumes, with their dead letters, and those it publishes to."""

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
        self.names = sorted(consumed | published | dead_letters)
        self._client = client
        self._admin: AdminClient | None = None

    async def create(self) -> None:
        """Create the topics; while Kafka is down, wait for it."""
        while True:
            try:
                return await asyncio.to_thread(self._create)
            except KafkaException as error:
                log.warning("topics cannot be created, trying again: %s", error.args[0].str())
            await asyncio.sleep(RETRY_SECONDS)

    def _create(self) -> None:
        wide = {"max.message.bytes": str(MAX_BYTES)}
        topics = [
            NewTopic(name, PARTITIONS, 1, config=wide if name.endswith("-dlq") else {})
            for name in self.names
        ]
        made = self._connected().create_topics(topics, operation_timeout=2, request_timeout=2)
        for future in made.values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    async def unavailable(self) -> str | None:
        """Return why Kafka cannot be used now, `None` when it answers."""
        try:
            await asyncio.to_thread(lambda: self._connected().list_topics(self.names[0], timeout=1))
        except KafkaException:
            return "Kafka does not answer"
        return None

    def _connected(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._client)
        return self._admin
