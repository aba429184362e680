"""Dead letters: browsed with their origin, sent back once, with their own bytes."""

import pytest

from environment import LabError
from environment.errors import NotReady
from environment.kafka import dead_letters
from environment.kafka.broker import Broker
from environment.kafka.messages import read_range
from environment.kafka.received import Received
from environment.kafka.tools import Kafka
from tests.environment.kafka_tools.conftest import letter

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture
def dlq(kafka: Kafka, topic: str) -> str:
    """The dead letter topic of `topic`."""
    kafka.create(f"{topic}-dlq")
    return f"{topic}-dlq"


def raw(kafka: Kafka, topic: str) -> list[Received]:
    """The messages of a topic as they are, in the order of partitions and offsets."""
    broker = Broker(kafka.bootstrap)
    span = broker.span(broker.places(topic))
    return sorted(read_range(broker, span), key=lambda m: m.order)


def test_a_dead_letter_is_shown_with_its_origin(kafka: Kafka, topic: str, dlq: str) -> None:
    letter(kafka, topic, b'{"orderId":7}\xff')
    found = kafka.dead_letters(topic)
    assert len(found) == 1
    one = found.iloc[0]
    assert (one.topic, one.partition, one.offset, one.key) == (dlq, 0, 0, "order-7")
    assert one.value == '{"orderId":7}\\xff'
    assert (one.origin, one.origin_partition, one.origin_offset) == (topic, 3, 17)
    assert one.origin_time.timestamp() == 1790000000.123
    assert (one.group, one.attempts) == ("payment-service-group", 3)
    assert one.error.startswith("ValidationError")
    assert not one.redriven
    assert kafka.dead_letters(dlq).equals(found)
    assert topic in kafka.dead_letters().origin.tolist()


def test_a_letter_goes_back_as_it_was_and_only_once(kafka: Kafka, topic: str, dlq: str) -> None:
    for n in range(3):
        letter(kafka, topic, b"poison \xff %d" % n)
    told = kafka.redrive(topic)
    assert told.outcome.tolist() == ["sent"] * 3
    assert told.to_topic.tolist() == [topic] * 3
    assert told.to_partition.tolist() == [3] * 3
    back = raw(kafka, topic)
    assert [(m.partition, m.offset, m.key, m.value) for m in back] == [
        (3, n, b"order-7", b"poison \xff %d" % n) for n in range(3)
    ]
    assert [m.headers for m in back] == [(("traceparent", b"00-trace-01"),)] * 3
    assert kafka.dead_letters(topic).redriven.all()
    assert kafka.redrive(topic).empty
    assert len(raw(kafka, topic)) == 3
    letter(kafka, topic, b"another")
    assert kafka.redrive(dlq).offset.tolist() == [3]


def test_letters_without_key_or_value_go_back_too(kafka: Kafka, topic: str, dlq: str) -> None:
    letter(kafka, topic, None, key=None, partition=99)
    assert kafka.redrive(topic).outcome.tolist() == ["sent"], "to any partition: there is no 99"
    (back,) = raw(kafka, topic)
    assert (back.key, back.value) == (None, None)


def test_a_letter_that_was_cut_goes_back_whole(kafka: Kafka, topic: str, dlq: str) -> None:
    sent = kafka.produce(topic, "the whole message", key="order-7", headers={"a": "1"})
    origin = {"partition": sent.partition[0], "offset": sent.offset[0], "truncated": 17}
    letter(kafka, topic, b"the wh", **origin)
    letter(kafka, topic, b"the wh", **origin | {"offset": 99})
    assert kafka.dead_letters(topic).truncated.tolist() == [17, 17]
    assert kafka.redrive(topic).outcome.tolist() == [
        "sent",
        "passed over: it was cut to fit, and the whole message is gone",
    ]
    first, again = raw(kafka, topic)
    assert (again.value, again.key, again.headers) == (first.value, first.key, first.headers)


def test_a_limit_is_kept_and_the_rest_comes_next(kafka: Kafka, topic: str, dlq: str) -> None:
    for n in range(5):
        letter(kafka, topic, str(n).encode())
    assert kafka.redrive(topic, limit=2).offset.tolist() == [0, 1]
    assert kafka.dead_letters(topic).redriven.tolist() == [True, True, False, False, False]
    assert kafka.redrive(topic).offset.tolist() == [2, 3, 4]
    with pytest.raises(LabError, match="At least 1"):
        kafka.redrive(topic, limit=0)


def test_a_letter_without_origin_is_passed_over_and_stays(
    kafka: Kafka, topic: str, dlq: str
) -> None:
    letter(kafka, topic, b"from nowhere", topic=None)
    letter(kafka, topic, b"good")
    told = kafka.redrive(topic)
    assert told.outcome.tolist() == [
        "passed over: no header dlq.topic says where it came from",
        "sent",
    ]
    assert kafka.dead_letters(topic).redriven.tolist() == [False, True]
    assert kafka.redrive(topic).empty


def test_a_letter_of_a_missing_topic_is_kept(kafka: Kafka, topic: str, dlq: str) -> None:
    letter(kafka, topic, b"first", topic=f"{topic}-later")
    letter(kafka, topic, b"second", topic=f"{topic}-later")
    assert kafka.redrive(topic).outcome.tolist() == [f"kept: there is no topic {topic}-later"] * 2
    kafka.create(f"{topic}-later")
    assert kafka.redrive(topic).outcome.tolist() == ["sent", "sent"]
    assert [m.value for m in raw(kafka, f"{topic}-later")] == [b"first", b"second"]


def test_what_was_sent_and_not_remembered_is_sent_again(
    kafka: Kafka, topic: str, dlq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter may come twice, as any event may; it is never lost."""
    letter(kafka, topic, b"once or twice")

    def dies(*_: object) -> None:
        raise NotReady("killed before the commit")

    with monkeypatch.context() as patched:
        patched.setattr(dead_letters, "_remember", dies)
        with pytest.raises(NotReady):
            kafka.redrive(topic)
    assert not kafka.dead_letters(topic).redriven.any()
    assert kafka.redrive(topic).outcome.tolist() == ["sent"]
    assert len(raw(kafka, topic)) == 2


@pytest.mark.parametrize("nonsense", ["", "three", "-1", "9" * 30, "1e3"])
def test_nonsense_in_the_headers_is_shown_as_missing(
    kafka: Kafka, topic: str, dlq: str, nonsense: str
) -> None:
    words = dict.fromkeys(("partition", "offset", "timestamp", "attempts"), nonsense)
    letter(kafka, topic, b"x", **words)
    one = kafka.dead_letters(topic).iloc[0]
    assert one[["origin_partition", "origin_offset", "origin_time", "attempts"]].isna().all()
    assert kafka.redrive(topic).outcome.tolist() == ["sent"]


def test_no_dead_letters_are_empty_tables_with_their_columns(kafka: Kafka, topic: str) -> None:
    browsed, redriven = kafka.dead_letters(topic), kafka.redrive(topic)
    assert (len(browsed), len(redriven)) == (0, 0)
    assert {"origin", "attempts", "error", "redriven"} <= set(browsed.columns)
    assert {"to_topic", "outcome"} <= set(redriven.columns)
