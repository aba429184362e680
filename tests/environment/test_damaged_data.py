"""Data that is deleted or damaged below a service: it is not ready, takes nothing, and its next start shows why."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from environment import Environment
from environment.errors import NotReady
from environment.images.engine import connect
from tests.residue import nothing_left

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ORDER = {"userId": "user-1", "items": [{"productId": "prod-1", "quantity": 1, "price": 5}]}


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    settings = {"payment-service": {"PAYMENT_SECONDS": 0}}
    environment = Environment("phase0", runtime=request.param, settings=settings).start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def change_data(env: Environment, service: str, script: str) -> None:
    """Run Python statements about the service's data folder, `folder`, where the service runs."""
    container = env.state()["services"][service]["replicas"][0]["container"]
    if container is None:
        volume = service.replace("-service", "-data")
        exec(script, {"folder": Path(env.state()["data"]) / "data" / volume})
        return
    client = connect()
    try:
        whole = f"from pathlib import Path\nfolder = Path('/data')\n{script}"
        code, output = client.containers.get(container).exec_run(["python", "-c", whole])
        assert code == 0, output
    finally:
        client.close()


def test_a_deleted_file_makes_orders_503_until_a_restart(env: Environment) -> None:
    url = env["order-service"].url
    assert httpx.post(f"{url}/orders", json=ORDER).status_code == 201
    change_data(env, "order-service", "(folder / 'order-service.db').unlink()")
    before = httpx.get(f"{env['payment-service'].url}/ledger").json()
    assert httpx.post(f"{url}/orders", json=ORDER).status_code == 503
    assert httpx.get(f"{env['payment-service'].url}/ledger").json() == before
    assert not env["order-service"].replicas[0].ready
    ready = httpx.get(f"{url}/ready")
    assert (ready.status_code, "was deleted" in ready.text) == (503, True)
    env.restart("order-service")
    assert httpx.post(f"{url}/orders", json=ORDER).status_code == 201


def test_a_start_on_a_damaged_file_shows_the_cause(env: Environment) -> None:
    script = "for f in folder.glob('user-service.db*'): f.write_bytes(b'garbage ' * 2000)"
    change_data(env, "user-service", script)
    assert not env["user-service"].replicas[0].ready
    with pytest.raises(NotReady) as raised:
        env.restart("user-service")
    last_answer, log = str(raised.value).split("From its log:")
    assert "file is not a database" in last_answer
    assert "file is not a database" in log
    assert "/ready" not in log.partition("Next:")[0]
    change_data(env, "user-service", "for f in folder.glob('user-service.db*'): f.unlink()")
    env.restart("user-service")
    assert env["user-service"].replicas[0].ready
