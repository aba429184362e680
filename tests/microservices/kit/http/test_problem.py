import pytest

from microservices.kit.http.problem import problem_response
from tests.microservices.running import Running


def test_an_unknown_path_is_a_problem(order: Running) -> None:
    answer = order.http.get("/ordres")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "/ordres" in answer.json()["detail"]


def test_an_unknown_method_is_a_problem_that_lists_others(order: Running) -> None:
    answer = order.http.delete("/orders")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.json()["detail"] == "/orders answers GET, HEAD, POST, not DELETE"


@pytest.mark.parametrize("path", ["/health", "/metrics", "/docs"])
def test_a_method_a_probe_does_not_answer_is_a_problem(order: Running, path: str) -> None:
    answer = order.http.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_problem_can_quote_what_utf8_cannot_encode() -> None:
    assert b"\\ud800" in problem_response(422, "no user \ud800").body


def test_a_status_without_a_name_still_makes_a_problem() -> None:
    assert problem_response(599, "injected").status_code == 599
