"""The order of the tests: which run beside which, and that what measures runs alone."""

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from tests.order import CONTAINERS, COUNTED, UNITS_ALONE, InOrder, piece_of

MEASURED = [f"tests/mutants/test_phase1.py::test_{n}" for n in range(5)]
LABS = [f"tests/notebooks/test_labs.py::{CONTAINERS}[{n}]" for n in range(4)]


class Worker:
    """A worker of xdist that runs one test when it is asked to; the last one it has only when it shuts down."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.waiting: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def can_run(self) -> bool:
        return len(self.waiting) > (0 if self.shutting_down else 1)


def run(tests: list[str], workers: int, turns: list[int]) -> dict[str, list[str]]:
    """Run tests in the order that the scheduler gives them; return the tests of each worker, in its order.

    Before a measured test stands, after "beside", what the other workers still had to run.
    """
    config: Any = SimpleNamespace(
        getvalue=lambda _: ["popen"] * workers,
        option=SimpleNamespace(loadscopereorder=False),
    )
    nodes: list[Any] = [Worker(f"gw{n}") for n in range(workers)]
    scheduler = InOrder(config, Producer("order"))
    for node in nodes:
        scheduler.add_node(node)
    for node in nodes:
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    ran: dict[str, list[str]] = {node.gateway.id: [] for node in nodes}
    turn = 0
    while busy := [node for node in nodes if node.can_run]:
        node = busy[turns[turn % len(turns)] % len(busy)]
        index = node.waiting.pop(0)
        waiting = {tests[n] for other in nodes for n in other.waiting if other is not node}
        if tests[index] in MEASURED and waiting:
            ran[node.gateway.id].append(f"beside {sorted(waiting)}")
        ran[node.gateway.id].append(tests[index])
        scheduler.mark_test_complete(node, index)
        turn += 1
    return ran


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("turns", [[0], [1], [2, 0, 1], [0, 0, 0, 1, 2]])
def test_what_measures_comes_when_the_other_workers_end(workers: int, turns: list[int]) -> None:
    folders = {"a": "environment", "b": "environment/kafka_tools", "c": "labs/cli"}
    live = [f"tests/{folders[file]}/test_{file}.py::test_{n}" for file in "abc" for n in range(6)]
    units = [f"tests/labs/test_{file}.py::test_{n}" for file in "abcdefg" for n in range(6)]
    tests = [*LABS, *live, *units, *MEASURED]
    ran = run(tests, workers, turns)
    everything = [test for its in ran.values() for test in its]
    assert sorted(everything) == sorted(tests), "each test once, and nothing beside a measured one"
    (measures,) = [its for its in ran.values() if MEASURED[0] in its]
    assert measures[-len(MEASURED) :] == MEASURED
    assert set(ran.get(UNITS_ALONE, [])) <= set(units)


@pytest.mark.parametrize("tests", [MEASURED, [*LABS, *MEASURED], LABS])
def test_a_worker_without_units_ends(tests: list[str]) -> None:
    ran = run(tests, 3, [0, 1, 2])
    assert sorted(test for its in ran.values() for test in its) == sorted(tests)
    assert ran[UNITS_ALONE] == []


def test_a_piece_is_a_file_the_labs_on_containers_or_what_measures() -> None:
    assert piece_of(LABS[0]) == "containers"
    assert piece_of(MEASURED[0]) == "measured"
    assert piece_of("tests/notebooks/test_labs.py::test_every_cell[phase1]") == "measured"
    assert piece_of(f"{COUNTED[0]}::test_a_wrong_service_fails[acks_0]") == COUNTED[0]
    assert piece_of("tests/labs/test_a.py::test_b") == "tests/labs/test_a.py"
