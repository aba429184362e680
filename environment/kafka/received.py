"""A received message: everything that is read from a message of the client library, once.

`Message.headers()` raises for a header whose name is not UTF-8 (clients in C or Go can send it), and a second call
on such a message ends this process (confluent-kafka 2.16.1, decision 14). So it is called here only, once, and neither
the message nor its list is handed on. `methodcaller` looks for the error at every call; a call that the interpreter has
specialised does not, and goes on with a null pointer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import methodcaller
from typing import cast

from confluent_kafka import Message

from environment.kafka.broker import Place

Headers = tuple[tuple[str, bytes | str | None], ...]

read_headers = methodcaller("headers")


@dataclass(frozen=True)
class Received:
    """A message in a partition. `headers` is None when the client library cannot read them."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since the epoch."""
    key: bytes | str | None
    value: bytes | str | None
    headers: Headers | None

    @property
    def place(self) -> Place:
        """The topic and the partition."""
        return self.topic, self.partition

    @property
    def order(self) -> tuple[str, int, int]:
        """What messages are sorted by: topic, partition, offset."""
        return self.topic, self.partition, self.offset


def receive(message: Message) -> Received:
    """Read a message. Do not read it again."""
    partition, offset = message.partition(), message.offset()
    return Received(
        topic=str(message.topic()),
        partition=-1 if partition is None else partition,
        offset=-1 if offset is None else offset,
        timestamp=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
    )


def _headers(message: Message) -> Headers | None:
    try:
        pairs = cast(Iterable[tuple[str, bytes | str | None]], read_headers(message) or ())
        return tuple((name, value) for name, value in pairs)
    except Exception:  # the library raises SystemError, from UnicodeDecodeError
        return None
