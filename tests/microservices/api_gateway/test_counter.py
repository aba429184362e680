from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.microservices.api_gateway.conftest import Front, Valkey
from tests.microservices.running import Running


def counts(replicas: list[Running], calls: int) -> list[int]:
    """Ask replicas in turn, many at a time; return their answers."""
    with ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(replicas[n % len(replicas)].http.get, "/api/count") for n in range(calls)
        ]
        return [each.result().raise_for_status().json()["count"] for each in asked]


def test_in_memory_each_replica_counts_for_itself(own_front: Front) -> None:
    replicas = [own_front(), own_front()]
    assert sorted(counts(replicas, 12)) == sorted([*range(1, 7)] * 2)
    answer = replicas[0].http.get("/api/count").json()
    assert answer["processId"] == replicas[0].process.pid
    assert answer["instance"] == f"api-gateway-{replicas[0].process.pid}"


def test_incr_loses_no_call(own_front: Front, valkey: Valkey) -> None:
    replicas = [own_front(COUNTER_STORE="incr", VALKEY_URL=valkey.url) for _ in range(2)]
    assert sorted(counts(replicas, 100)) == [*range(1, 101)]


def test_get_and_set_loses_calls_that_overlap(own_front: Front, valkey: Valkey) -> None:
    replicas = [own_front(COUNTER_STORE="getset", VALKEY_URL=valkey.url) for _ in range(2)]
    assert counts(replicas[:1], 1) == [1]
    assert max(counts(replicas, 200)) < 201


@pytest.mark.parametrize("store", ["incr", "getset"])
def test_without_valkey_the_answer_is_503(own_front: Front, valkey: Valkey, store: str) -> None:
    gateway = own_front(COUNTER_STORE=store, VALKEY_URL=valkey.url)
    valkey.kill()
    for _ in range(2):
        answer = gateway.http.get("/api/count")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
