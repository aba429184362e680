"""Which errors of a database mean that it is away: a wrong statement does not."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from microservices.kit.database import Database, open_database
from microservices.kit.database_errors import is_away
from microservices.kit.settings import Settings


def written(folder: Path, work: Callable[[Connection], object]) -> Exception:
    """Return the error of a write."""

    async def write() -> Exception:
        database = open_database("a-service", Settings(port=1, data_dir=folder))
        await database.start(lambda c: c.execute(text("CREATE TABLE IF NOT EXISTS one (n INT)")))
        try:
            await database.write(work)
        except SQLAlchemyError as error:
            return error
        finally:
            await database.stop()
        raise AssertionError("no error")

    return asyncio.run(write())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM none",
        "SELECT column_of_a_later_version FROM one",
        "INSERT INTO one (n, m) VALUES (1, 2)",
        "SELEKT 1",
        "SELECT " + "(" * 2000 + "1" + ")" * 2000,
        "DROP TABLE locked_by_nobody",
    ],
)
def test_a_wrong_statement_is_not_a_database_that_is_away(tmp_path: Path, statement: str) -> None:
    error = written(tmp_path, lambda connection: connection.execute(text(statement)))
    assert isinstance(error, OperationalError), error
    assert not isinstance(error, Database.AWAY)


def test_too_many_variables_are_not_away(tmp_path: Path) -> None:
    statement = f"SELECT 1 WHERE 1 IN ({', '.join('?' * 300_000)})"
    values = tuple(range(300_000))
    error = written(tmp_path, lambda one: one.exec_driver_sql(statement, values))
    assert isinstance(error, OperationalError)
    assert not isinstance(error, Database.AWAY)


def test_a_full_disk_is_away(tmp_path: Path) -> None:
    def fill(connection: Connection) -> None:
        connection.execute(text("PRAGMA max_page_count = 3"))
        connection.execute(text("INSERT INTO one VALUES (zeroblob(1000000))"))

    error = written(tmp_path, fill)
    assert isinstance(error, Database.AWAY)
    assert str(error) == "database or disk is full"


def test_a_locked_file_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microservices.kit.sqlite.TURN_SECONDS", 0.1)
    other = sqlite3.connect(tmp_path / "a-service.db", isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE one (n INT)")
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        database = open_database("a-service", Settings(port=1, data_dir=tmp_path))
        try:
            with pytest.raises(Database.AWAY):
                await database.write(lambda connection: None)
        finally:
            await database.stop()

    asyncio.run(write())
    other.close()


def test_a_damaged_file_is_away(tmp_path: Path) -> None:
    written(tmp_path, lambda connection: connection.execute(text("SELECT * FROM none")))
    for path in tmp_path.glob("a-service.db*"):
        path.write_bytes(b"no database at all" * 1000)

    async def read() -> None:
        database = open_database("a-service", Settings(port=1, data_dir=tmp_path))
        try:
            with pytest.raises(Database.AWAY, match="not a database"):
                await database.read(
                    lambda connection: connection.execute(text("SELECT 1 FROM one"))
                )
        finally:
            await database.stop()

    asyncio.run(read())


class PostgreSQLError(Exception):
    """In the place of psycopg's."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(f"an error with SQLSTATE {sqlstate}")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "away"),
    [
        ("08006", True),  # connection failure
        ("57P01", True),  # shutdown by the administrator
        ("53100", True),  # disk full
        ("25P03", True),  # idle in a transaction for too long
        ("40001", True),  # serialization failure
        ("42703", False),  # no such column
        ("42P01", False),  # no such table
        ("54000", False),  # a limit of the program
        ("22003", False),  # out of range
        ("57014", False),  # this statement was cancelled
    ],
)
def test_sqlstate_tells_what_is_away(sqlstate: str, away: bool) -> None:
    error = DBAPIError("SELECT", {}, PostgreSQLError(sqlstate))
    assert is_away(error) is away


@pytest.mark.parametrize(
    ("message", "away"),
    [
        ("database is locked", True),
        ("disk I/O error", True),
        ("unable to open database file", True),
        ("no such table: orders", False),
        ("too many SQL variables", False),
    ],
)
def test_a_message_without_a_code_decides_too(message: str, away: bool) -> None:
    error = OperationalError("SELECT", {}, sqlite3.OperationalError(message))
    assert is_away(error) is away
