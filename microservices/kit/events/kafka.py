"""Kafka's address, and the settings of its clients."""

import logging
from typing import Any

from confluent_kafka import KafkaError

from microservices.kit.settings import BadSetting, Settings

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
MAX_BYTES = 2_000_000
"""Longest message we carry: a dead letter is longer than the message in it, by its headers."""

CLIENT_LOG = logging.getLogger("microservices.kit.events.kafka.client")
# While Kafka is down the client library would log it several times per second.
CLIENT_LOG.setLevel(logging.CRITICAL)

GROUP_SETTINGS: dict[str, Any] = {
    "auto.offset.reset": "earliest",  # a new group begins with the first message
    "enable.auto.commit": True,  # several times per second, and when we leave; but only ...
    "enable.auto.offset.store": False,  # ... what we have stored: by default, all that was polled
    "auto.commit.interval.ms": 250,
    "partition.assignment.strategy": "cooperative-sticky",  # a member that stays keeps its own
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 500,
    "topic.metadata.refresh.interval.ms": 5000,  # or a topic made a moment ago is missed for 5 min
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 50,
}
"""The settings of every consumer."""


def log_absence(error: KafkaError) -> None:
    """Log when Kafka does not answer; the client retries by itself."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        log.warning("kafka does not answer, trying again")


def client_settings(settings: Settings) -> dict[str, Any]:
    """Return what producer, consumer and admin have in common: they reconnect without a limit, after short waits.

    Raises:
        BadSetting: `KAFKA_BOOTSTRAP` is not set.
    """
    if settings.kafka_bootstrap is None:
        raise BadSetting("KAFKA_BOOTSTRAP is not set: host:port of Kafka is expected")
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": settings.instance,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "socket.connection.setup.timeout.ms": 2000,
        # Starting from the bootstrap address again, at each failed attempt, makes and ends threads, and keeps an event
        # for a client that is not polled: without Kafka a service would use more and more memory and processor time
        # (librdkafka issue 5546). There is one broker, whose name is looked up at each attempt all the same.
        "metadata.recovery.strategy": "none",
        "logger": CLIENT_LOG,
        "error_cb": log_absence,
    }
