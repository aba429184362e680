"""Topics: which there are, how many messages each partition holds, and a new one."""

import pandas as pd
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from environment.errors import LabError, NotReady
from environment.kafka.broker import Broker, table
from environment.waiting import wait_until

TOPICS = {"topic": "object", "partitions": "int64", "messages": "int64"}
OFFSETS = {
    "topic": "object",
    "partition": "int64",
    "earliest": "int64",
    "latest": "int64",
    "messages": "int64",
}


def list_topics(broker: Broker) -> pd.DataFrame:
    """One row per topic: topic, partitions, messages."""
    topics = broker.topics()
    span = broker.span((topic, n) for topic, numbers in topics.items() for n in numbers)
    return table(
        (
            {
                "topic": topic,
                "partitions": len(numbers),
                "messages": sum(span[topic, n][1] - span[topic, n][0] for n in numbers),
            }
            for topic, numbers in topics.items()
        ),
        TOPICS,
    )


def list_offsets(broker: Broker, topic: str) -> pd.DataFrame:
    """One row per partition: topic, partition, earliest, latest (what the next message will have), messages."""
    return table(
        (
            {
                "topic": topic,
                "partition": partition,
                "earliest": first,
                "latest": end,
                "messages": end - first,
            }
            for (topic, partition), (first, end) in broker.span(broker.places(topic)).items()
        ),
        OFFSETS,
    )


def create_topic(broker: Broker, topic: str, partitions: int) -> None:
    """Make a topic. Raises `LabError` when it exists, or when Kafka does not take its name."""
    if not isinstance(partitions, int) or partitions < 1:
        raise LabError(f"A topic has 1 partition or more, not {partitions}.")
    asked = f"make the topic {topic!r}"
    new = [NewTopic(topic, partitions, 1)]
    broker.ask(asked, lambda: broker.admin.create_topics(new)[topic].result(broker.seconds))
    if not wait_until(lambda: topic in broker.topics(), timeout=broker.seconds):
        raise NotReady(
            f"The broker made the topic {topic!r} and did not list it within {broker.seconds:.0f} s. "
            "`lab logs kafka` shows what it does."
        )
