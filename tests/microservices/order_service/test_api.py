"""How an order is kept under an Idempotency-Key."""

import asyncio
from pathlib import Path

import pytest

from microservices.kit.database import Database, open_database
from microservices.kit.http import idempotency
from microservices.kit.http.idempotency import Claim
from microservices.kit.http.pages import PageRequest
from microservices.kit.settings import Settings
from microservices.order_service import api, store
from microservices.order_service.model import NewOrder
from tests.microservices.examples import new_order

pytestmark = pytest.mark.usefixtures("each_database")

NEW = NewOrder.model_validate(new_order())


async def claim(database: Database) -> Claim:
    claimed = await idempotency.claim_or_answer(
        database,
        store.answers,
        user_id=NEW.user_id,
        key="a-key",
        asked=idempotency.fingerprint(NEW),
    )
    assert isinstance(claimed, Claim)
    return claimed


def test_a_late_holder_of_a_claim_gets_the_heirs_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_SECONDS", 0.0)  # as if its holder had been frozen

    async def test() -> None:
        database = open_database("order-service", Settings(port=1, data_dir=tmp_path))
        await database.start(store.create_tables)
        try:
            late, heir = await claim(database), await claim(database)
            order = store.new_row(NEW, seed=7, key="a-key") | {"status": "completed"}
            first = await api.keep(database, {store.orders: order}, heir)
            again = await api.keep(database, {store.orders: order | {"created_at": "later"}}, late)
            assert (first[1], again) == (False, (first[0], True))
            page = await database.read(store.page_of_orders, PageRequest(), api.wire)
            assert page.rows.count(b'"userId"') == 1
        finally:
            await database.stop()

    asyncio.run(test())
