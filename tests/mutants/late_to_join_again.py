"""A mutant of broker_dies: services whose consumers take their time before they join their group again."""

import time
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from microservices.kit.events.consumer import EventConsumer
from tests.mutants.service import run_with

SECONDS = 12.0
"""After the broker's return: more than a session timeout, a heartbeat and the judge's allowance."""

on_lost = EventConsumer._on_lost


def lose_and_wait(self: EventConsumer, client: Consumer, places: list[TopicPartition]) -> None:
    on_lost(self, client, places)
    wait_for_broker(client)
    time.sleep(SECONDS)


def wait_for_broker(client: Consumer) -> None:
    while True:
        with suppress(KafkaException):
            client.list_topics(timeout=1.0)
            return


if __name__ == "__main__":
    run_with("payment-service", EventConsumer, "_on_lost", lose_and_wait)
