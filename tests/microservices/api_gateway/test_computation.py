import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.microservices.api_gateway.conftest import Front
from tests.microservices.running import Running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running("api-gateway", data=tmp_path_factory.mktemp("gateway"))
    yield running.wait_ready()
    running.close()


def get(gateway: Running, path: str) -> httpx.Response:
    return httpx.get(f"{gateway.url}{path}", timeout=30, trust_env=False)


def together(gateway: Running, *paths: str) -> float:
    """Ask all at the same time; return the seconds until the last answer."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(paths)) as pool:
        for answer in pool.map(lambda path: get(gateway, path), paths):
            answer.raise_for_status()
    return time.monotonic() - began


def test_blocking_waits_add_up_and_awaited_ones_do_not(gateway: Running) -> None:
    assert 1.2 <= together(gateway, *["/api/blocking?seconds=0.4"] * 3) < 1.9
    assert 0.4 <= together(gateway, *["/api/non-blocking?seconds=0.4"] * 3) < 0.9


@pytest.mark.parametrize("path", ["blocking", "non-blocking", "cpu-bound"])
def test_without_seconds_the_answer_comes_at_once(gateway: Running, path: str) -> None:
    assert get(gateway, f"/api/{path}").json()["seconds"] == 0


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
        answer = get(gateway, f"/api/cpu-bound?seconds=0.5&where={where}").json()
        assert answer["where"] == where
        assert 0.5 <= answer["cpuSeconds"] < 0.6
        assert cpu_seconds(gateway) - before > 0.45  # the kernel counts in hundredths


def cpu_seconds(gateway: Running) -> float:
    family = [psutil.Process(gateway.process.pid)]
    family += family[0].children(recursive=True)
    return sum(sum(member.cpu_times()[:2]) for member in family)


def longest_wait(gateway: Running, path: str) -> float:
    """While `path` is being answered, ask for /health again and again; return the longest wait."""
    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(get, gateway, path)
        waits = []
        while not computing.done():
            began = time.monotonic()
            get(gateway, "/health")
            waits.append(time.monotonic() - began)
    assert computing.result().status_code == 200
    return max(waits)


def test_on_the_loop_everybody_waits_and_elsewhere_nobody_does(gateway: Running) -> None:
    get(gateway, "/api/cpu-bound?where=process")  # the pool starts at its first use
    assert longest_wait(gateway, "/api/cpu-bound?seconds=1.5") > 1
    assert longest_wait(gateway, "/api/cpu-bound?seconds=1.5&where=thread") < 0.7
    assert longest_wait(gateway, "/api/cpu-bound?seconds=1.5&where=process") < 0.7


def test_a_blocked_loop_shows_as_one_spike_and_a_line_in_the_log(gateway: Running) -> None:
    began = time.time()
    get(gateway, "/api/blocking?seconds=0.8")
    time.sleep(0.3)
    found = get(gateway, "/api/metrics").json()
    assert found["processId"] == gateway.process.pid
    assert found["memory"] > 20e6
    assert found["uptime"] > 0
    assert found["requests"] >= 1
    late = [each for each in found["eventLoopDelay"] if each["time"] > began]
    assert 0.6 < max(each["seconds"] for each in late) < 1.2
    assert '"message": "Event loop delayed by 0.' in gateway.log()
    assert "event_loop_delay_seconds_count" in get(gateway, "/metrics").text


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_processes_of_the_pool_end_with_the_service(front: Front, end: str) -> None:
    gateway = front()
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(get, gateway, f"/api/cpu-bound?seconds=50&where={where}")
            for where in ("process", "thread")
        ]
        leader = psutil.Process(gateway.process.pid)
        deadline = time.monotonic() + 10
        while not busy(leader) and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = leader.children(recursive=True)
        assert busy(leader)
        getattr(gateway, end)()
        code = gateway.process.wait(10)
        assert code == (0 if end == "terminate" else -9)
        _, alive = psutil.wait_procs(workers, timeout=3)
        assert not alive
        for each in asked:
            assert each.exception() or not each.result().is_success


def busy(leader: psutil.Process) -> bool:
    """Tell whether a process of the pool computes already."""
    return any(sum(child.cpu_times()[:2]) > 0.3 for child in leader.children(recursive=True))


def test_a_pool_whose_process_was_killed_is_made_anew(front: Front, tmp_path: Path) -> None:
    gateway = front()
    assert get(gateway, "/api/cpu-bound?where=process").status_code == 200
    for child in psutil.Process(gateway.process.pid).children():
        child.kill()
    statuses = [get(gateway, "/api/cpu-bound?where=process").status_code for _ in range(2)]
    assert statuses[0] in (200, 503)
    assert statuses[1] == 200
