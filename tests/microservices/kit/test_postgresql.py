"""What differs on PostgreSQL: a server that dies or hangs, snapshots, plans, numbers, and the address."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Select, func, select, text
from sqlalchemy.exc import DBAPIError

from environment.waiting import wait_until
from microservices.kit import postgresql as kit
from microservices.kit.database import Database, open_database
from microservices.kit.events import inbox, lease, outbox
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.delivery import effect_once
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import OrderConfirmed
from microservices.kit.http.pages import PageRequest
from microservices.kit.page_query import read_page
from microservices.kit.settings import Settings
from microservices.notification_service import store as notifications
from microservices.order_service import store as orders
from microservices.payment_service import ledger
from microservices.user_service import store as users
from microservices.user_service import v2
from tests.postgresql import PostgreSQL

CAUSE = Cause("click", "event-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.new_schema()


@pytest.fixture
def mortal(postgresql: PostgreSQL) -> Iterator[PostgreSQL]:
    """The server, for a test that kills it: afterwards it runs again."""
    yield postgresql
    if postgresql.process.poll() is not None:
        postgresql.start()


def run(url: str, *tests: Callable[[Database], Awaitable[None]]) -> None:
    """Run each test with a database of its own on one address, as replicas do, all at the same time."""

    async def replica(test: Callable[[Database], Awaitable[None]]) -> None:
        database = open_database("a-service", Settings(port=1, database_url=url))
        await database.start(create)
        try:
            await test(database)
        finally:
            await database.stop()

    async def all_of_them() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*map(replica, tests))

    asyncio.run(all_of_them())


def create(connection: Connection) -> None:
    for table in (outbox.table, inbox.table, lease.table):
        table.create(connection, checkfirst=True)
    connection.execute(text("CREATE TABLE IF NOT EXISTS numbers (n BIGINT)"))


def insert(connection: Connection, n: int) -> None:
    connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})


def numbers(connection: Connection) -> list[int]:
    return list(connection.scalars(text("SELECT n FROM numbers ORDER BY n")))


def has_effect(connection: Connection, event: Event) -> None:
    outbox.add(connection, event.data, cause=CAUSE)


CONFIG = ConsumerConfig("a-group", [Handler(OrderConfirmed, has_effect)])


def confirmed(id: str) -> Event:
    return Event(id, "t", OrderConfirmed.new(order_id=id), CAUSE)


def test_a_killed_server_loses_no_write_and_repeats_none(mortal: PostgreSQL, url: str) -> None:
    acknowledged: list[int] = []
    count, kills = 240, 2

    async def write(database: Database) -> None:
        async def until_it_is_written(n: int) -> None:
            while True:
                with suppress(*Database.AWAY):
                    await database.write(effect_once, CONFIG, CONFIG.handlers[0], confirmed(f"{n}"))
                    acknowledged.append(n)
                    return
                await asyncio.sleep(0.02)

        async def in_threes(start: int) -> None:
            for n in range(start, count, 3):
                await until_it_is_written(n)

        await asyncio.gather(*map(in_threes, range(3)))
        assert await database.unavailable() is None
        rows = await database.read(outbox.first, 10 * count)
        assert sorted(int(record.key or b"") for _, record in rows) == list(range(count))

    async def kill(_: Database) -> None:
        for number in range(1, kills + 1):
            while len(acknowledged) < number * count / (kills + 2):
                await asyncio.sleep(0.001)
            await asyncio.to_thread(mortal.kill)
            await asyncio.to_thread(mortal.start)

    run(url, write, kill)
    assert len(acknowledged) == count


def test_a_service_starts_without_its_server_and_reports_it(mortal: PostgreSQL, url: str) -> None:
    mortal.kill()

    async def start(database: Database) -> None:
        assert "not prepared yet: connection failed" in str(await database.unavailable())
        with pytest.raises(Database.AWAY):
            await database.write(insert, 1)
        await asyncio.to_thread(mortal.start)
        while await database.unavailable():
            await asyncio.sleep(0.05)
        await database.write(insert, 2)
        assert await database.read(numbers) == [2]

    run(url, start)


def test_a_killed_server_leaves_no_shared_memory(mortal: PostgreSQL) -> None:
    listed = Path("/proc/sysvipc/shm")
    if not listed.exists():
        pytest.skip("this system does not list its shared memory")
    segment = next(
        line.split()[1]
        for line in listed.read_text().splitlines()
        if line.split()[4] == str(mortal.process.pid)
    )

    def present(*, marked: bool = False) -> bool:
        rows = [line.split() for line in listed.read_text().splitlines()[1:]]
        modes = {row[1]: int(row[2], 8) for row in rows}
        return segment in modes and (not marked or bool(modes[segment] & 0o1000))

    assert wait_until(lambda: present(marked=True), timeout=5)
    mortal.kill()
    assert wait_until(lambda: not present(), timeout=10)


def test_a_replica_frozen_in_its_turn_holds_up_no_other(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "TURN_SECONDS", 1)
    frozen, thaw = threading.Event(), threading.Event()

    def freeze(connection: Connection) -> None:
        insert(connection, 1)
        frozen.set()
        thaw.wait(20)
        insert(connection, 2)

    async def freezes(database: Database) -> None:
        with pytest.raises(Database.AWAY):
            await database.write(freeze)

    async def goes_on(database: Database) -> None:
        await asyncio.to_thread(frozen.wait)
        try:
            for _ in range(10):
                with suppress(*Database.AWAY):
                    await database.write(insert, 3)
                    break
            assert await database.read(numbers) == [3]
        finally:
            thaw.set()

    run(url, freezes, goes_on)


def test_events_of_replicas_are_read_in_the_order_of_their_commits(url: str) -> None:
    """A sequence counts at the insert, and a later number may be committed earlier: not so in turn."""
    seen: list[int] = []
    done = asyncio.Event()

    async def write(database: Database) -> None:
        for n in range(60):
            await asyncio.gather(
                *(database.write(has_effect, confirmed(f"{n}-{k}")) for k in range(3))
            )

    async def look(database: Database) -> None:
        while not done.is_set() or await database.read(outbox.count) > len(seen):
            rows = await database.read(outbox.first, 1000)
            positions = [position for position, _ in rows]
            assert positions[: len(seen)] == seen, "an event was committed behind one that was read"
            seen[:] = positions
            await asyncio.sleep(0)

    async def write_all(database: Database) -> None:
        try:
            await write(database)
        finally:
            writers.append(1)
            if len(writers) == 2:
                done.set()

    writers: list[int] = []
    run(url, write_all, write_all, look)
    assert len(seen) == 2 * 60 * 3


@pytest.mark.usefixtures("each_database")
def test_a_read_of_two_statements_sees_one_snapshot(tmp_path: Path) -> None:
    between, written = threading.Event(), threading.Event()

    def read_twice(connection: Connection) -> tuple[list[int], list[int]]:
        first = numbers(connection)
        between.set()
        assert written.wait(10)
        return first, numbers(connection)

    async def test() -> None:
        database = open_database("a-service", Settings(port=1, data_dir=tmp_path))
        await database.start(create)
        try:
            await database.write(insert, 1)
            reading = asyncio.create_task(database.read(read_twice))
            await asyncio.to_thread(between.wait)
            await database.write(insert, 2)
            written.set()
            assert await reading == ([1], [1])
            assert await database.read(numbers) == [1, 2]
        finally:
            written.set()
            await database.stop()

    asyncio.run(test())


def test_a_new_column_makes_no_replica_of_the_old_version_unready(url: str) -> None:
    """The driver prepares what it sends often, and a prepared `SELECT *` fails for good after ALTER TABLE."""

    async def start() -> None:
        old = open_database("user-service", Settings(port=1, database_url=url))
        await old.start(users.create_tables)
        for _ in range(10):
            assert await old.unavailable() is None
        new = open_database("user-service", Settings(port=1, database_url=url))
        await new.start(v2.create_tables)
        assert await new.unavailable() is None
        assert await old.unavailable() is None
        await new.stop()
        await old.stop()

    asyncio.run(start())


PAGES: list[tuple[Callable[[Connection], None], Select[Any]]] = [
    (users.create_tables, users.page_of(users.users, users.users.c.id)),
    (orders.create_tables, orders.PAGE),
    (ledger.charges.metadata.create_all, ledger.CHARGES),
    (notifications.create_tables, notifications.PAGE),
]


@pytest.mark.parametrize(("create", "page"), PAGES)
@pytest.mark.parametrize("cursor", [2**31 - 1, 2**31, 10**18 - 1])
def test_any_cursor_is_compared(
    transaction: Connection,
    create: Callable[[Connection], None],
    page: Select[Any],
    cursor: int,
) -> None:
    create(transaction)
    assert read_page(transaction, PageRequest(cursor=cursor), page, dict).rows == b"[]"


def test_positions_go_on_past_32_bits(postgresql: PostgreSQL) -> None:
    with postgresql.undone() as connection:
        create(connection)
        connection.execute(text("SELECT setval('outbox_position_seq', 2147483647)"))
        has_effect(connection, confirmed("order-1"))
        ((position, _),) = outbox.first(connection, 10)
        assert position == 2**31


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM none",
        "SELECT column_of_a_later_version FROM numbers",
        "SELEKT 1",
        "INSERT INTO numbers VALUES (9223372036854775808)",
        "DROP TABLE locked_by_nobody",
    ],
)
def test_a_wrong_statement_is_not_a_server_that_is_away(url: str, statement: str) -> None:
    async def write(database: Database) -> None:
        with pytest.raises(DBAPIError):
            await database.write(lambda connection: connection.execute(text(statement)))

    run(url, write)


def test_a_text_that_cannot_be_stored_harms_no_other_write(url: str) -> None:
    async def write(database: Database) -> None:
        found = await asyncio.gather(
            database.write(insert, 1),
            database.write(lambda c: inbox.accept(c, "a NUL \x00")),
            database.write(insert, 2),
            return_exceptions=True,
        )
        assert [isinstance(each, DBAPIError) for each in found] == [False, True, False]
        assert await database.read(numbers) == [1, 2]

    run(url, write)


def test_money_beyond_32_bits_is_summed_exactly(transaction: Connection) -> None:
    ledger.charges.metadata.create_all(transaction)
    for n in range(3):
        row = {"order_id": f"o{n}", "payment_id": "p", "amount_cents": 10**14 * 100 - 1}
        transaction.execute(ledger.charges.insert().values(row))
    total = ledger.sum_of(transaction, ledger.charges.c.amount_cents)
    assert (total, type(total)) == (3 * (10**16 - 1), int)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://db:5432", "postgresql+psycopg://a-service@db:5432/a-service"),
        ("postgresql://:secret@db:5432", "postgresql+psycopg://a-service:secret@db:5432/a-service"),
        ("postgresql://ada:pw@db/shop", "postgresql+psycopg://ada:pw@db/shop"),
        ("postgresql+psycopg://ada@db/shop", "postgresql+psycopg://ada@db/shop"),
    ],
)
def test_a_service_has_its_own_user_and_database(given: str, used: str) -> None:
    assert kit.address(given, "a-service").render_as_string(hide_password=False) == used


def test_the_isolation_levels_are_stated(url: str) -> None:
    engine = kit.open_engine(url, "a-service")
    levels = []
    for each in (engine, kit.snapshot(engine)):
        with each.begin() as connection:
            levels.append(connection.scalar(select(func.current_setting("transaction_isolation"))))
    engine.dispose()
    assert levels == ["read committed", "repeatable read"]
