"""Messages: reading some without moving a group's offsets, and sending one."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pandas as pd
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from environment.errors import LabError, NotReady
from environment.kafka.broker import TIME, Broker, Place, moment, table
from environment.kafka.received import Received, receive

Value = str | bytes | Mapping[str, Any] | None
"""What can be sent: text, bytes, what becomes JSON, or None, by which a compacted topic deletes a key."""

MESSAGES = {
    "topic": "object",
    "partition": "int64",
    "offset": "int64",
    "time": TIME,
    "key": "object",
    "value": "object",
    "headers": "object",
}
ANY = -1
"""In place of a partition: the one that the key decides, or a random one."""

SENT = {"topic": "object", "partition": "int64", "offset": "int64", "time": TIME}


def read_range(broker: Broker, wanted: Mapping[Place, tuple[int, int]]) -> Iterator[Received]:
    """Return the messages of each partition from the first offset up to, and without, the second.

    No group is joined, and nothing is committed. Raises `NotReady` when the broker stops answering.
    """
    left = {place: end for place, (first, end) in wanted.items() if first < end}
    consumer = broker.consumer()
    try:
        consumer.assign([TopicPartition(*place, wanted[place][0]) for place in left])
        while left:
            message = consumer.poll(broker.seconds)
            if message is None:
                raise NotReady(
                    f"No message came from {_named(left)} within {broker.seconds:.0f} s, although there are some. "
                    "Is the broker up? `lab ps` shows it."
                )
            place = _place(message)
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    # Connections are made anew; only an error that ends the reading is reported.
                    if not error.retriable() and error.code() >= 0:
                        broker.failed(f"read {place[0]}", KafkaException(error))
                    continue
                left.pop(place, None)
                continue
            if place not in left:
                continue
            offset = message.offset()
            assert offset is not None
            if offset < left[place]:
                yield receive(message)
            if offset + 1 >= left[place]:
                del left[place]
    finally:
        consumer.close()


def read(
    broker: Broker,
    topic: str,
    *,
    partition: int | None = None,
    offset: int | Literal["earliest", "latest"] = "earliest",
    limit: int = 20,
) -> pd.DataFrame:
    """Up to `limit` messages, in the order of their times."""
    if not isinstance(limit, int) or limit < 1:
        raise LabError(f"At least 1 message can be read, not {limit}.")
    span = broker.span(broker.places(topic, partition))
    wanted = {place: _part(first, end, offset, limit) for place, (first, end) in span.items()}
    chosen = sorted(read_range(broker, wanted), key=lambda m: (m.timestamp, *m.order))
    kept = chosen[-limit:] if offset == "latest" else chosen[:limit]
    return table((row(message) for message in kept), MESSAGES)


def _part(first: int, end: int, offset: int | str, limit: int) -> tuple[int, int]:
    if offset == "latest":
        return max(first, end - limit), end
    if offset == "earliest":
        return first, min(end, first + limit)
    if not isinstance(offset, int) or offset < 0:
        raise LabError(f'Read from "earliest", "latest" or an offset such as 0, not {offset!r}.')
    begin = max(first, offset)
    return begin, min(end, begin + limit)


def send(
    broker: Broker,
    topic: str,
    value: Value,
    *,
    key: str | bytes | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    partition: int | None = None,
) -> pd.DataFrame:
    """One message, and where it went, as soon as the broker has it."""
    broker.places(topic, partition)
    sent: list[dict[str, Any]] = []
    refusal = KafkaError(KafkaError._TIMED_OUT)
    body = json.dumps(value) if isinstance(value, Mapping) else value
    producer = broker.producer()

    def delivered(error: KafkaError | None, message: Message) -> None:
        nonlocal refusal
        if error is not None:
            refusal = error
        else:
            time = moment(message.timestamp()[1])
            place = {"topic": topic, "partition": message.partition(), "offset": message.offset()}
            sent.append({**place, "time": time})

    try:
        producer.produce(
            topic,
            _bytes(body, "value"),
            key=_bytes(key, "key"),
            headers=[(name, _bytes(text, name)) for name, text in (headers or {}).items()],
            on_delivery=delivered,
            partition=ANY if partition is None else partition,
        )
    except KafkaException as error:  # too large for any broker
        raise LabError(f"Kafka does not take this message: {error.args[0].str()}.") from error
    producer.flush(broker.seconds + 1)
    if not sent:
        broker.failed(f"take a message for {topic}", KafkaException(refusal))
    return table(sent, SENT)


def row(message: Received) -> dict[str, Any]:
    """One message as a row of `MESSAGES`; of headers with the same name the last one counts.

    `headers` is None where the client library cannot read them.
    """
    headers = message.headers
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "time": moment(message.timestamp),
        "key": text(message.key),
        "value": text(message.value),
        "headers": None if headers is None else {name: text(value) for name, value in headers},
    }


def text(data: bytes | str | None) -> str | None:
    r"""Return bytes as text; what is not UTF-8 is shown as `\xff`, so that nothing is hidden and nothing fails."""
    return data.decode(errors="backslashreplace") if isinstance(data, bytes) else data


def _bytes(value: object, what: str) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise LabError(f"The {what} is text, bytes or None, not {type(value).__name__}.")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise LabError(f"The {what} cannot be written as UTF-8: {error}.") from error


def _place(message: Message) -> Place:
    topic, partition = message.topic(), message.partition()
    return str(topic), int(partition if partition is not None else -1)


def _named(places: Mapping[Place, int]) -> str:
    return ", ".join(f"{topic} {partition}" for topic, partition in places)
