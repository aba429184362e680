"""A periodic task runs again and again, waits until the service has listened, and survives an error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from microservices.kit.database import open_database
from microservices.kit.events.periodic import Periodic, Task
from microservices.kit.settings import Settings

pytestmark = pytest.mark.usefixtures("each_database")

SECONDS = 10


class Due:
    """What is due: it is done in parts, and may fail."""

    def __init__(self, parts: int = 0) -> None:
        self.parts, self.runs, self.fails, self.commits = parts, 0, 0, 0

    def run(self, _: Connection) -> bool:
        self.runs += 1
        if self.fails:
            self.fails -= 1
            raise ValueError("a bug")
        self.parts = max(0, self.parts - 1)
        return self.parts > 0

    def on_commit(self) -> None:
        self.commits += 1


class Listening:
    """Whether the service consumes."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason

    async def need(self) -> str | None:
        return self.reason


@asynccontextmanager
async def running(
    folder: Path, due: Due, *, listening: Listening | None = None, seconds: float = 0
) -> AsyncIterator[Periodic]:
    database = open_database("test", Settings(port=1, data_dir=folder))
    await database.start(lambda _: None)
    task = Task(due.run, every=0.01, listening_seconds=seconds)
    needs = [(listening or Listening()).need]
    try:
        async with Periodic(task, database, needs, due.on_commit) as periodic:
            yield periodic
    finally:
        await database.stop()


async def until(condition: object) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def test_a_task_does_all_that_is_due(tmp_path: Path) -> None:
    async def scenario() -> None:
        due = Due(parts=5)
        async with running(tmp_path, due):
            await until(lambda: due.commits >= 5)
            assert due.parts == 0

    asyncio.run(scenario())


def test_a_task_that_fails_runs_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        due = Due()
        due.fails = 3
        async with running(tmp_path, due) as periodic:
            await until(lambda: due.runs > 4)
            assert await periodic.unavailable() is None

    asyncio.run(scenario())


def test_a_task_waits_until_the_service_has_listened(tmp_path: Path) -> None:
    async def scenario() -> None:
        due, listening = Due(), Listening("Kafka does not answer")
        async with running(tmp_path, due, listening=listening, seconds=0.3):
            await asyncio.sleep(0.5)
            assert due.runs == 0
            listening.reason = None
            began = asyncio.get_running_loop().time()
            await until(lambda: due.runs)
            assert asyncio.get_running_loop().time() - began >= 0.25

    asyncio.run(scenario())


def test_a_break_begins_the_wait_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        due, listening = Due(), Listening()
        async with running(tmp_path, due, listening=listening, seconds=0.6):
            for _ in range(4):
                await asyncio.sleep(0.2)
                listening.reason = "not yet a member"
                await asyncio.sleep(0.05)
                listening.reason = None
            assert due.runs == 0
            await until(lambda: due.runs)

    asyncio.run(scenario())
