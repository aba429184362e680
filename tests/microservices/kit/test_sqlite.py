"""A database whose file is deleted, replaced or damaged while its service runs, or before it starts."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from environment.waiting import wait_until
from microservices.kit.database import Database, open_database
from microservices.kit.settings import Settings
from microservices.kit.sqlite import SqliteFile
from tests.microservices.conftest import Start
from tests.microservices.examples import new_order

ROWS = 2000
PAGE = 4096


def create(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE numbers (n INTEGER, filler TEXT)"))
    rows = [{"n": n, "filler": "x" * 400} for n in range(ROWS)]
    connection.execute(text("INSERT INTO numbers VALUES (:n, :filler)"), rows)


def insert(connection: Connection) -> None:
    connection.execute(text("INSERT INTO numbers VALUES (-1, '')"))


def count(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT count(*) FROM numbers")) or 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "numbers.db"


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def database(tmp_path: Path, file: Path, runner: asyncio.Runner) -> Iterator[Database]:
    """A database that is in use, with all of its rows in the file and none in the log."""
    database = open_database("numbers", Settings(port=1, data_dir=tmp_path))

    async def start() -> None:
        await database.start(create)

    runner.run(start())
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    yield database
    runner.run(database.stop())


def delete(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    """Put a good database with the same tables in its place."""
    other = file.with_name("other.db")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE numbers (n INTEGER, filler TEXT)")
    connection.close()
    other.replace(file)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def overwrite_beginning(file: Path) -> None:
    overwrite(file, 0, b"\x00" * 100)


def overwrite_everything(file: Path) -> None:
    overwrite(file, 0, b"garbage!" * (file.stat().st_size // 8))


def overwrite_a_table(file: Path) -> None:
    overwrite(file, PAGE, b"\xff" * (file.stat().st_size - PAGE))


def overwrite_the_newest_rows(file: Path) -> None:
    size = file.stat().st_size
    overwrite(file, size - 10 * PAGE, b"\xff" * 10 * PAGE)


def delete_log(file: Path) -> None:
    Path(f"{file}-wal").unlink()


def delete_index(file: Path) -> None:
    Path(f"{file}-shm").unlink()


def drop_table(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE numbers")
    connection.close()


def overwrite(file: Path, place: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(content)


def test_a_sound_file_is_ready_and_takes_writes(database: Database, runner: asyncio.Runner) -> None:
    assert runner.run(database.unavailable()) is None
    runner.run(database.write(insert))
    assert runner.run(database.unavailable()) is None
    assert runner.run(database.read(count)) == ROWS + 1


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (delete, "numbers.db was deleted or replaced"),
        (replace, "numbers.db was deleted or replaced"),
        (empty, "numbers.db is not a database any more"),
        (overwrite_beginning, "numbers.db is not a database any more"),
        (overwrite_everything, "numbers.db is not a database any more"),
        (overwrite_a_table, "malformed"),
        (overwrite_the_newest_rows, "malformed"),
        (delete_log, "numbers.db-wal was deleted or replaced"),
        (delete_index, "numbers.db-shm was deleted or replaced"),
        (drop_table, "no such table: numbers"),
    ],
)
def test_a_file_that_came_to_harm_is_not_ready_and_takes_no_write(
    database: Database,
    file: Path,
    runner: asyncio.Runner,
    harm: Callable[[Path], None],
    reason: str,
) -> None:
    harm(file)
    assert reason in (runner.run(database.unavailable()) or "ready")
    with pytest.raises(SQLAlchemyError):
        runner.run(database.write(insert))


def test_a_file_that_was_deleted_is_not_made_anew(
    database: Database, file: Path, runner: asyncio.Runner
) -> None:
    file.unlink()
    for _ in range(3):
        with pytest.raises(SQLAlchemyError):
            runner.run(database.read(count))
    assert not file.exists()


def test_a_file_that_comes_back_is_ready_again(
    database: Database, file: Path, runner: asyncio.Runner
) -> None:
    away = file.with_name("away.db")
    file.rename(away)
    assert runner.run(database.unavailable())
    away.rename(file)
    assert runner.run(database.unavailable()) is None
    runner.run(database.write(insert))


def test_damage_that_a_request_finds_makes_the_service_not_ready(
    database: Database, file: Path, runner: asyncio.Runner
) -> None:
    size = file.stat().st_size
    overwrite(file, size // 2, b"\xff" * 4 * PAGE)  # between the first and the last row
    assert runner.run(database.unavailable()) is None
    with pytest.raises(SQLAlchemyError, match="malformed"):
        runner.run(
            database.read(
                lambda connection: connection.execute(
                    text("SELECT sum(length(filler)) FROM numbers")
                ).scalar()
            )
        )
    assert "numbers.db is damaged" in (runner.run(database.unavailable()) or "ready")
    with pytest.raises(SQLAlchemyError):
        runner.run(database.write(insert))


def test_no_order_is_taken_after_its_file_was_deleted(tmp_path: Path, start: Start) -> None:
    orders = start("order-service", PAYMENT_SERVICE_URL="http://127.0.0.1:9")
    assert orders.http.get("/ready").status_code == 200
    (tmp_path / "order-service.db").unlink()
    ready = orders.http.get("/ready")
    assert (ready.status_code, "was deleted" in ready.json()["detail"]) == (503, True)
    refused = orders.http.post("/orders", json=new_order(), headers={"Idempotency-Key": "k"})
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert orders.http.get("/orders").status_code == 503
    assert not (tmp_path / "order-service.db").exists()


def test_a_start_on_garbage_shows_the_cause_and_heals(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "user-service.db"
    file.write_bytes(b"garbage " * 1000)
    users = start("user-service", ready=False).wait_ready("/health")
    for _ in range(30):
        ready = users.http.get("/ready")
        assert (ready.status_code, "file is not a database" in ready.json()["detail"]) == (
            503,
            True,
        )
    log = users.log().splitlines()
    assert len([line for line in log if "file is not a database" in line]) <= 3
    assert not [line for line in log if '"/ready"' in line]
    file.unlink()
    assert wait_until(lambda: users.http.get("/ready").status_code == 200, timeout=10)


def test_a_version_changes_with_a_commit_and_with_nothing_else(
    database: Database, runner: asyncio.Runner, file: Path
) -> None:
    before = database.version()
    assert before is not None
    assert runner.run(database.read(count)) >= 0
    assert database.version() == before
    runner.run(database.write(insert))
    own = database.version()
    assert own != before
    with sqlite3.connect(file) as other:
        other.execute("INSERT INTO numbers VALUES (7, '')")
        assert database.version() == own, "not committed yet"
    other.close()
    assert database.version() not in (own, before)


def test_a_version_of_no_file_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "not there?.db"
    file = SqliteFile(path)
    assert file.version() is None
    assert not path.exists()
    sqlite3.connect(path).close()
    path.write_bytes(b"")
    assert file.version() is not None
    file.close()
