import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from microservices.api_gateway.settings import GatewaySettings
from microservices.kit.settings import BadSetting, read_settings
from tests.microservices.api_gateway.conftest import Front, Script
from tests.microservices.api_gateway.scripted import answering
from tests.microservices.examples import AUTHORIZED
from tests.microservices.kit.test_drain import status_of_ready, wait_for_in_flight
from tests.microservices.running import Running, clean_environment


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer guess",
        "demo-token",
        "Basic demo-token",
        "Bearer demo-token2",
        "Bearer \xff",
    ],
)
def test_secure_refuses_requests_without_the_token(gateway: Running, given: str) -> None:
    refused = gateway.http.get("/api/secure", headers={"Authorization": given.encode("latin-1")})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert gateway.http.get("/api/secure").status_code == 401


def test_secure_admits_the_holder_of_the_token(gateway: Running) -> None:
    for given in ("Bearer demo-token", "bearer demo-token"):
        headers = {"Authorization": given}
        assert gateway.http.get("/api/secure", headers=headers).status_code == 200


def test_the_sessions_token_is_not_the_gateways(gateway: Running) -> None:
    assert gateway.http.get("/api/secure", headers=AUTHORIZED).status_code == 401


def test_faults_hit_routed_paths_and_spare_probes(gateway: Running) -> None:
    gateway.http.put("/faults", json={"status": 503}, headers=AUTHORIZED).raise_for_status()
    try:
        for path in ("/api/users", "/api/dashboard", "/api/count"):
            assert gateway.http.get(path).status_code == 503
        assert gateway.http.get("/ready").status_code == 200
    finally:
        gateway.http.put("/faults", json={}, headers=AUTHORIZED).raise_for_status()
    assert gateway.http.get("/api/users").status_code == 200


def test_sigterm_finishes_what_was_begun(own_front: Front, script: Script) -> None:
    signalled = threading.Event()

    def after_the_signal(_: bytes, connection: object) -> None:
        signalled.wait(10)
        connection.sendall(answering(b"{}"))  # type: ignore[attr-defined]

    gateway = own_front(script(after_the_signal).url)
    with ThreadPoolExecutor() as pool:
        paying = pool.submit(httpx.post, f"{gateway.url}/api/pay", json={}, timeout=15)
        wait_for_in_flight(gateway)
        gateway.terminate()
        assert status_of_ready(gateway, unlike=200) == 503
        signalled.set()
        answer = paying.result()
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert gateway.process.wait(10) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMIT_REQUESTS", "0"),
        ("LIMIT_WINDOW", "sliding"),
        ("LIMIT_STORE", "valkey"),
        ("COUNTER_STORE", "incr"),
        ("BREAKER_OPEN_SECONDS", "inf"),
        ("UPSTREAM_TIMEOUT_SECONDS", "0"),
        ("RETRY_TRIES", "0"),
        ("USER_SERVICE_URL", "https://users"),
        ("TRUSTED_PROXY", "10.0.0.0/8"),
    ],
)
def test_an_unusable_setting_ends_the_service_with_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr("os.environ", {name: value})
    with pytest.raises(BadSetting) as caught:
        read_settings(GatewaySettings, port=3000, instance="api-gateway-1")
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_gateway_that_was_set_wrongly_ends_with_that_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "microservices.api_gateway"],
        env=clean_environment(LIMIT_STORE="valkey"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("api-gateway: ")
    assert "LIMIT_STORE" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
