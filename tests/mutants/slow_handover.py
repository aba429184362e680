"""A mutant of rebalance: a payment-service that waits as long as it may before it gives partitions back."""

import time

from confluent_kafka import Consumer, TopicPartition

from microservices.kit.events.consumer import FINISH_SECONDS, EventConsumer
from tests.mutants.service import run_with

on_revoke = EventConsumer._on_revoke


def wait_and_revoke(self: EventConsumer, client: Consumer, places: list[TopicPartition]) -> None:
    time.sleep(FINISH_SECONDS)
    on_revoke(self, client, places)


if __name__ == "__main__":
    run_with("payment-service", EventConsumer, "_on_revoke", wait_and_revoke)
