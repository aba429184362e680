"""PostgreSQL: an engine, and transactions that write one after the other, as on SQLite."""

from collections.abc import Callable
from zlib import crc32

from sqlalchemy import Connection, Engine, create_engine, text


def open_engine(url: str) -> Engine:
    """Return the engine; nothing is connected yet."""
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 2})


def begin_in_turn(service: str) -> Callable[[Connection, bool], None]:
    """Return what begins a transaction: an advisory lock of the service serialises those that write."""
    turn = text("SELECT pg_advisory_xact_lock(:service)").bindparams(
        service=crc32(service.encode())
    )

    def begin(connection: Connection, writes: bool) -> None:
        if writes:
            connection.execute(turn)

    return begin
