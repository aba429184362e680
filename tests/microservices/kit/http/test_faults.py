import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.microservices.conftest import Start
from tests.microservices.examples import AUTHORIZED
from tests.microservices.running import Running
from tests.wire import CLOSING, exchange, request


@pytest.fixture(autouse=True)
def _healed(user: Running) -> Iterator[None]:
    yield
    user.http.put("/faults", json={}, headers=AUTHORIZED).raise_for_status()


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "the-session-token"}]
)
def test_faults_need_the_token(user: Running, given: dict[str, str]) -> None:
    assert user.http.get("/faults", headers=given).status_code == 401
    assert user.http.put("/faults", json={"status": 503}, headers=given).status_code == 401
    assert user.http.get("/users").status_code == 200


def test_a_status_hits_business_and_spares_everything_else(user: Running) -> None:
    set_faults(user, {"status": 503})
    assert user.http.get("/users").status_code == 503
    for path in ("/health", "/ready", "/metrics", "/docs", "/openapi.json"):
        assert user.http.get(path).status_code == 200, path


def test_a_rate_hits_about_that_share(user: Running) -> None:
    set_faults(user, {"status": 500, "rate": 0.5})
    failed = sum(user.http.get("/users").status_code == 500 for _ in range(200))
    assert 60 <= failed <= 140  # 5.6 standard deviations


def test_a_fault_is_the_answer_to_a_long_body_too(user: Running) -> None:
    set_faults(user, {"status": 503})
    body = b'{"name":"Ada"}'.rjust(900_000)
    kept = request("POST", "/users", body)
    closed = request("POST", "/users", body, "Connection: close")
    for _ in range(5):
        fault, health = exchange(user.port, kept[:500], kept[500:], CLOSING)
        assert (fault.problem["status"], health.status) == (503, 200)
        (fault,) = exchange(user.port, closed[:500], closed[500:])
        assert fault.problem["status"] == 503


def test_seconds_delay_every_answer(user: Running) -> None:
    set_faults(user, {"seconds": 0.2})
    began = time.monotonic()
    assert user.http.get("/users").status_code == 200
    assert time.monotonic() - began >= 0.2


def test_a_database_taken_away_is_seen_by_requests_and_by_readiness(user: Running) -> None:
    set_faults(user, {"database": "away"})
    assert user.http.post("/users", json={"name": "Ada"}).status_code == 503
    unready = user.http.get("/ready")
    assert unready.status_code == 503
    assert "it was taken away through /faults" in unready.json()["detail"]
    assert user.http.get("/health").status_code == 200
    set_faults(user, {})
    assert user.http.get("/ready").status_code == 200
    assert user.http.post("/users", json={"name": "Ada"}).status_code == 201


def test_a_service_without_a_database_refuses_to_take_it_away(gateway: Running) -> None:
    refused = gateway.http.put("/faults", json={"database": "away"}, headers=AUTHORIZED)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "this service has no database"


def test_an_empty_body_heals(user: Running) -> None:
    set_faults(user, {"status": 503})
    set_faults(user, {})
    assert user.http.get("/users").status_code == 200
    found = user.http.get("/faults", headers=AUTHORIZED).json()
    assert found == {"seconds": 0, "status": None, "rate": 1, "database": None}


@pytest.mark.parametrize(
    "bad", [{"rate": 0.5}, {"status": 200}, {"seconds": -1}, {"status": 503, "rate": 2}, {"sec": 1}]
)
def test_a_fault_that_would_do_nothing_is_refused(user: Running, bad: dict[str, float]) -> None:
    assert user.http.put("/faults", json=bad, headers=AUTHORIZED).status_code == 422


@pytest.mark.parametrize(
    "words",
    [
        {"hold": {"order-created": ["*"]}},
        {"crash": {"at": "begun", "event": "OrderCreated"}},
        {"poison": {"order-created": ["a"]}},
        {"overdue": ["a"]},
    ],
)
def test_a_service_without_events_refuses_their_faults(user: Running, words: Any) -> None:
    refused = user.http.put("/faults", json=words, headers=AUTHORIZED)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "this service exchanges no events"


def test_a_service_with_events_reports_its_points(shared: dict[str, Running]) -> None:
    payment = shared["payment2"]
    unknown = {"hold": {"order-cancelled": ["*"]}}
    refused = payment.http.put("/faults", json=unknown, headers=AUTHORIZED)
    assert refused.status_code == 422
    assert "it consumes: order-created" in refused.json()["detail"]
    held = {"hold": {"order-created": ["a"], "relay": True}}
    set_faults(payment, held)
    assert payment.http.get("/faults", headers=AUTHORIZED).json() == {
        **{"seconds": 0, "status": None, "rate": 1, "database": None},
        **held,
        **{"crash": None, "poison": {}, "overdue": [], "passed": {}, "held": []},
    }
    set_faults(payment, {})
    assert payment.http.get("/faults", headers=AUTHORIZED).json()["hold"] == {}


def test_without_faults_on_there_is_nothing_to_switch(start: Start) -> None:
    plain = start("user-service")
    assert plain.http.put("/faults", json={"status": 503}, headers=AUTHORIZED).status_code == 404


def set_faults(running: Running, faults: dict[str, Any]) -> None:
    running.http.put("/faults", json=faults, headers=AUTHORIZED).raise_for_status()
