"""Dead letters: messages that cannot be used are set aside, as they came, with where they came from.

The consumer goes on with the partition's next message. Dead letters are kept in `<topic>-dlq`, and can be sent again
from there once the reason is repaired. `dead_letter_office.py` publishes them.
"""

from collections.abc import Iterator, Sequence

from microservices.kit.events.event_types import dead_letter_topic
from microservices.kit.events.received import Received
from microservices.kit.events.record import Record

OUTBOX = "outbox"
"""In place of a group: the event was never published. Its offset is its position in the outbox."""

LONGEST_KEY = 1000
"""Bytes of a key that a letter which was cut still has; a longer one is left out."""

Header = tuple[str, bytes | None]


def dead_letter(message: Received, *, group: str, attempts: int, error: str) -> Record:
    """Return a message as a dead letter: its bytes, and in headers its origin and what went wrong."""
    origin = {
        "dlq.topic": message.topic,
        "dlq.partition": message.partition,
        "dlq.offset": message.offset,
        "dlq.timestamp": message.timestamp,
        "dlq.group": group,
        "dlq.attempts": attempts,
        "dlq.error": error,
    }
    headers = [*message.headers]
    headers += [(name, str(value).encode("utf-8", "replace")) for name, value in origin.items()]
    return Record(dead_letter_topic(message.topic), message.key, message.value, headers)


def unpublished(record: Record, *, position: int, error: str) -> Record:
    """Return an event of the outbox, which its topic refuses, as a dead letter."""
    message = Received(
        topic=record.topic,
        partition=-1,
        offset=position,
        leader_epoch=None,
        timestamp=-1,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
    return dead_letter(message, group=OUTBOX, attempts=1, error=error)


def fitting(letter: Record) -> Iterator[Record]:
    """Return a letter, and then shorter and shorter ones, for a topic that refuses it as too large.

    The last one has its origin and no more. `dlq.truncated` holds the bytes of the whole value, which is still at its
    origin.
    """
    yield letter
    if ("dlq.group", OUTBOX.encode()) in letter.headers:  # its whole value is nowhere else
        return
    origin = [header for header in letter.headers if header[0].startswith("dlq.")]
    others = [header for header in letter.headers if not header[0].startswith("dlq.")]
    value = letter.value or b""
    truncated = ("dlq.truncated", str(len(value)).encode())
    key = letter.key if len(letter.key or b"") <= LONGEST_KEY else None
    room = len(value) + _size(others)
    while room:
        room //= 4
        kept = others if _size(others) <= room // 2 else []
        short = value[: room - _size(kept)]
        yield Record(letter.topic, key, short, [*kept, *origin, truncated])
    essential = [(name, text) for name, text in origin if name != "dlq.error"]
    yield Record(letter.topic, None, None, [*essential, truncated])


def _size(headers: Sequence[Header]) -> int:
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)
