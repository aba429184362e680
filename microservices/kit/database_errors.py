"""Which errors mean that the database is away, and which that a statement is wrong.

While the database is away every statement fails: work waits, and a client is asked to try again. A statement that is
wrong (an unknown column, too many variables) fails again at each try, while others succeed. Drivers report both as
`OperationalError`; SQLite's result codes and PostgreSQL's SQLSTATE tell them apart.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, TimeoutError

SQLITE_AWAY = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),  # another one's turn
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM),  # disk and memory
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),  # the file
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOLFS),  # its content
}
"""Primary result codes that do not depend on the statement."""

SQLITE_AWAY_TEXTS = (
    "locked",
    "disk i/o error",
    "unable to open",
    "is full",
    "readonly",
    "malformed",
)
"""Parts of SQLite's messages with these codes, for an error that carries no code."""

POSTGRESQL_AWAY = (
    *("08", "53", "57P", "58", "55P03", "25P03"),
    *("40001", "40P01", "XX001", "XX002", "25006"),
)
"""The beginnings of SQLSTATE: connection, resources, shutdown, system, lock, pause; conflict, damage, read-only."""


class DatabaseAway(SQLAlchemyError):
    """The database does not answer, or cannot be used now, whatever the statement. The text says why."""


@contextmanager
def translate_away() -> Iterator[None]:
    """Raise `DatabaseAway` in place of an error of the driver that means so."""
    try:
        yield
    except (DBAPIError, TimeoutError) as error:
        if not is_away(error):
            raise
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise DatabaseAway(str(cause).strip()) from error


def is_away(error: DBAPIError | TimeoutError) -> bool:
    """Return whether an error means that the database is away."""
    if isinstance(error, TimeoutError) or error.connection_invalidated:
        return True
    cause = error.orig
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in SQLITE_AWAY
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return str(state).startswith(POSTGRESQL_AWAY)
    text = str(cause).lower()
    if type(cause).__module__.startswith(
        "psycopg"
    ):  # without a state there was no server to give one
        return type(cause).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
    return any(part in text for part in SQLITE_AWAY_TEXTS)
