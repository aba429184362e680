"""A test's own reading of a broker: its topics' messages, its groups' offsets, and the owners of partitions."""

import uuid
from collections.abc import Iterable

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

PARTITIONS = 6
SECONDS = 20


class Broker:
    """The broker at `bootstrap`."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @property
    def admin(self) -> AdminClient:
        """A new client each time: one that saw the broker die comes back to it slowly."""
        return AdminClient({"bootstrap.servers": self.bootstrap})

    def produce(self, topic: str, value: bytes | None, key: bytes | None, **words: int) -> None:
        """Sends one record and waits until the broker has it."""
        self.produce_all([(topic, value, key)], **words)

    def produce_all(
        self, records: Iterable[tuple[str, bytes | None, bytes | None]], **words: int
    ) -> None:
        """Sends records and waits until the broker has them all."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "acks": "all", "message.max.bytes": 2_000_000}
        )
        for topic, value, key in records:
            producer.produce(topic, value, key, **words)
            producer.poll(0)
        assert producer.flush(SECONDS) == 0

    def records(self, *topics: str) -> list[Message]:
        """All records of topics, as they lie there now."""
        words = {
            "bootstrap.servers": self.bootstrap,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "enable.partition.eof": True,
        }
        reader = Consumer(words)
        places = [(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        reader.assign([TopicPartition(*place, 0) for place in places])
        found, ended = [], 0
        while ended < len(places):
            message = reader.poll(SECONDS)
            assert message is not None, f"no end of {topics} in {SECONDS} s"
            if message.error() is None:
                found.append(message)
            else:
                ended += 1
        reader.close()
        return found

    def ends(self, topic: str) -> dict[int, int]:
        """The offset after the last record, per partition."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "nobody"})
        ends = {
            partition: reader.get_watermark_offsets(TopicPartition(topic, partition), SECONDS)[1]
            for partition in range(PARTITIONS)
        }
        reader.close()
        return ends

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """How far a group is, per partition; 0 where it has committed nothing."""
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        asked = ConsumerGroupTopicPartitions(group, places)
        admin = self.admin
        (future,) = admin.list_consumer_group_offsets([asked]).values()
        return {p.partition: max(0, p.offset) for p in future.result(SECONDS).topic_partitions}

    def lag(self, group: str, topic: str) -> int:
        """How many records the group has still to settle."""
        return sum(self.ends(topic).values()) - sum(self.committed(group, topic).values())

    def owned(self, group: str) -> list[int]:
        """How many partitions each member of the group owns, in order."""
        admin = self.admin
        (future,) = admin.describe_consumer_groups([group]).values()
        members = future.result(SECONDS).members
        return sorted(len(member.assignment.topic_partitions) for member in members)

    def delete(self, *topics: str) -> None:
        """Deletes topics, with all they hold."""
        admin = self.admin
        for future in admin.delete_topics([*topics]).values():
            future.result(SECONDS)

    def set_topic(self, topic: str, name: str, value: str) -> None:
        """Changes a topic's configuration."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin = self.admin
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(SECONDS)
