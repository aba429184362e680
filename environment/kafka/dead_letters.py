"""Dead letters: messages that a consumer gave up on, kept in `<topic>-dlq` until they are re-driven."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd
from confluent_kafka import KafkaException, Message

from environment.errors import LabError
from environment.kafka.broker import TIME, Broker, Place, moment, table
from environment.kafka.groups import commit, committed
from environment.kafka.messages import ANY, read_range, row, text
from environment.kafka.received import Received

SUFFIX = "-dlq"
GROUP = "lab-redrive"
"""The group whose committed offsets in dead letter topics record, in the broker, what has been re-driven."""

ORIGIN = ("topic", "partition", "offset", "timestamp", "group", "attempts", "error", "truncated")
NUMBERS = ("partition", "offset", "timestamp", "attempts", "truncated")
HEADERS = {f"dlq.{name}" for name in ORIGIN}

DEAD_LETTERS = {
    "topic": "object",
    "partition": "int64",
    "offset": "int64",
    "time": TIME,
    "key": "object",
    "value": "object",
    "origin": "object",
    "origin_partition": "Int64",
    "origin_offset": "Int64",
    "origin_time": TIME,
    "group": "object",
    "attempts": "Int64",
    "error": "object",
    "truncated": "Int64",
    "redriven": "bool",
}
REDRIVEN = {
    "topic": "object",
    "partition": "int64",
    "offset": "int64",
    "key": "object",
    "to_topic": "object",
    "to_partition": "Int64",
    "to_offset": "Int64",
    "outcome": "object",
}


class Origin(NamedTuple):
    """Where a dead letter comes from, as far as its headers contain it: each of them may be missing or invalid."""

    topic: str | None
    partition: int | None
    offset: int | None
    timestamp: int | None
    group: str | None
    attempts: int | None
    error: str | None
    truncated: int | None
    """The bytes of the whole value, when the letter holds only what its topic takes."""

    @classmethod
    def of(cls, message: Received) -> "Origin":
        """Read the origin from a dead letter's headers."""
        headers = {name: text(value) for name, value in message.headers or ()}
        values = {name: headers.get(f"dlq.{name}") for name in ORIGIN}
        numbers = {name: _number(values[name]) for name in NUMBERS}
        return cls(**{**values, **numbers})  # type: ignore[arg-type]


def dead_letters(
    broker: Broker, topic: str | None = None, *, latest: int | None = None
) -> pd.DataFrame:
    """One row per dead letter, the oldest first in each partition; of each partition all, or the `latest` ones."""
    span = {
        place: (first if latest is None else max(first, end - latest), end)
        for place, (first, end) in broker.span(_places(broker, topic)).items()
    }
    done = committed(broker, GROUP, span)
    return table((_row(message, done) for message in _in_order(broker, span)), DEAD_LETTERS)


def redrive(broker: Broker, topic: str | None = None, *, limit: int | None = None) -> pd.DataFrame:
    """Send dead letters back to where they came from, and return the outcome of each."""
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise LabError(f"At least 1 dead letter can be re-driven, not {limit}.")
    held = broker.span(_places(broker, topic))
    done = committed(broker, GROUP, held)
    span = {place: (max(first, done.get(place, 0)), end) for place, (first, end) in held.items()}
    letters = list(_in_order(broker, span))[:limit]
    rows = _sent(broker, letters)
    _remember(broker, letters, rows)
    return table(rows, REDRIVEN)


def _places(broker: Broker, topic: str | None) -> list[Place]:
    """Return the partitions of one dead letter topic (named by itself or by its origin), or of all there are."""
    if topic is None:
        topics = broker.topics()
        return [(name, n) for name, ns in topics.items() if name.endswith(SUFFIX) for n in ns]
    if topic.endswith(SUFFIX):
        return broker.places(topic)
    broker.places(topic)  # a topic that does not exist is an error; one without dead letters is not
    name = topic + SUFFIX
    return [(name, n) for n in broker.topics().get(name, [])]


def _in_order(broker: Broker, span: dict[Place, tuple[int, int]]) -> list[Received]:
    return sorted(read_range(broker, span), key=lambda message: message.order)


def _row(message: Received, done: dict[Place, int]) -> dict[str, Any]:
    origin = Origin.of(message)
    return {
        **row(message),
        "origin": origin.topic,
        "origin_partition": origin.partition,
        "origin_offset": origin.offset,
        "origin_time": moment(origin.timestamp),
        "group": origin.group,
        "attempts": origin.attempts,
        "error": origin.error,
        "truncated": origin.truncated,
        "redriven": bool(origin.topic) and message.offset < done.get(message.place, 0),
    }


def _sent(broker: Broker, letters: list[Received]) -> list[dict[str, Any]]:
    """Send each to its origin's own partition, where the others of its key are; a row of `REDRIVEN` for each."""
    known, producer = broker.topics(), broker.producer()
    rows = [_unsent(letter) for letter in letters]
    for letter, outcome in zip(letters, rows, strict=True):
        origin = Origin.of(letter)
        if letter.headers is None:
            outcome["outcome"] = "passed over: its headers cannot be read"
        elif origin.topic is None:
            outcome["outcome"] = "passed over: no header dlq.topic says where it came from"
        elif origin.topic not in known:
            outcome["outcome"] = f"kept: there is no topic {origin.topic}"
        elif (message := _whole(broker, letter, origin)) is None:
            outcome["outcome"] = "passed over: it was cut to fit, and the whole message is gone"
        else:
            try:
                producer.produce(
                    origin.topic,
                    message.value,
                    key=message.key,
                    headers=[one for one in message.headers or () if one[0] not in HEADERS],
                    on_delivery=_recorder(outcome),
                    partition=origin.partition if origin.partition in known[origin.topic] else ANY,
                )
            except (KafkaException, BufferError) as error:
                outcome["outcome"] = f"kept: {error}"
            producer.poll(0)
    producer.flush(broker.seconds + 1)
    return rows


def _whole(broker: Broker, letter: Received, origin: Origin) -> Received | None:
    """Return the message of a letter: of one that was cut, the message at its origin, if it is still there."""
    if origin.truncated is None:
        return letter
    if origin.topic is None or origin.partition is None or origin.offset is None:
        return None
    place = (origin.topic, origin.partition)
    first, end = broker.span([place])[place] if place[1] in broker.topics()[place[0]] else (0, 0)
    if not first <= origin.offset < end:
        return None
    return next(read_range(broker, {place: (origin.offset, origin.offset + 1)}), None)


def _unsent(letter: Received) -> dict[str, Any]:
    topic, partition, offset = letter.order
    place = {"topic": topic, "partition": partition, "offset": offset, "key": text(letter.key)}
    return {**place, "to_topic": Origin.of(letter).topic, "outcome": "kept: no answer"}


def _recorder(outcome: dict[str, Any]) -> Any:
    def delivered(error: Any, message: Message) -> None:
        if error is not None:
            outcome["outcome"] = f"kept: {error.str()}"
        else:
            outcome["outcome"] = "sent"
            outcome["to_partition"], outcome["to_offset"] = message.partition(), message.offset()

    return delivered


def _remember(broker: Broker, letters: list[Received], rows: list[dict[str, Any]]) -> None:
    """Commit behind the last letter of each partition before the first one that was kept."""
    if at := dict(_reached(letters, rows)):
        commit(broker, GROUP, at)


def _reached(letters: list[Received], rows: list[dict[str, Any]]) -> Iterator[tuple[Place, int]]:
    kept: dict[Place, bool] = defaultdict(bool)
    for letter, outcome in zip(letters, rows, strict=True):
        kept[letter.place] |= outcome["outcome"].startswith("kept")
        if not kept[letter.place]:
            yield letter.place, letter.offset + 1


def _number(header: str | None) -> int | None:
    try:
        number = int(header or "")
    except ValueError:
        return None
    return number if 0 <= number < 2**53 else None
