"""The watermark: the time up to which all events have probably been read.

Each partition has a newest event, which is stored in the transaction of the event's effect: it survives a kill, and
goes with the partition from one replica to another. The watermark is the least of them, over the partitions that are
active, minus the lateness that is allowed. It never goes back.

A partition is active while it has unread messages, or when one was read in the last seconds. A partition that is
silent and fully read would hold the watermark for ever; a consumer cannot tell whether nothing happens there, or
whether a relay upstream stands still. The events of such a relay are late.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    select,
)

from microservices.kit.clock import shared_seconds
from microservices.kit.database import insert_into
from microservices.kit.events.envelope import EventPlace
from microservices.kit.events.log_ends import Ends

metadata = MetaData()

positions = Table(
    "partition_positions",
    metadata,
    Column("topic", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    # The time of the newest event, in unix seconds.
    Column("newest", Float, nullable=False),
    # When the last event was read, by the clock that all replicas share.
    Column("read_at", Float, nullable=False),
)

marks = Table(
    "watermark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
)

IDLE_SECONDS = 2.0
"""How long a partition that is fully read may be silent, until the watermark no longer waits for it."""

OLD_SECONDS = 1.0
"""A look at the ends of the log that is older shows too little: a replica may have been frozen meanwhile."""


class Position(NamedTuple):
    """How far a partition was read. `newest` is empty while no event of it was."""

    newest: float | None
    unread: bool
    silent_seconds: float


def note(connection: Connection, place: EventPlace, at: float) -> None:
    """Store that the event at a place, which happened at `at`, was read.

    An event may be ahead of this clock. It must not move the watermark past the present: the events of all other
    publishers would be late.
    """
    this = (positions.c.topic == place.topic) & (positions.c.partition == place.partition)
    known = connection.execute(select(positions.c.newest).where(this)).scalar()
    at = min(at, time.time())
    row = {
        "next_offset": place.offset + 1,
        "newest": at if known is None else max(at, known),
        "read_at": shared_seconds(connection),
    }
    if known is not None:
        connection.execute(positions.update().where(this).values(row))
    else:
        key = {"topic": place.topic, "partition": place.partition}
        connection.execute(insert_into(positions), {**key, **row})


def find(connection: Connection) -> float | None:
    """Return the watermark, `None` while there is none."""
    return connection.execute(select(marks.c.at)).scalar()


def advance(connection: Connection, ends: Callable[[], Ends], *, lateness: float) -> bool:
    """Move the watermark to where the positions and the ends of the log allow; return that there is no more to do."""
    newest = newest_common(read_positions(connection, ends()))
    before = find(connection)
    if newest is None or (before is not None and newest - lateness <= before):
        return False
    if before is None:
        connection.execute(insert_into(marks), {"id": 1, "at": newest - lateness})
    else:
        connection.execute(marks.update().values(at=newest - lateness))
    return False


def read_positions(connection: Connection, ends: Ends) -> list[Position]:
    """Return the position of each partition; none at all when the look at the log is too old."""
    if ends.age > OLD_SECONDS:
        return []
    rows = {(row.topic, row.partition): row for row in connection.execute(select(positions))}
    now = shared_seconds(connection)
    found = []
    for place, end in ends.end.items():
        row, begin = rows.get(place), ends.begin.get(place, 0)
        # What became a dead letter has no effect here, and was committed all the same.
        unread = max(begin, row.next_offset if row else 0) < end
        silent = abs(now - row.read_at) if row else float("inf")  # a restarted clock began again
        found.append(Position(row.newest if row else None, unread, silent))
    return found


def is_active(position: Position) -> bool:
    """Return whether the watermark waits for a partition."""
    return position.unread or position.silent_seconds < IDLE_SECONDS


def newest_common(partitions: Sequence[Position]) -> float | None:
    """Return the time up to which every active partition was read; `None` when it is unknown.

    While no partition is active, everything was read: the time of the newest event.
    """
    active = [each.newest for each in partitions if is_active(each)]
    if None in active:  # nothing of it was read yet
        return None
    times = [newest for newest in active if newest is not None]
    every = [each.newest for each in partitions if each.newest is not None]
    return min(times) if times else max(every, default=None)
