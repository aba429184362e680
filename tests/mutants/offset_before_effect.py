"""A mutant of crash anywhere: an inventory-service that commits the offset of a message before its effect."""

import asyncio

from confluent_kafka import Consumer

from microservices.kit.events.delivery import Delivery
from microservices.kit.events.partition import Partition
from tests.mutants.service import run_with

settle = Partition._settle


async def commit_and_settle(partition: Partition, delivery: Delivery) -> None:
    committed, loop = asyncio.Event(), asyncio.get_running_loop()

    def commit(consumer: Consumer) -> None:
        consumer.commit(asynchronous=False)
        loop.call_soon_threadsafe(committed.set)

    partition._move_past(delivery.message)
    partition._call(commit)
    await committed.wait()
    await settle(partition, delivery)


if __name__ == "__main__":
    run_with("inventory-service", Partition, "_settle", commit_and_settle)
