"""The database of one service: SQLAlchemy Core, sync, with one writer thread per process.

SQLite: one file per service in ``DATA_DIR``, which several replicas open at once. Every write
transaction starts with ``BEGIN IMMEDIATE``: it waits for its turn at the start. (A transaction
that begins by reading and writes later fails at once when another one wrote in between.)
PostgreSQL, by ``DATABASE_URL``: an advisory lock gives the same turn-taking.

Nothing slow belongs inside a transaction: all replicas wait for it.

Group commit: the writes that wait for their turn share one transaction, since its beginning and its
end cost more than what is in it. When one of them raises, all is rolled back, and each is done again
in a transaction of its own. So a write function may run twice, and must have no effect but its rows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar
from zlib import crc32

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from microservices.kit.settings import BadSetting, Settings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TURN_SECONDS = 5.0
"""Longest wait for another process's write transaction."""

CONNECT_RETRY_SECONDS = 0.5
GROUP = 64
"""Most writes in one transaction: the first of them waits for the last one."""


def open_database(service: str, settings: Settings) -> "Database":
    """Return the database of ``service``; nothing is connected yet.

    Raises:
        BadSetting: when DATA_DIR cannot be a folder, or PostgreSQL's driver is not installed.
    """
    if settings.database_url is None:
        return Database(_sqlite(_sqlite_url(service, settings)))
    try:
        return Database(_postgresql(settings.database_url, service))
    except ModuleNotFoundError as error:
        raise BadSetting(f"DATABASE_URL needs a driver: pip install {error.name}") from None


def _sqlite_url(service: str, settings: Settings) -> str:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        detail = f"a folder this user can write to is expected ({error.strerror})"
        raise BadSetting(f"DATA_DIR is {str(settings.data_dir)!r}: {detail}") from None
    return f"sqlite:///{settings.data_dir / service}.db"


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": TURN_SECONDS})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, below, and not the driver
        # The WAL survives kill -9 of any process at NORMAL; not the loss of power.
        connection.execute("PRAGMA synchronous=NORMAL")
        use_wal(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def use_wal(connection: Any) -> None:
    """Switch the file to write-ahead logging, once for all processes.

    SQLite answers "locked" at once, without waiting, when two processes switch a new file at the
    same moment. So we wait.
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


def _postgresql(url: str, service: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 2})
    turn = text("SELECT pg_advisory_xact_lock(:service)").bindparams(
        service=crc32(service.encode())
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            connection.execute(turn)

    return engine


@dataclass(frozen=True)
class Write:
    """One write that waits for its turn, and who waits for it."""

    work: Callable[[Connection], Any]
    done: "asyncio.Future[Any]"


Outcome = tuple[Any, BaseException | None]
"""A result, or an error."""


class Database:
    """Runs functions of a connection in transactions: writes one after the other, reads beside."""

    AWAY: ClassVar[tuple[type[Exception], ...]] = (OperationalError, InterfaceError)
    """What reads and writes raise while the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(writes=True)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._waiting: deque[Write] = deque()
        self._starting: asyncio.Task[None] | None = None
        self._prepared = False

    async def start(self, create: Callable[[Connection], None]) -> None:
        """Prepare the tables with ``create``; a database that is away is awaited in background."""
        tried = asyncio.Event()
        self._starting = asyncio.create_task(self._prepare(create, tried))
        await tried.wait()

    async def _prepare(self, create: Callable[[Connection], None], tried: asyncio.Event) -> None:
        while not self._prepared:
            try:
                await self.write(create)
                self._prepared = True
            except SQLAlchemyError as error:
                log.error("database cannot be prepared, trying again", exc_info=error)
            tried.set()
            if not self._prepared:
                await asyncio.sleep(CONNECT_RETRY_SECONDS)

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(connection, ...)`` in a write transaction; it is durable on return.

        Once begun it ends, also when the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append(Write(partial(_call, work, args, kwargs), done))
        self._writer.submit(self._write_group, loop)
        return await done

    def _write_group(self, loop: asyncio.AbstractEventLoop) -> None:
        writes: list[Write] = []
        while self._waiting and len(writes) < GROUP:
            writes.append(self._waiting.popleft())
        if writes:  # else an earlier turn has taken them along
            loop.call_soon_threadsafe(_settle, writes, self._outcomes(writes))

    def _outcomes(self, writes: Sequence[Write]) -> list[Outcome]:
        try:
            with self._writing_engine.begin() as connection:
                results = [write.work(connection) for write in writes]
            return [(result, None) for result in results]
        except self.AWAY as error:  # the database, and no single write
            return [(None, error)] * len(writes)
        except BaseException as error:
            if len(writes) == 1:
                return [(None, error)]
        return [outcome for write in writes for outcome in self._outcomes([write])]

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work(connection, ...)`` on a snapshot, beside the writer and never waiting for it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._reader, lambda: _transaction(self._engine, work, *args, **kwargs)
        )

    async def unavailable(self) -> str | None:
        """Return why the database cannot be used now; ``None`` when it answers."""
        if not self._prepared:
            return "the database of this service is not prepared yet"
        try:
            await asyncio.wait_for(self.read(_ping), timeout=1)
        except (SQLAlchemyError, TimeoutError):
            return "the database of this service does not answer"
        return None

    async def stop(self) -> None:
        """Finish what was begun, and close every connection."""
        if self._starting:
            self._starting.cancel()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._writer.shutdown)
        await loop.run_in_executor(None, self._reader.shutdown)
        self._engine.dispose()


def _call(
    work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], connection: Connection
) -> T:
    return work(connection, *args, **kwargs)


def _settle(writes: Sequence[Write], outcomes: Sequence[Outcome]) -> None:
    for write, (result, error) in zip(writes, outcomes, strict=True):
        if write.done.done():  # its caller has left
            continue
        if error is None:
            write.done.set_result(result)
        else:
            write.done.set_exception(error)


def _transaction(
    engine: Engine, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    with engine.begin() as connection:
        return work(connection, *args, **kwargs)


def _ping(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
