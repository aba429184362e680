"""A mutant of rebalance: a payment-service that stores an offset when the message comes, not when its work is done."""

from confluent_kafka import Message

from microservices.kit.events import received
from microservices.kit.events.partition import Partition
from tests.mutants.service import run_with

receive = Partition.receive


def move_past_and_receive(partition: Partition, message: Message) -> None:
    partition._move_past(received.receive(message))
    receive(partition, message)


if __name__ == "__main__":
    run_with("payment-service", Partition, "receive", move_past_and_receive)
