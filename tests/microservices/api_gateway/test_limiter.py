import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx

from environment.waiting import wait_until
from tests.microservices.api_gateway.conftest import Front, Valkey
from tests.microservices.running import Running

LIMIT = r'"per-client";r=(?P<remaining>\d+);t=(?P<seconds>\d+)'
"""A `RateLimit` field: one item, with the parameters that the draft names."""


def ask(gateway: Running, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.http.get("/api/limited", headers=named)


class Admitted(NamedTuple):
    """Between these two times, on the clock that the limiter uses too, a request was admitted."""

    asked: float
    answered: float


def admitted_until(gateway: Running, end: float) -> list[Admitted]:
    """Ask without pause until `end` on the clock; return what was admitted."""
    found = []
    while (asked := time.time()) < end:
        if ask(gateway).status_code == 200:
            found.append(Admitted(asked, time.time()))
        time.sleep(0.01)
    return found


def most_in_some(admitted: list[Admitted], seconds: float) -> int:
    """Return the largest number that was admitted within such a span beyond doubt."""
    return max(
        sum(
            first.asked <= each.asked and each.answered < first.asked + seconds for each in admitted
        )
        for first in admitted
    )


def test_five_are_admitted_and_the_sixth_gets_retry_after(own_front: Front) -> None:
    gateway = own_front()
    answers = [ask(gateway) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    limits = [re.fullmatch(LIMIT, answer.headers["ratelimit"]) for answer in answers]
    assert [limit and limit["remaining"] for limit in limits] == [*"43210", "0"]
    assert all(limit and 1 <= int(limit["seconds"]) <= 10 for limit in limits)
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"per-client";q=5;w=10'}
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert limits[-1]
    assert refused.headers["retry-after"] == limits[-1]["seconds"]
    assert not any(name.startswith("ratelimit-l") for name in refused.headers)


def test_a_forged_header_gains_nothing(own_front: Front) -> None:
    gateway = own_front()
    statuses = Counter(
        ask(gateway, X_Forwarded_For=f"10.0.0.{n}", X_Real_IP=f"10.0.1.{n}").status_code
        for n in range(10)
    )
    assert statuses == {200: 5, 429: 5}


def test_behind_our_proxy_each_client_has_its_own_limit(own_front: Front) -> None:
    gateway = own_front(TRUSTED_PROXY="localhost:80")
    for n in range(6):
        assert ask(gateway, X_Real_IP=f"10.0.1.{n}").status_code == 200
    statuses = Counter(
        ask(gateway, X_Real_IP="10.0.2.1", X_Forwarded_For=f"10.0.3.{n}").status_code
        for n in range(10)
    )
    assert statuses == {200: 5, 429: 5}
    nonsense = Counter(ask(gateway, X_Real_IP=f"not-{n}").status_code for n in range(10))
    assert nonsense == {200: 5, 429: 5}  # whatever is no address is the proxy itself


def test_another_peer_is_not_believed(own_front: Front) -> None:
    gateway = own_front(TRUSTED_PROXY="192.0.2.1")
    statuses = Counter(ask(gateway, X_Real_IP=f"10.0.1.{n}").status_code for n in range(10))
    assert statuses == {200: 5, 429: 5}


def test_a_moving_window_admits_five_in_any_span(own_front: Front) -> None:
    gateway = own_front(LIMIT_SECONDS=1)
    admitted: list[Admitted] = []
    deadline = time.time() + 20
    while len(admitted) < 15 and time.time() < deadline:  # it does admit, span after span
        admitted += admitted_until(gateway, time.time() + 0.5)
    assert len(admitted) >= 15
    assert most_in_some(admitted, 1) <= 5


def test_a_fixed_window_admits_nine_in_some_span(own_front: Front) -> None:
    gateway = own_front(LIMIT_WINDOW="fixed", LIMIT_SECONDS=2)
    assert most_in_some(patient(gateway, 2), 2) == 9


def test_a_moving_window_is_not_fooled_by_patience(own_front: Front) -> None:
    gateway = own_front(LIMIT_SECONDS=2)
    assert most_in_some(patient(gateway, 2), 2) == 5


def patient(gateway: Running, seconds: float) -> list[Admitted]:
    """Open a window with one request, and ask for all the rest in its second half and after it.

    So a second's delay on the way changes nothing for a window of two.
    """
    opened = time.time()
    assert ask(gateway).status_code == 200
    first = Admitted(opened, time.time())
    time.sleep(seconds / 2)
    return [first, *admitted_until(gateway, first.answered + 1.4 * seconds)]


def test_two_replicas_share_one_limit_in_valkey(own_front: Front, valkey: Valkey) -> None:
    shared = {"LIMIT_STORE": "valkey", "VALKEY_URL": valkey.url}
    replicas = [own_front(**shared) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, replicas[n % 2]) for n in range(30)]
        assert Counter(each.result().status_code for each in asked) == {200: 5, 429: 25}


def test_without_valkey_the_answer_is_503_and_everything_else_works(
    own_front: Front, valkey: Valkey
) -> None:
    gateway = own_front(LIMIT_STORE="valkey", VALKEY_URL=valkey.url)
    assert ask(gateway).status_code == 200
    valkey.kill()
    for _ in range(3):
        answer = ask(gateway)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "Valkey" in answer.json()["detail"]
    assert gateway.http.get("/ready").status_code == 503
    assert gateway.http.get("/api/count").status_code == 200
    valkey.start()
    assert wait_until(lambda: ask(gateway).status_code == 200, timeout=5)
    assert gateway.http.get("/ready").status_code == 200
