"""A mutant of the dying broker: a producer that calls a record safe when it has left, and waits for no word."""

from typing import Any

from confluent_kafka import Producer

from microservices.kit.events import producer
from tests.mutants.service import run_with


def producer_that_does_not_listen(settings: dict[str, Any]) -> Producer:
    return Producer({**settings, "acks": 0, "enable.idempotence": False})


if __name__ == "__main__":
    run_with("order-service", producer, "Producer", producer_that_does_not_listen)
