"""SQLite: one file, which several replicas open at once, and whether it is still the file that was opened.

SQLite goes on with a file that was deleted: everything is accepted, and lost at the next start. It also goes on, from
its memory and its log, with a file that was overwritten. So each transaction begins with a look at the file.
"""

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

TURN_SECONDS = 5.0
"""Longest wait for another process's write transaction."""

HEADER = b"SQLite format 3\x00"
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

Identity = tuple[int, int]
"""Device and number of a file."""


class SqliteFile:
    """The file of a database, held open from the first connection on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: int | None = None
        self._identity: Identity | None = None
        # Its write-ahead log, and the index of that, by which replicas keep out of each other's way.
        self._beside: dict[Path, Identity | None] = {
            Path(f"{path}{end}"): None for end in ("-wal", "-shm")
        }
        self._damage: str | None = None
        self._watching: sqlite3.Connection | None = None

    def open(self) -> Engine:
        """Return the engine; nothing is connected yet."""
        url = URL.create("sqlite", database=str(self.path))  # any path, also one with `?` or `%`
        engine = create_engine(url, connect_args={"timeout": TURN_SECONDS})
        event.listen(engine, "do_connect", self._before_connecting)
        event.listen(engine, "connect", self._configure)
        event.listen(engine, "handle_error", self._note_damage)
        return engine

    def begin(self, connection: Connection, writes: bool) -> None:
        """Begin a transaction. One that writes waits for its turn now, and not when it first writes.

        Raises:
            OperationalError: The file cannot be used.
        """
        self.check(writes=writes)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def check(self, *, writes: bool) -> None:
        """Refuse a file that is not the one that was opened, and to write to one that is damaged.

        Raises:
            OperationalError: The file cannot be used.
        """
        if reason := self.wrong() if writes else self._replaced():
            raise OperationalError("BEGIN", None, unusable(reason))

    def wrong(self) -> str | None:
        """Return what is wrong with the file, `None` when nothing is."""
        if reason := self._replaced():
            return reason
        if self._held is None or self._damage:
            return self._damage
        if os.pread(self._held, len(HEADER), 0) != HEADER:
            return f"{self.path.name} is not a database any more: its beginning was overwritten"
        for path, opened in self._beside.items():
            if identity(path) != opened:
                return f"{path.name} was deleted or replaced under the service; restart it"
        return None

    def look(self, connection: Connection, tables: Sequence[str]) -> None:
        """Read the first and the last row of each table from the file, and not from memory.

        Raises:
            DBAPIError: A page that was read is damaged.
        """
        connection.exec_driver_sql("PRAGMA shrink_memory")
        for name in tables:
            for end in ("", " DESC"):
                row = f'SELECT * FROM "{name}" ORDER BY rowid{end} LIMIT 1'
                connection.exec_driver_sql(row).first()

    def version(self) -> int | None:
        """Return a number that is another one after each commit of any connection; None when the file shows none.

        SQLite reads it from the index of its log, in a few microseconds.
        """
        try:
            if self._watching is None:
                # `mode=rw` makes no file where there is none.
                address = f"{self.path.absolute().as_uri()}?mode=rw"
                self._watching = sqlite3.connect(address, uri=True, timeout=0)
            (number,) = self._watching.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return int(number)

    def close(self) -> None:
        """Let go of the file, after the last connection: before, this would release SQLite's locks on it."""
        if self._watching is not None:
            self._watching.close()
            self._watching = None
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _replaced(self) -> str | None:
        if self._identity is None or identity(self.path) == self._identity:
            return None
        return f"{self.path.name} was deleted or replaced under the service; restart it"

    def _before_connecting(self, *_: object) -> None:
        if reason := self._replaced():  # to connect would make an empty file
            raise unusable(reason)

    def _configure(self, connection: Any, _: object) -> None:
        connection.isolation_level = None  # BEGIN is sent by `begin`, and not by the driver
        # The WAL survives kill -9 of any process at NORMAL; not the loss of power.
        connection.execute("PRAGMA synchronous=NORMAL")
        use_wal(connection)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the WAL
        if self._held is None:
            self._held = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self._identity = identity(self.path)
            self._beside = {path: identity(path) for path in self._beside}

    def _note_damage(self, context: Any) -> None:
        error = context.original_exception
        if self._held is not None and getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
            self._damage = f"{self.path.name} is damaged: {error}"


def identity(path: Path) -> Identity | None:
    """Return which file is at a path, `None` when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def unusable(reason: str) -> sqlite3.OperationalError:
    """Return the driver's error for a file that cannot be used."""
    return sqlite3.OperationalError(f"unable to open database file: {reason}")


def use_wal(connection: Any) -> None:
    """Switch the file to write-ahead logging, once for all processes.

    SQLite raises "locked" at once, without waiting, when two processes switch a new file at the same
    moment. So the wait is here.
    """
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except connection.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
