"""The clients' common settings: what a client costs while Kafka is away."""

import time

import psutil
from confluent_kafka import Consumer

from microservices.kit.events.kafka import client_settings
from microservices.kit.settings import Settings
from tests.microservices.conftest import NO_KAFKA

SECONDS = 3.0


def test_a_client_without_a_broker_starts_no_more_threads() -> None:
    given = client_settings(Settings(port=1, kafka_bootstrap=NO_KAFKA))
    consumer = Consumer({**given, "group.id": "nothing"})
    try:
        time.sleep(0.5)  # its threads start
        first, seen = threads(), set[int]()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            seen |= threads()
            time.sleep(0.005)  # the pace of the looks
        assert seen - first == set()
    finally:
        consumer.close()


def threads() -> set[int]:
    return {thread.id for thread in psutil.Process().threads()}
