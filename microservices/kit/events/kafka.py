"""Kafka's address, and the settings that every client of it has."""

import logging
from typing import Any

from confluent_kafka import KafkaError

from microservices.kit.settings import BadSetting, Settings

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
MAX_BYTES = 2_000_000
"""Longest message we carry: a dead letter is longer than the message in it, by its headers."""

CLIENT_LOG = logging.getLogger("microservices.kit.events.kafka.client")
# While Kafka is away the client library would log it several times per second.
CLIENT_LOG.setLevel(logging.CRITICAL)


def log_absence(error: KafkaError) -> None:
    """Log when Kafka is away; the client goes on trying by itself."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        log.warning("kafka does not answer, trying again")


def client_settings(settings: Settings) -> dict[str, Any]:
    """Return what producer, consumer and admin have in common: they reconnect for ever, and soon.

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
        "logger": CLIENT_LOG,
        "error_cb": log_absence,
    }
