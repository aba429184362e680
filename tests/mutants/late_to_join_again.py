"""A mutant of broker_dies: services whose consumers take their time before they join their group again."""

import time

from confluent_kafka import Consumer, TopicPartition

from microservices.kit.events.consumer import EventConsumer
from tests.mutants.service import run_with

SECONDS = 25.0
"""After the session's end: longer than the rest of a broker's restart, and all that the judge allows."""

on_lost = EventConsumer._on_lost


def lose_and_wait(self: EventConsumer, client: Consumer, places: list[TopicPartition]) -> None:
    on_lost(self, client, places)
    time.sleep(SECONDS)


if __name__ == "__main__":
    run_with("payment-service", EventConsumer, "_on_lost", lose_and_wait)
