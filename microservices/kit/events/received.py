"""A received message: everything that is read from a message of the client library, once.

`confluent_kafka.Message.headers()` raises for a header whose name is not UTF-8, and a second call on
such a message crashes the process (2.16.1). So it is called here only, once, and its list is not kept.

It raises by setting an error *and* returning a list with a null pointer in it. A call that the interpreter has
specialised, after a few of them, does not look for the error, and the null pointer crashes the process. `methodcaller`
looks, at every call.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import methodcaller
from typing import cast

from confluent_kafka import Message

Headers = tuple[tuple[str, bytes | None], ...]

read_headers = methodcaller("headers")


@dataclass(frozen=True)
class Received:
    """A message in a partition. `fault` is why its headers could not be read, empty when they could."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int | None
    timestamp: int
    """Milliseconds since the epoch."""
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    fault: str = ""


def receive(message: Message) -> Received:
    """Read a message. Do not read it again."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    headers, fault = _headers(message)
    return Received(
        topic=topic,
        partition=partition,
        offset=offset,
        leader_epoch=message.leader_epoch(),
        timestamp=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=headers,
        fault=fault,
    )


def _headers(message: Message) -> tuple[Headers, str]:
    try:
        pairs = cast(Iterable[tuple[str, bytes | None]], read_headers(message) or ())
        return tuple((name, value) for name, value in pairs), ""
    except Exception as error:
        return (), f"the headers cannot be read: {type(error).__name__}"
