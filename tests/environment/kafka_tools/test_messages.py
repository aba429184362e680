"""Topics and messages: what was sent is what is read, and a refusal gives its reason."""

import subprocess
import sys

import pandas as pd
import pytest
from confluent_kafka import Producer

from environment import Environment, LabError
from environment.errors import NotReady, UnknownName
from environment.kafka.broker import Broker
from environment.kafka.tools import Kafka
from environment.kafka.topics import list_topics
from tests.environment.kafka_tools.conftest import check_odd_records

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def test_what_is_sent_is_read_with_key_headers_and_place(kafka: Kafka, topic: str) -> None:
    sent = kafka.produce(topic, {"orderId": "o-1"}, key="o-1", headers={"traceparent": "00-1-01"})
    found = kafka.read(topic)
    assert len(found) == 1
    read = found.iloc[0]
    assert (read.value, read.key, read.headers) == (
        '{"orderId": "o-1"}', "o-1", {"traceparent": "00-1-01"},
    )  # fmt: skip
    assert (read.partition, read.offset, read.time) == tuple(
        sent.loc[0, ["partition", "offset", "time"]]
    )
    assert abs(pd.Timestamp.now("UTC") - read.time) < pd.Timedelta(minutes=1)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"", ""),
        (None, None),
        ("Größe 🙂", "Größe 🙂"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_any_bytes_are_shown(
    kafka: Kafka, topic: str, sent: bytes | str | None, shown: str | None
) -> None:
    kafka.produce(topic, sent, key=b"\xff", headers={"raw": b"\xfe"})
    read = kafka.read(topic).iloc[0]
    assert (read.value, read.key, read.headers) == (shown, "\\xff", {"raw": "\\xfe"})


def test_headers_that_cannot_be_read_are_shown_as_missing(kafka: Kafka, topic: str) -> None:
    check_odd_records(kafka, topic)


def numbered(kafka: Kafka, topic: str, many: int) -> None:
    """`many` messages whose times are their numbers, dealt out to the partitions in turn."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for n in range(many):
        producer.produce(topic, str(n), partition=n % 6, timestamp=1_790_000_000_000 + n)
    assert producer.flush(20) == 0


def test_messages_are_read_from_either_end_or_an_offset(kafka: Kafka, topic: str) -> None:
    numbered(kafka, topic, 60)
    assert kafka.read(topic, limit=7).value.tolist() == [str(n) for n in range(7)]
    latest = kafka.read(topic, offset="latest", limit=7).value
    assert latest.tolist() == [str(n) for n in range(53, 60)]
    assert kafka.read(topic, partition=2, offset=8).value.tolist() == ["50", "56"]
    assert kafka.read(topic, offset=9).value.tolist() == [str(n) for n in range(54, 60)]
    assert kafka.read(topic, offset=1000).empty


def test_reading_moves_no_group(kafka: Kafka, topic: str) -> None:
    numbered(kafka, topic, 6)
    before = kafka.groups().group.tolist()
    kafka.read(topic)
    assert kafka.groups().group.tolist() == before


def test_topics_and_offsets_are_counted(kafka: Kafka, topic: str) -> None:
    numbered(kafka, topic, 8)
    mine = kafka.topics().set_index("topic").loc[topic]
    assert (mine.partitions, mine.messages) == (6, 8)
    offsets = kafka.offsets(topic)
    assert offsets.partition.tolist() == list(range(6))
    assert offsets.earliest.tolist() == [0] * 6
    assert offsets.latest.tolist() == offsets.messages.tolist() == [2, 2, 1, 1, 1, 1]


def test_kafkas_own_topics_are_left_out(kafka: Kafka, topic: str) -> None:
    assert not kafka.topics().topic.str.startswith("__").any()


def test_an_empty_topic_is_an_empty_table_with_its_columns(kafka: Kafka, topic: str) -> None:
    full, empty = kafka.read(topic), kafka.produce(topic, "one")
    assert full.empty
    assert full.columns.tolist() == kafka.read(topic).columns.tolist()
    assert full.dtypes.tolist() == kafka.read(topic).dtypes.tolist()
    assert len(empty) == 1


def test_an_unknown_name_lists_the_known_ones(kafka: Kafka, topic: str) -> None:
    for ask in (
        lambda: kafka.read("order-craeted"),
        lambda: kafka.produce("order-craeted", "x"),
        lambda: kafka.offsets("order-craeted"),
        lambda: kafka.dead_letters("order-craeted"),
    ):
        with pytest.raises(UnknownName, match=f"no topic 'order-craeted'.*{topic}"):
            ask()
    with pytest.raises(UnknownName, match="0 to 5, not 6"):
        kafka.read(topic, partition=6)


def test_wrong_words_are_explained(kafka: Kafka, topic: str) -> None:
    with pytest.raises(LabError, match="At least 1 message"):
        kafka.read(topic, limit=0)
    for offset in ("soon", -1, 1.5):
        with pytest.raises(LabError, match='"earliest", "latest" or an offset'):
            kafka.read(topic, offset=offset)  # type: ignore[arg-type]
    with pytest.raises(LabError, match="text, bytes or None, not int"):
        kafka.produce(topic, 7)  # type: ignore[arg-type]
    with pytest.raises(LabError, match="UTF-8"):
        kafka.produce(topic, "\ud800")
    with pytest.raises(LabError, match="too large"):
        kafka.produce(topic, "x" * 2_000_000)
    with pytest.raises(LabError, match="already exists"):
        kafka.create(topic)
    with pytest.raises(LabError, match="name is invalid"):
        kafka.create("not a name")
    with pytest.raises(LabError, match="1 partition or more"):
        kafka.create("none", partitions=0)
    assert kafka.read(topic).empty


def test_a_new_topic_can_be_used_at_once(kafka: Kafka) -> None:
    for n in range(5):
        name = f"at-once-{n}"
        assert kafka.create(name, partitions=3).latest.tolist() == [0, 0, 0]
        kafka.produce(name, "x")
        assert len(kafka.read(name)) == 1


def test_a_silent_broker_is_reported_within_the_limit() -> None:
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:9.*within 1 s.*lab restart kafka"):
        list_topics(Broker("127.0.0.1:9", seconds=1))


def test_a_broker_that_was_away_is_found_again(env: Environment, kafka: Kafka, topic: str) -> None:
    kafka.produce(topic, "before")
    with env["kafka"].killed():
        pass
    kafka.produce(topic, "after")
    assert set(kafka.read(topic).value) == {"before", "after"}


def test_who_does_not_ask_the_broker_imports_nothing_for_it() -> None:
    check = "import sys, environment, labs.cli; print({'confluent_kafka', 'pandas', 'fastapi'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "set()", said.stderr


def test_a_phase_without_kafka_is_explained() -> None:
    expected = r"no Kafka in this session of phase0.*Phase 4 has one"
    env = Environment("phase0", runtime="process", only=["user-service"])
    with env, pytest.raises(LabError, match=expected):
        env.kafka  # noqa: B018
    with pytest.raises(LabError, match="Start it first"):
        env.kafka  # noqa: B018
