"""The database of one service: SQLAlchemy Core, sync, with one writer thread per process.

SQLite: one file per service in `DATA_DIR`, which several replicas open at once. Every write
transaction starts with `BEGIN IMMEDIATE`: it waits for its turn at the start. (A transaction
that begins by reading and writes later fails at once when another one wrote in between.)
PostgreSQL, by `DATABASE_URL`: an advisory lock serialises the writes in the same way.

Nothing slow belongs inside a transaction: all replicas wait for it.

Group commit: the writes that wait for their turn share one transaction, since its beginning and its
end cost more than the statements in it, and the rows that are only inserted share one statement per
table. When one write raises, the transaction is rolled back, and each write is done again in a
transaction of its own. So a write function may run twice, and must have no effect but its rows.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, Engine, Insert, Table, inspect
from sqlalchemy.exc import SQLAlchemyError

from microservices.kit.database_errors import DatabaseAway, translate_away
from microservices.kit.postgresql import begin_in_turn, open_engine, snapshot
from microservices.kit.settings import BadSetting, Settings
from microservices.kit.sqlite import SqliteFile

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Begin = Callable[[Connection, bool], None]
"""Begins a transaction on a connection; the second argument is whether it will write. (As a listener of
SQLAlchemy's own event it would cost every statement a third more.)"""

CONNECT_RETRY_SECONDS = 0.5
GROUP = 64
"""Most writes in one transaction: the first of them waits for the last one."""

PACE_SECONDS = 0.002
"""Least time between the beginnings of two transactions: under load it makes few large ones of many
small ones."""


def open_database(service: str, settings: Settings) -> "Database":
    """Return the database of `service`; nothing is connected yet.

    Raises:
        BadSetting: DATA_DIR cannot be a folder, or PostgreSQL's driver is not installed.
    """
    if settings.database_url is None:
        file = SqliteFile(_sqlite_path(service, settings))
        return Database(file.open(), file.begin, file)
    try:
        engine = open_engine(settings.database_url, service)
        return Database(engine, begin_in_turn(service), reading=snapshot(engine))
    except ModuleNotFoundError as error:
        raise BadSetting(f"DATABASE_URL needs a driver: pip install {error.name}") from None


def _sqlite_path(service: str, settings: Settings) -> Path:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        detail = f"a folder this user can write to is expected ({error.strerror})"
        raise BadSetting(f"DATA_DIR is {str(settings.data_dir)!r}: {detail}") from None
    return settings.data_dir / f"{service}.db"


Row = Mapping[str, Any]
"""A value for each column that has one."""

Rows = Mapping[Table, Row | list[Row]]
"""What to insert: a row of a table, or several."""


@dataclass(frozen=True)
class Write:
    """A write that waits for its turn: rows to insert, then work to do; and the future of its caller."""

    rows: Rows
    work: Callable[[Connection], Any]
    done: "asyncio.Future[Any]"


Outcome = tuple[Any, BaseException | None]
"""A result, or an error."""


def _nothing(_: Connection) -> None:
    pass


class Database:
    """Runs functions of a connection in transactions: writes one after the other, reads beside them."""

    AWAY: ClassVar[tuple[type[Exception], ...]] = (DatabaseAway,)
    """The errors that reads and writes raise while the database does not answer."""

    def __init__(
        self,
        engine: Engine,
        begin: Begin,
        file: SqliteFile | None = None,
        *,
        reading: Engine | None = None,
    ) -> None:
        self._engine, self._begin, self._file = engine, begin, file
        self._reading = reading or engine
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._looker = ThreadPoolExecutor(1, thread_name_prefix="looker")
        self._waiting: deque[Write] = deque()
        self._turns: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._prepared = self.taken_away = False
        self._tables: Sequence[str] = ()
        self._failure = ""

    async def start(self, create: Callable[[Connection], None]) -> None:
        """Prepare the tables with `create`; while it does not answer, this is retried in the background."""
        tried = asyncio.Event()
        self._starting = asyncio.create_task(self._prepare(create, tried))
        await tried.wait()

    async def _prepare(self, create: Callable[[Connection], None], tried: asyncio.Event) -> None:
        while not self._prepared:
            try:
                work = partial(_create_and_list, create=create)
                self._tables = await self._take_turn({}, work)
                self._prepared = True
            except SQLAlchemyError as error:
                self._note_failure(error)
            tried.set()
            if not self._prepared:
                await asyncio.sleep(CONNECT_RETRY_SECONDS)

    def _note_failure(self, error: SQLAlchemyError) -> None:
        """Log why the tables cannot be prepared, once for as long as it stays the same."""
        if self._failure != (reason := reason_of(error)):
            log.error("database cannot be prepared, trying again: %s", reason, exc_info=error)
            self._failure = reason

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)` in a write transaction; it is durable on return.

        A write that has begun is finished, even when its caller is cancelled.
        """
        return cast(T, await self._write({}, partial(_call, work, args, kwargs)))

    async def insert(
        self,
        rows: Rows,
        work: Callable[..., None] = _nothing,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Insert rows, then run `work(connection, ...)`: all of it, durable on return, or nothing."""
        await self._write(rows, partial(_call, work, args, kwargs))

    async def _write(self, rows: Rows, work: Callable[[Connection], Any]) -> Any:
        self._require_tables()
        return await self._take_turn(rows, work)

    def _require_tables(self) -> None:
        """Refuse work before the tables are there: it would fail like a wrong statement, and be given up.

        Raises:
            DatabaseAway: The tables are not prepared yet.
        """
        if self._starting and not self._prepared:
            raise DatabaseAway(f"the database is not prepared yet: {self._failure}")

    async def _take_turn(self, rows: Rows, work: Callable[[Connection], Any]) -> Any:
        write = Write(rows, work, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._take_turns())
        return await write.done

    async def _take_turns(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            began = loop.time()
            size = min(GROUP, len(self._waiting))
            writes = [self._waiting.popleft() for _ in range(size)]
            _settle(writes, await loop.run_in_executor(self._writer, self._outcomes, writes))
            await asyncio.sleep(began + PACE_SECONDS - loop.time())

    def _outcomes(self, writes: Sequence[Write]) -> list[Outcome]:
        try:
            with self._transaction(writes=True) as connection:
                _insert(connection, [write.rows for write in writes])
                results = [write.work(connection) for write in writes]
            return [(result, None) for result in results]
        except self.AWAY as error:  # the error is the database's, not that of one write
            return [(None, error)] * len(writes)
        except BaseException as error:
            if len(writes) == 1:
                return [(None, error)]
        return [outcome for write in writes for outcome in self._outcomes([write])]

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, ...)` on a snapshot, beside the writer and never waiting for it."""
        self._require_tables()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, partial(self._read, work, args, kwargs))

    def _read(self, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        with self._transaction(writes=False) as connection:
            return work(connection, *args, **kwargs)

    def version(self) -> int | None:
        """Return a number that is another one after each commit, of whatever process; None when there is none.

        Far cheaper than a read: it asks the file, in no transaction. PostgreSQL has no such number.
        """
        return self._file.version() if self._file else None

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        if self.taken_away:
            raise DatabaseAway("it was taken away through /faults")
        engine = self._engine if writes else self._reading
        with translate_away(), engine.begin() as connection:
            self._begin(connection, writes)
            yield connection

    def check(self) -> None:
        """Refuse to go on when a write would be refused: before work that cannot be undone.

        Raises:
            DatabaseAway: The file of the database was deleted, replaced or damaged.
        """
        if self._file:
            with translate_away():
                self._file.check(writes=True)

    async def unavailable(self) -> str | None:
        """Return why the database cannot be used now; `None` when it answers with a row of each table."""
        if not self._prepared:
            return f"the database of this service is not prepared yet: {self._failure}"
        looking = asyncio.get_running_loop().run_in_executor(self._looker, self._look)
        try:
            return await asyncio.wait_for(looking, timeout=1)
        except SQLAlchemyError as error:
            return f"the database of this service cannot be used: {reason_of(error)}"
        except TimeoutError:
            return "the database of this service does not answer"

    def _look(self) -> str | None:
        if self._file and (reason := self._file.wrong()):
            return f"the database of this service cannot be used: {reason}"
        with self._transaction(writes=False) as connection:
            if self._file:
                self._file.look(connection, self._tables)
            else:
                for name in self._tables:
                    connection.exec_driver_sql(f'SELECT 1 FROM "{name}" LIMIT 1').first()
        return None

    async def stop(self) -> None:
        """Finish the writes that wait, and close every connection."""
        if self._starting:
            self._starting.cancel()
        if self._turns:
            await self._turns
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._writer.shutdown)
        await loop.run_in_executor(None, self._reader.shutdown)
        await loop.run_in_executor(None, self._looker.shutdown)
        self._engine.dispose()
        if self._file:
            self._file.close()


def _call(
    work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], connection: Connection
) -> T:
    return work(connection, *args, **kwargs)


def _insert(connection: Connection, groups: Sequence[Rows]) -> None:
    together: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for rows in groups:
        for table, value in rows.items():
            for row in value if isinstance(value, list) else [value]:
                together[table, *row].append(row)
    for (table, *_), many in together.items():
        connection.execute(insert_into(table), many)


@cache
def insert_into(table: Table) -> Insert:
    """Return the statement that inserts into `table`. Building it costs more than running it."""
    return table.insert()


def _settle(writes: Sequence[Write], outcomes: Sequence[Outcome]) -> None:
    for write, (result, error) in zip(writes, outcomes, strict=True):
        if write.done.done():  # its caller was cancelled
            continue
        if error is None:
            write.done.set_result(result)
        else:
            write.done.set_exception(error)


def _create_and_list(connection: Connection, create: Callable[[Connection], None]) -> list[str]:
    """Create the tables; return the names of all that there are."""
    create(connection)
    return inspect(connection).get_table_names()


def reason_of(error: SQLAlchemyError) -> str:
    """Return in one line what the database's driver reported."""
    cause = error if hasattr(error, "orig") else error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    return (str(cause).splitlines() or [type(cause).__name__])[0]
