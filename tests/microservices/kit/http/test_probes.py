import asyncio
from pathlib import Path

import httpx
import pytest

from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.http import probes
from microservices.kit.http.app import create_app
from microservices.kit.http.probes import unready
from microservices.kit.settings import Settings
from tests.microservices.running import Running


@pytest.mark.parametrize(
    ("name", "service", "version"),
    [
        ("user", "user-service", "1"),
        ("user2", "user-service", "2"),
        ("order", "order-service", "1"),
        ("payment", "payment-service", "1"),
    ],
)
def test_health_says_who_answers(
    shared: dict[str, Running], name: str, service: str, version: str
) -> None:
    running = shared[name]
    assert running.http.get("/health").json() == {
        "status": "ok",
        "service": service,
        "version": version,
        "instance": f"{service}-{running.process.pid}",
    }


def test_metrics_count_by_route_and_not_by_path(order: Running) -> None:
    before = count(order, 'route="/orders/{id}",status="404"')
    order.http.get("/orders/nobody")
    order.http.get("/orders/nobody-else")
    assert count(order, 'route="/orders/{id}",status="404"') == before + 2
    assert "nobody" not in order.http.get("/metrics").text


def count(running: Running, labels: str) -> float:
    lines = running.http.get("/metrics").text.splitlines()
    wanted = f'http_requests_total{{method="GET",{labels}}} '
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


def test_docs_load_nothing_from_another_host(order: Running) -> None:
    page = order.http.get("/docs").text
    assert 'src="/static-offline-docs/swagger-ui-bundle.js"' in page
    assert "//" not in page.replace("// `Swagger", "")
    script = order.http.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


def test_everything_listens_on_loopback_only(order: Running) -> None:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f"{order.port:04X}"
    listening = [row[1] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A"]
    assert listening == [f"0100007F:{port}"]


def test_a_database_that_is_away_is_reported_before_what_stalls_because_of_it(
    tmp_path: Path,
) -> None:
    async def stalled() -> str:
        return "waiting for 6 s: events cannot be sent"

    settings = Settings(port=1, data_dir=tmp_path)
    never_started = open_database("order-service", settings)
    app = create_app(
        service="order-service",
        version="2",
        settings=settings,
        needs=[stalled],
        database=never_started,
    )

    async def look() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://order") as client:
            return await client.get("/ready")

    unready = asyncio.run(look())
    assert unready.status_code == 503
    assert "the database of this service" in unready.json()["detail"]


async def usable() -> None:
    return None


def test_a_part_that_never_answers_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "NEED_SECONDS", 0.05)

    async def silent() -> None:
        await asyncio.Event().wait()

    reason = asyncio.run(unready(Drain(), [usable, silent]))
    assert reason == "a part of this service did not answer within 0.05 s"


def test_a_part_that_raises_is_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def raising() -> None:
        raise KeyError("secret")

    reason = asyncio.run(unready(Drain(), [usable, raising]))
    assert reason == "a part of this service cannot be checked: KeyError"
    assert "secret" in caplog.text


def test_a_part_is_not_asked_while_the_service_drains() -> None:
    drain = Drain()
    assert asyncio.run(unready(drain, [usable])) is None
    drain.start()
    assert "draining" in (asyncio.run(unready(drain, [])) or "")
