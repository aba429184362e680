import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.microservices.api_gateway.conftest import Front, Valkey
from tests.microservices.running import Running


def ask(gateway: Running, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.http.get("/api/limited", headers=named)


def admitted_until(gateway: Running, end: float) -> list[float]:
    """Ask without pause until `end` on the clock; return when each was admitted."""
    found = []
    while time.monotonic() < end:
        if ask(gateway).status_code == 200:
            found.append(time.monotonic())
        time.sleep(0.01)
    return found


def most_in_some(times: list[float], seconds: float) -> int:
    """Return the largest number of times in any span a little shorter than that.

    We know when an answer came; the window counts from when its request did.
    """
    seconds -= 0.1
    return max(sum(start <= each < start + seconds for each in times) for start in times)


def test_five_are_admitted_and_the_sixth_is_told_when_to_come_back(front: Front) -> None:
    gateway = front()
    answers = [ask(gateway) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == [*"43210", "0"]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert refused.headers["ratelimit-policy"] == "5;w=10"


def test_a_forged_header_gains_nothing(front: Front) -> None:
    gateway = front()
    statuses = Counter(
        ask(gateway, X_Forwarded_For=f"10.0.0.{n}", X_Real_IP=f"10.0.1.{n}").status_code
        for n in range(10)
    )
    assert statuses == {200: 5, 429: 5}


def test_behind_our_proxy_each_client_has_its_own_limit(front: Front) -> None:
    gateway = front(TRUSTED_PROXY="localhost:80")
    for n in range(6):
        assert ask(gateway, X_Real_IP=f"10.0.1.{n}").status_code == 200
    statuses = Counter(
        ask(gateway, X_Real_IP="10.0.2.1", X_Forwarded_For=f"10.0.3.{n}").status_code
        for n in range(10)
    )
    assert statuses == {200: 5, 429: 5}
    nonsense = Counter(ask(gateway, X_Real_IP=f"not-{n}").status_code for n in range(10))
    assert nonsense == {200: 5, 429: 5}  # whatever is no address is the proxy itself


def test_another_peer_is_not_believed(front: Front) -> None:
    gateway = front(TRUSTED_PROXY="192.0.2.1")
    statuses = Counter(ask(gateway, X_Real_IP=f"10.0.1.{n}").status_code for n in range(10))
    assert statuses == {200: 5, 429: 5}


def test_a_moving_window_admits_five_in_any_span(front: Front) -> None:
    gateway = front(LIMIT_SECONDS=2)
    times = admitted_until(gateway, time.monotonic() + 6.5)
    assert most_in_some(times, 2) == 5
    assert len(times) >= 15  # and it does admit, span after span


def test_a_fixed_window_admits_nine_in_some_span(front: Front) -> None:
    gateway = front(LIMIT_WINDOW="fixed", LIMIT_SECONDS=2)
    times = patient(gateway, 2)
    assert most_in_some(times, 2) == 9


def test_a_moving_window_is_not_fooled_by_patience(front: Front) -> None:
    gateway = front(LIMIT_SECONDS=2)
    assert most_in_some(patient(gateway, 2), 2) == 5


def patient(gateway: Running, seconds: float) -> list[float]:
    """Open a window with one request, and ask for all the rest around its end."""
    assert ask(gateway).status_code == 200
    opened = time.monotonic()
    time.sleep(seconds - 0.4)
    return [opened, *admitted_until(gateway, opened + seconds + 0.5)]


def test_two_replicas_share_one_limit_in_valkey(front: Front, valkey: Valkey) -> None:
    shared = {"LIMIT_STORE": "valkey", "VALKEY_URL": valkey.url}
    replicas = [front(**shared) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(httpx.get, f"{replicas[n % 2].url}/api/limited") for n in range(30)]
        assert Counter(each.result().status_code for each in asked) == {200: 5, 429: 25}


def test_without_valkey_the_answer_is_503_and_everything_else_works(
    front: Front, valkey: Valkey
) -> None:
    gateway = front(LIMIT_STORE="valkey", VALKEY_URL=valkey.url)
    assert ask(gateway).status_code == 200
    valkey.kill()
    for _ in range(3):
        answer = ask(gateway)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "Valkey" in answer.json()["detail"]
    assert gateway.http.get("/ready").status_code == 503
    assert gateway.http.get("/api/count").status_code == 200
    valkey.start()
    deadline = time.monotonic() + 5
    while ask(gateway).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ask(gateway).status_code == 200
    assert gateway.http.get("/ready").status_code == 200
