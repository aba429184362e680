"""A mutant of broker_dies: a payment-service that takes its time over the partitions that it gets again."""

import time

from confluent_kafka import Consumer, TopicPartition

from microservices.kit.events.consumer import EventConsumer
from tests.mutants.service import run_with

SECONDS = 15.0
"""Longer than all that the judge allows."""

on_assign = EventConsumer._on_assign
before: list[TopicPartition] = []
"""What the group has assigned so far."""


def wait_and_take(self: EventConsumer, client: Consumer, places: list[TopicPartition]) -> None:
    if before:
        time.sleep(SECONDS)
    before.extend(places)
    on_assign(self, client, places)


if __name__ == "__main__":
    run_with("payment-service", EventConsumer, "_on_assign", wait_and_take)
