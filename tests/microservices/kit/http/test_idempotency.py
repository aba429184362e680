import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from microservices.kit.database import Database, open_database
from microservices.kit.http import idempotency
from microservices.kit.http.idempotency import (
    Claim,
    answer,
    answers_table,
    claim_or_answer,
    release,
)
from microservices.kit.http.problem import Problem
from microservices.kit.settings import Settings

pytestmark = pytest.mark.usefixtures("each_database")

metadata = MetaData()
ANSWERS = answers_table(metadata)


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Database]:
    database = open_database("answers", Settings(port=1, data_dir=data))
    await database.start(metadata.create_all)
    yield database
    await database.stop()


async def ask(database: Database, asked: str = "two books") -> Claim | str:
    return await claim_or_answer(database, ANSWERS, user_id="ada", key="k", asked=asked)


def test_a_second_request_waits_for_the_answer_of_the_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as database:
            claim = await ask(database)
            assert isinstance(claim, Claim)
            second = asyncio.create_task(ask(database))
            done, _ = await asyncio.wait({second}, timeout=0.2)
            assert not done
            await database.write(answer, ANSWERS, claim, "the first answer")
            assert await asyncio.wait_for(second, 2) == "the first answer"

    asyncio.run(story())


def test_a_claim_runs_out_and_the_next_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_SECONDS", 0.2)

    async def story() -> None:
        async with opened(tmp_path) as database:
            killed = await ask(database)
            heir = await asyncio.wait_for(ask(database), 2)
            assert isinstance(killed, Claim)
            assert isinstance(heir, Claim)
            with pytest.raises(Problem, match="503"):
                await database.write(answer, ANSWERS, killed, "too late")
            await database.write(answer, ANSWERS, heir, "in time")
            assert await ask(database) == "in time"

    asyncio.run(story())


def test_a_released_claim_is_free_for_the_same_body(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as database:
            claim = await ask(database)
            assert isinstance(claim, Claim)
            await database.write(release, ANSWERS, claim)
            with pytest.raises(Problem, match="422"):
                await ask(database, "three books")
            assert isinstance(await asyncio.wait_for(ask(database), 1), Claim)

    asyncio.run(story())
