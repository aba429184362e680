import json
import time

import pytest

from tests.microservices.examples import new_order
from tests.microservices.running import Running


def test_the_callers_id_comes_back(order: Running) -> None:
    answer = order.http.get("/orders", headers={"X-Correlation-Id": "click-42"})
    assert answer.headers["x-correlation-id"] == "click-42"


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/orders/%00"])
def test_every_answer_carries_an_id_of_its_own(order: Running, path: str) -> None:
    ids = {order.http.get(path).headers["x-correlation-id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("bad", ["", "with space", "x" * 129, "é"])
def test_an_id_that_is_not_safe_to_log_is_replaced(order: Running, bad: str) -> None:
    answer = order.http.get("/health", headers={b"X-Correlation-Id": bad.encode()})
    assert answer.headers["x-correlation-id"] not in ("", bad)


def test_one_id_is_in_the_logs_of_both_services(order: Running, payment: Running) -> None:
    order.http.post("/orders", json=new_order(), headers={"X-Correlation-Id": "click-43"})
    assert paths_logged(order, "click-43") == ["/orders"]
    assert paths_logged(payment, "click-43") == ["/pay"]


def paths_logged(running: Running, correlation_id: str) -> list[str]:
    """Return the paths logged with an id; a line may follow its answer by a moment."""
    deadline = time.monotonic() + 5
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        lines = [json.loads(line) for line in running.log().splitlines()]
        found = [line["path"] for line in lines if line.get("correlationId") == correlation_id]
    return found
