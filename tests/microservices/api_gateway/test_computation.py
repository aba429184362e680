import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest

from environment.waiting import wait_until
from tests.microservices.api_gateway.conftest import Front
from tests.microservices.kit.test_drain import wait_for_in_flight
from tests.microservices.running import Running


@pytest.fixture(scope="module")
def gateway(front: Front) -> Running:
    return front()


def get(gateway: Running, path: str) -> httpx.Response:
    return gateway.http.get(path, timeout=30)


def together(gateway: Running, *paths: str) -> float:
    """Ask all at the same time; return the seconds until the last answer."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(paths)) as pool:
        for answer in pool.map(lambda path: get(gateway, path), paths):
            answer.raise_for_status()
    return time.monotonic() - began


def test_blocking_waits_add_up_and_awaited_ones_do_not(gateway: Running) -> None:
    assert together(gateway, *["/api/blocking?seconds=0.3"] * 4) >= 4 * 0.3
    assert 0.5 <= together(gateway, *["/api/non-blocking?seconds=0.5"] * 10) < 10 * 0.5 / 2


def test_without_seconds_each_takes_its_documented_time(gateway: Running) -> None:
    blocking, other = get(gateway, "/api/blocking"), get(gateway, "/api/non-blocking")
    assert blocking.json()["seconds"] == 2
    assert blocking.elapsed.total_seconds() >= 2
    assert other.json()["seconds"] == 0
    computed = get(gateway, "/api/cpu-bound").json()
    assert (computed["seconds"], computed["where"]) == (3, "loop")
    assert computed["cpuSeconds"] >= 3


@pytest.mark.parametrize("path", ["blocking", "non-blocking", "cpu-bound"])
@pytest.mark.parametrize("seconds", ["-1", "61", "nan", "inf", "1e999", "x", ""])
def test_seconds_have_bounds(gateway: Running, path: str, seconds: str) -> None:
    answer = get(gateway, f"/api/{path}?seconds={seconds}")
    assert answer.status_code == 422
    assert "seconds" in answer.json()["detail"]


def test_it_computes_in_three_places_and_nowhere_else(gateway: Running) -> None:
    assert get(gateway, "/api/cpu-bound?where=moon").status_code == 422
    for where in ("loop", "thread", "process"):
        before = cpu_seconds(gateway)
        answer = get(gateway, f"/api/cpu-bound?seconds=0.4&where={where}").json()
        assert answer["where"] == where
        assert 0.4 <= answer["cpuSeconds"] < 2 * 0.4
        assert cpu_seconds(gateway) - before > 0.9 * 0.4  # the kernel counts in hundredths


def cpu_seconds(gateway: Running) -> float:
    family = [psutil.Process(gateway.process.pid)]
    family += family[0].children(recursive=True)
    return sum(sum(member.cpu_times()[:2]) for member in family)


def test_on_the_loop_every_request_waits(gateway: Running) -> None:
    waits = []
    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(get, gateway, "/api/cpu-bound?seconds=1.2")
        while not computing.done():
            began = time.monotonic()
            get(gateway, "/health")
            waits.append(time.monotonic() - began)
    assert computing.result().status_code == 200
    assert max(waits) > 1.2 / 2


@pytest.mark.parametrize("where", ["thread", "process"])
def test_elsewhere_no_request_waits(gateway: Running, where: str) -> None:
    get(gateway, f"/api/cpu-bound?seconds=0&where={where}")  # the pool starts at its first use
    answered = 0
    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(get, gateway, f"/api/cpu-bound?seconds=1&where={where}")
        wait_for_in_flight(gateway)
        while not computing.done():
            get(gateway, "/health")
            answered += 1
    assert computing.result().status_code == 200
    assert answered >= 5  # on the loop: none


def late(metrics: dict[str, Any], since: float) -> float:
    """Return the longest delay of the event loop after that time."""
    return max(
        (each["seconds"] for each in metrics["eventLoopDelay"] if each["time"] > since), default=0
    )


def test_a_blocked_loop_shows_in_metrics_and_log(gateway: Running) -> None:
    began = time.time()
    get(gateway, "/api/blocking?seconds=0.8")
    blocked = time.time() - began
    # A timer of the loop, a tenth of a second long, ran when the blockade began.
    found: Any = wait_until(
        lambda: (
            metrics if late(metrics := get(gateway, "/api/metrics").json(), began) > 0.65 else None
        ),
        timeout=3,
    )
    assert found
    assert late(found, began) < 2 * blocked
    assert found["processId"] == gateway.process.pid
    assert found["memory"] > 20e6
    assert found["uptime"] > 0
    assert found["requests"] >= 1
    logged = re.findall(r'"message":"Event loop delayed by ([\d.]+) s"', gateway.log())
    assert float(logged[-1]) == pytest.approx(late(found, began), abs=0.001)
    assert "event_loop_delay_seconds_count" in get(gateway, "/metrics").text


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_processes_of_the_pool_end_with_the_service(own_front: Front, end: str) -> None:
    gateway = own_front(constants={"microservices.kit.drain.LISTEN_SECONDS": 0.5})
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(get, gateway, f"/api/cpu-bound?seconds=50&where={where}")
            for where in ("process", "thread")
        ]
        leader = psutil.Process(gateway.process.pid)
        assert wait_until(lambda: busy(leader), timeout=20, every=0.05)
        workers = leader.children(recursive=True)
        getattr(gateway, end)()
        code = gateway.process.wait(20)  # the computations would take longer
        assert code == (0 if end == "terminate" else -9)
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive
        for each in asked:
            assert each.exception() or not each.result().is_success


def busy(leader: psutil.Process) -> bool:
    """Return whether a process of the pool computes already."""
    return any(sum(child.cpu_times()[:2]) > 0.3 for child in leader.children(recursive=True))


def test_a_pool_whose_process_was_killed_is_made_anew(own_front: Front) -> None:
    gateway = own_front()
    assert get(gateway, "/api/cpu-bound?seconds=0&where=process").status_code == 200
    for child in psutil.Process(gateway.process.pid).children():
        child.kill()
    path = "/api/cpu-bound?seconds=0&where=process"
    statuses = [get(gateway, path).status_code for _ in range(2)]
    assert statuses[0] in (200, 503)
    assert statuses[1] == 200
