import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, event, select, text
from sqlalchemy.exc import IntegrityError

from microservices.kit.database import Database, open_database
from microservices.kit.database_errors import DatabaseAway
from microservices.kit.settings import Settings
from tests.microservices.conftest import Start
from tests.microservices.running import clean_environment

pytestmark = pytest.mark.usefixtures("each_database")

WRITER = """
import asyncio, sys
from sqlalchemy import text
from microservices.kit.database import open_database
from microservices.kit.settings import Settings

def create(connection):
    connection.execute(text("CREATE TABLE IF NOT EXISTS counter (n INTEGER)"))
    if connection.scalar(text("SELECT count(*) FROM counter")) == 0:
        connection.execute(text("INSERT INTO counter VALUES (0)"))

def increment(connection):
    # Read, then write: a deferred BEGIN fails here with "database is locked".
    n = connection.scalar(text("SELECT n FROM counter"))
    connection.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

async def main():
    database = open_database("counter", Settings(port=1))
    await database.start(create)
    assert database._prepared, "tables were not made at the first try"
    await asyncio.gather(*(database.write(increment) for _ in range(int(sys.argv[1]))))
    await database.stop()

asyncio.run(main())
"""


def open_counter(data: Path) -> Database:
    return open_database("counter", Settings(port=1, data_dir=data))


def read_counter(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT n FROM counter")) or 0)


def test_processes_that_read_then_write_are_never_locked_out(
    tmp_path: Path,
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, "300"],
            env=clean_environment(DATA_DIR=tmp_path),
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    assert [writer.communicate()[1] for writer in writers] == [b""] * 3

    async def read() -> int:
        database = open_counter(tmp_path)
        try:
            return await database.read(read_counter)
        finally:
            await database.stop()

    assert asyncio.run(read()) == 900


def test_a_read_does_not_wait_for_the_writer(tmp_path: Path) -> None:
    busy, done = threading.Event(), threading.Event()

    def write_long(connection: Connection) -> None:
        connection.execute(text("UPDATE counter SET n = 2"))
        busy.set()
        assert done.wait(5)

    async def read_during_a_write() -> int:
        database = open_counter(tmp_path)
        await database.start(create_counter)
        writing = asyncio.create_task(database.write(write_long))
        await asyncio.to_thread(busy.wait)
        try:
            return await asyncio.wait_for(database.read(read_counter), 2)
        finally:
            done.set()
            await writing
            await database.stop()

    assert asyncio.run(read_during_a_write()) == 1


def test_work_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("UPDATE counter SET n = 99"))
        raise RuntimeError("half way")

    async def fail_and_read() -> int:
        database = open_counter(tmp_path)
        await database.start(create_counter)
        with pytest.raises(RuntimeError, match="half way"):
            await database.write(fail)
        try:
            return await database.read(read_counter)
        finally:
            await database.stop()

    assert asyncio.run(fail_and_read()) == 1


def test_work_before_the_tables_are_there_finds_the_database_away(tmp_path: Path) -> None:
    """Else a delivery would take the missing table for a wrong statement, and give its event up."""
    failures = [DatabaseAway("the server starts")]

    def create(connection: Connection) -> None:
        if failures:
            raise failures.pop()
        create_counter(connection)

    async def use() -> None:
        database = open_counter(tmp_path)
        await database.start(create)
        for work in (database.write, database.read):
            with pytest.raises(DatabaseAway, match="not prepared yet: the server starts"):
                await work(read_counter)
        async with asyncio.timeout(10):
            while await database.unavailable():
                await asyncio.sleep(0.05)
        assert await database.read(read_counter) == 1
        await database.stop()

    asyncio.run(use())


def create_counter(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE counter (n INTEGER)"))
    connection.execute(text("INSERT INTO counter VALUES (1)"))


def test_two_replicas_on_one_file_lose_no_user(start: Start) -> None:
    replicas = [start("user-service", ready=False) for _ in range(2)]
    for replica in replicas:
        replica.wait_ready()

    def create(number: int) -> str:
        url = f"{replicas[number % 2].url}/users"
        answer = httpx.post(url, json={"name": f"User {number}"}, timeout=15)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        created = set(pool.map(create, range(100)))
    for replica in replicas:
        listed = {user["id"] for user in replica.http.get("/users").json()}
        assert listed == created | {"user-1", "user-2", "user-3"}
        assert "locked" not in replica.log()


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_database_that_is_away_makes_ready_503(tmp_path: Path, start: Start) -> None:
    (tmp_path / "user-service.db").mkdir()  # in the way
    users = start("user-service", ready=False)
    wait_alive(users.url)
    assert users.http.get("/ready").status_code == 503
    assert users.http.get("/users").status_code == 503
    (tmp_path / "user-service.db").rmdir()
    users.wait_ready()
    assert len(users.http.get("/users").json()) == 3


def wait_alive(url: str) -> None:
    transport = httpx.HTTPTransport(retries=100)
    with httpx.Client(transport=transport) as client:
        assert client.get(f"{url}/health").status_code == 200


def test_writes_share_a_transaction_and_one_error_harms_no_other(
    tmp_path: Path,
) -> None:
    commits = []

    def create(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE numbers (n INTEGER)"))

    def insert(connection: Connection, n: int) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
        if n == 13:
            raise ValueError("unlucky")
        return n

    def numbers(connection: Connection) -> list[int]:
        return list(connection.scalars(text("SELECT n FROM numbers ORDER BY n")))

    async def use() -> None:
        database = open_database("numbers", Settings(port=1, data_dir=tmp_path))
        event.listen(database._engine, "commit", commits.append)
        await database.start(create)
        good = await asyncio.gather(*(database.write(insert, n) for n in range(10)))
        assert good == list(range(10))
        assert len(commits) < 1 + 10
        mixed = (database.write(insert, n) for n in range(10, 20))
        found = await asyncio.gather(*mixed, return_exceptions=True)
        (error,) = [each for each in found if isinstance(each, BaseException)]
        assert str(error) == "unlucky"
        without = [n for n in range(20) if n != 13]
        assert [each for each in found if each is not error] == without[10:]
        assert await database.read(numbers) == without
        await database.stop()

    asyncio.run(use())


def test_rows_share_a_statement_and_one_error_harms_no_other(
    tmp_path: Path,
) -> None:
    metadata = MetaData()
    numbers = Table("numbers", metadata, Column("n", Integer, primary_key=True))
    squares = Table("squares", metadata, Column("n", Integer), Column("square", Integer))
    statements: list[str] = []

    def ran(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT"):
            statements.append(statement)

    def found(connection: Connection) -> tuple[list[int], list[int]]:
        return (
            list(connection.scalars(select(numbers.c.n).order_by(numbers.c.n))),
            list(connection.scalars(select(squares.c.n).order_by(squares.c.n))),
        )

    async def use() -> None:
        database = open_database("numbers", Settings(port=1, data_dir=tmp_path))
        event.listen(database._engine, "before_cursor_execute", ran)
        await database.start(metadata.create_all)

        async def add(n: int) -> None:
            # The square first: it has to go again when the number cannot be.
            await database.insert({squares: {"n": n, "square": n * n}, numbers: {"n": n}})

        await asyncio.gather(*(add(n) for n in range(20)))
        assert len(statements) == 2
        outcomes = await asyncio.gather(
            *(add(n) for n in (20, 7, 21)), database.write(found), return_exceptions=True
        )
        assert [type(each) for each in outcomes] == [type(None), IntegrityError, type(None), tuple]
        assert await database.read(found) == (list(range(22)), list(range(22)))
        await database.stop()

    asyncio.run(use())


def test_a_stop_finishes_the_writes_that_wait(tmp_path: Path) -> None:
    def slow(connection: Connection) -> None:
        threading.Event().wait(0.2)
        connection.execute(text("UPDATE counter SET n = n + 1"))

    async def begin_and_stop() -> None:
        database = open_counter(tmp_path)
        await database.start(create_counter)
        begun = [asyncio.create_task(database.write(slow)) for _ in range(2)]
        await asyncio.sleep(0.05)
        begun[0].cancel()
        waiting = asyncio.create_task(database.write(slow))
        await asyncio.sleep(0)
        await database.stop()
        await asyncio.wait_for(asyncio.gather(begun[1], waiting), 5)

    async def look() -> int:
        database = open_counter(tmp_path)
        try:
            return await database.read(read_counter)
        finally:
            await database.stop()

    asyncio.run(begin_and_stop())
    assert asyncio.run(look()) == 4
