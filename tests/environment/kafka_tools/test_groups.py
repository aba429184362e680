"""Consumer groups: their offsets, the member of each partition, and resetting them."""

import time
from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition

from environment import LabError
from environment.errors import UnknownName
from environment.kafka.tools import Kafka
from environment.waiting import wait_until
from tests.environment.kafka_tools.conftest import Joined

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def sent(kafka: Kafka, topic: str, many: int, partition: int = 0) -> None:
    for n in range(many):
        kafka.produce(topic, str(n), partition=partition)


def test_lag_is_what_was_not_committed_and_names_the_member(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    sent(kafka, topic, 5)
    with joined(topic) as consumer:
        message = consumer.poll(10)
        assert message is not None
        while message is not None and message.offset() != 1:
            message = consumer.poll(10)
        consumer.commit(message=message, asynchronous=False)
        found = kafka.lag(group)
        assert found.partition.tolist() == list(range(6))
        first = found.iloc[0]
        assert (first.group, first.topic, first.committed, first.end, first.lag) == (
            group, topic, 2, 5, 3,
        )  # fmt: skip
        assert found.member.tolist() == ["payment-service-1"] * 6
        assert found.committed[1:].isna().all()
        listed = kafka.groups().set_index("group").loc[group]
        assert (listed.state, listed.members, listed.topics, listed.lag) == (
            "stable", 1, topic, 3,
        )  # fmt: skip
    left = kafka.lag(group)
    assert (left.lag.sum(), left.member.isna().all()) == (3, True)


def test_a_group_without_commits_lags_by_everything(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    sent(kafka, topic, 4)
    with joined(topic):
        found = kafka.lag(group)
        assert (found.lag.sum(), found.committed.isna().all()) == (4, True)


def test_an_unknown_group_lists_the_known_ones(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    with joined(topic), pytest.raises(UnknownName, match=f"no consumer group 'paymnt'.*{group}"):
        kafka.lag("paymnt")
    with pytest.raises(UnknownName, match="paymnt"):
        kafka.reset("paymnt", topic, to="earliest")
    with pytest.raises(UnknownName, match="paymnt"):
        kafka.watch_lag("paymnt")


def test_a_group_with_members_is_not_reset(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    sent(kafka, topic, 3)
    with joined(topic):
        with pytest.raises(LabError, match=r"1 live member\(s\), payment-service-1.*stopped\(\)"):
            kafka.reset(group, topic, to="latest")
        assert kafka.lag(group).lag.sum() == 3


def test_a_group_is_reset_to_an_end_offset_or_time(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    sent(kafka, topic, 3)
    with joined(topic):
        pass
    between = datetime.now(UTC)
    assert wait_until(lambda: datetime.now(UTC).timestamp() > between.timestamp() + 0.01, timeout=5)
    sent(kafka, topic, 2)

    def set_to(to: object) -> tuple[int, int]:
        moved = kafka.reset(group, topic, to=to)  # type: ignore[arg-type]
        lag = kafka.lag(group)
        assert lag.committed.tolist() == moved.after.tolist()
        return moved.after[0], lag.lag.sum()

    assert set_to("latest") == (5, 0)
    assert set_to("earliest") == (0, 5)
    assert set_to(1) == (1, 4)
    assert set_to(1000) == (5, 0), "beyond the end is the end"
    assert set_to(between) == (3, 2)
    assert set_to(datetime.fromtimestamp(time.time() + 3600)) == (5, 0), "nothing is as young"
    moved = kafka.reset(group, topic, to=0, partition=0)
    assert (moved.before.tolist(), moved.after.tolist()) == ([5], [0])


def test_a_group_that_was_reset_reads_from_there(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    sent(kafka, topic, 3)
    with joined(topic):
        pass
    kafka.reset(group, topic, to=2)
    with joined(topic) as consumer:
        message = consumer.poll(10)
        assert message is not None
        assert (message.partition(), message.offset()) == (0, 2)


def test_a_target_that_is_none_is_explained(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    with joined(topic) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    for to in ("soon", -1, 1.5, True, None):
        with pytest.raises(LabError, match='"earliest", "latest", an offset'):
            kafka.reset(group, topic, to=to)  # type: ignore[arg-type]
