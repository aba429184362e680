"""The clock of claims and leases: one that all replicas of a service share, and that does not jump.

The wall clock jumps when it is set: forwards, it would end a lease whose holder is alive; backwards, it would keep that
of a dead one. SQLite's file is shared by the processes of one machine, and so is its monotonic clock. PostgreSQL may be
shared by several machines, so its own clock counts.
"""

import time

from sqlalchemy import Connection, func, select


def shared_seconds(connection: Connection) -> float:
    """Return the seconds of the clock that all replicas on this database share."""
    if connection.dialect.name == "sqlite":
        return time.monotonic()
    return float(
        connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
    )


def runs(until: float, now: float, duration: float) -> bool:
    """Return whether a term of `duration` seconds that ends at `until` has not ended.

    One that ends later than it could was begun before a restart of the machine, when the clock showed more.
    """
    return now < until <= now + duration
