"""A mutant of the dying broker: a producer that takes a record for durable once it is sent."""

from typing import Any

from confluent_kafka import Producer

from microservices.kit.events import producer
from tests.mutants.service import run_with


def producer_without_acknowledgement(settings: dict[str, Any]) -> Producer:
    return Producer({**settings, "acks": 0, "enable.idempotence": False})


if __name__ == "__main__":
    run_with("order-service", producer, "Producer", producer_without_acknowledgement)
