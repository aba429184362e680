"""Phase 5 on PostgreSQL, with three replicas of each service: the coin decides, also when the server is killed."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest

from environment import Environment
from environment.waiting import wait_until
from tests.environment.test_saga import SEED, SERVICES, STOCK, Shop, outcome
from tests.residue import nothing_left

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

REPLICATED = SERVICES[1:4]


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    env = Environment(
        "phase5",
        runtime=request.param,
        seed=SEED,
        only=SERVICES,
        database="postgresql",
        settings={
            "inventory-service": {"STOCK": f"prod-1={STOCK}"},
            "order-service": {"SAGA_TIMEOUT_SECONDS": 300},  # a slow machine is no reason to cancel
        },
    )
    env.start()
    session = str(env.session)
    for service in REPLICATED:
        env.scale(service, 3)
    yield Shop(env)
    env.stop()
    assert nothing_left(session, seconds=0) == []


def test_every_order_ends_as_the_coin_says(shop: Shop) -> None:
    ids = shop.orders("k", 120)
    assert shop.ended(ids) == {id: outcome(id) for id in ids}
    shop.check_books()


def test_no_service_keeps_a_file(shop: Shop) -> None:
    if shop.env.runtime == "process":
        files = list(Path(shop.env.state()["data"]).rglob("*.db"))
        assert files == []


def test_a_killed_server_under_load_changes_no_outcome(shop: Shop) -> None:
    """A client repeats what was not acknowledged, with its key: each order is placed once, and ends by its coin."""
    ids: dict[str, str] = {}
    refused: list[int] = []

    def place(start: int) -> None:
        replicas = shop.env["order-service"].replicas
        with httpx.Client(timeout=30, trust_env=False) as client:
            for number in range(start, 90, 3):
                key, url = f"load-{number}", replicas[start].url
                body = {
                    "userId": "user-1",
                    "items": [{"productId": "prod-1", "quantity": 1, "price": 19.99}],
                }
                headers = {"Idempotency-Key": key}

                def placed() -> bool:
                    response = client.post(f"{url}/orders", json=body, headers=headers)  # noqa: B023
                    if response.status_code in (200, 201):
                        ids[key] = response.json()["id"]  # noqa: B023
                        return True
                    assert response.status_code == 503, response.text
                    refused.append(1)
                    return False

                assert wait_until(placed, timeout=60, every=0.1)

    clients = [Thread(target=place, args=(start,)) for start in range(3)]
    for client in clients:
        client.start()
    for enough in (15, 45):
        assert wait_until(lambda: len(ids) >= enough, timeout=60)  # noqa: B023
        with shop.env["postgres"].killed():
            count = len(refused)
            assert wait_until(lambda: len(refused) > count, timeout=30)  # noqa: B023
            ready = httpx.get(shop.env["order-service"].replicas[0].url + "/ready", timeout=10)
            assert ready.status_code == 503
            assert "database" in ready.json()["detail"]
    for client in clients:
        client.join(120)
    assert len(ids) == len(set(ids.values())) == 90
    placed_ids = list(ids.values())
    assert shop.ended(placed_ids, seconds=90) == {id: outcome(id) for id in placed_ids}
    shop.check_books()


def test_the_server_is_not_roots_and_its_password_is_in_no_command(shop: Shop) -> None:
    if shop.env.runtime != "process":
        return
    server = psutil.Process(int(shop.env["postgres"].replicas[0].pid or 0))
    assert server.uids().effective != 0
    service = psutil.Process(int(shop.env["order-service"].replicas[0].pid or 0))
    url = httpx.URL(service.environ()["DATABASE_URL"])
    assert len(url.password) == 32
    commands = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert not any(url.password in command for command in commands)
    secret = Path(shop.env.state()["data"], "data", "postgres-data", "password.conf")
    assert secret.stat().st_mode & 0o077 == 0
    assert url.password not in json.dumps(shop.env.state()) + shop.env["postgres"].logs(1000)
