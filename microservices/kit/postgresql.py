"""PostgreSQL: an engine, and transactions that write one after the other, as on SQLite."""

from collections.abc import Callable
from zlib import crc32

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text

TURN_SECONDS = 5
"""Longest wait for another transaction, and longest pause inside of one: then the server ends it, and others go on."""


def open_engine(url: str, service: str) -> Engine:
    """Return the engine; nothing is connected yet.

    A write sees what was committed before each of its statements (READ COMMITTED), so what the writer before it has
    written, once it is its turn. A read takes one snapshot: `snapshot`.
    """
    settings = {
        "lock_timeout": f"{TURN_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{TURN_SECONDS}s",
        "timezone": "UTC",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return create_engine(
        address(url, service),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        connect_args={"connect_timeout": 2, "options": options},
    )


def snapshot(engine: Engine) -> Engine:
    """Return an engine on the same connections whose transactions read one snapshot, and write nothing."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def address(url: str, service: str) -> URL:
    """Return where a service connects: as its own user and to its own database, unless the URL names others."""
    given = make_url(url)
    return given.set(
        drivername="postgresql+psycopg",
        username=given.username or service,
        database=given.database or service,
    )


def begin_in_turn(service: str) -> Callable[[Connection, bool], None]:
    """Return what begins a transaction: an advisory lock of the service serialises those that write."""
    turn = text("SELECT pg_advisory_xact_lock(:service)").bindparams(
        service=crc32(service.encode())
    )

    def begin(connection: Connection, writes: bool) -> None:
        if writes:
            connection.execute(turn)

    return begin
