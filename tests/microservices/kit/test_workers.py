"""Several processes behind one port live and die together."""

import psutil

from tests.microservices.conftest import Start
from tests.microservices.running import Running


def workers_samples(service: Running) -> list[psutil.Process]:
    """The processes that serve; multiprocessing's resource tracker does not."""
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=5)[1]


def test_workers_share_the_port_and_the_data(start: Start) -> None:
    users = start("user-service", WORKERS=2)
    created = users.http.post("/users", json={"name": "Grace Hopper"}).json()
    assert len(workers_samples(users)) == 2
    listed = {
        user["id"]
        for _ in range(8)
        for user in users.http.get("/users", headers={"Connection": "close"}).json()
    }
    assert created["id"] in listed


def test_sigterm_ends_every_worker_with_exit_code_0(start: Start) -> None:
    users = start("user-service", WORKERS=2)
    serving = workers_samples(users)
    users.terminate()
    assert users.process.wait(5) == 0
    assert gone(serving)


def test_workers_die_with_their_replica(start: Start) -> None:
    users = start("user-service", WORKERS=2)
    serving = workers_samples(users)
    users.kill()
    assert gone(serving)


def test_a_replica_dies_with_any_of_its_workers(start: Start) -> None:
    users = start("user-service", WORKERS=2)
    serving = workers_samples(users)
    serving[0].kill()
    assert users.process.wait(5) == 1
    assert gone(serving)
