"""Kafka: what every client of it is told, and which topics there are."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from microservices.kit.events.event_types import PARTITIONS, Data, dead_letter_topic
from microservices.kit.settings import BadSetting, Settings

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
MAX_BYTES = 2_000_000
"""Longest message we carry: a dead letter is longer than what it holds, by its headers."""

CLIENT_LOG = logging.getLogger("microservices.kit.events.kafka.client")
CLIENT_LOG.setLevel(
    logging.CRITICAL
)  # while Kafka is away it would say so several times per second


def log_absence(error: KafkaError) -> None:
    """Log when Kafka is away; the client goes on trying by itself."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        log.warning("kafka does not answer, trying again")


def client_settings(settings: Settings) -> dict[str, Any]:
    """Return what producer, consumer and admin have in common: they reconnect for ever, and soon.

    Raises:
        BadSetting: when nobody said where Kafka answers.
    """
    if settings.kafka_bootstrap is None:
        raise BadSetting("KAFKA_BOOTSTRAP is not set: host:port of Kafka is expected")
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": settings.instance,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "socket.connection.setup.timeout.ms": 2000,
        "logger": CLIENT_LOG,
        "error_cb": log_absence,
    }


class Topics:
    """The topics a service reads and writes; it creates those that are missing."""

    def __init__(
        self,
        client: dict[str, Any],
        *,
        reads: Iterable[type[Data]],
        writes: Iterable[type[Data]] = (),
    ) -> None:
        read, written = {kind.topic for kind in reads}, {kind.topic for kind in writes}
        self.names = sorted(read | written | {dead_letter_topic(topic) for topic in read})
        self._client = client
        self._admin: AdminClient | None = None

    async def create(self) -> None:
        """Create the topics; a Kafka that is away is awaited."""
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
        """Return why Kafka cannot be used now; ``None`` when it answers."""
        try:
            await asyncio.to_thread(lambda: self._connected().list_topics(self.names[0], timeout=1))
        except KafkaException:
            return "Kafka does not answer"
        return None

    def _connected(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._client)
        return self._admin
