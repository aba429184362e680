"""The order of the tests: which run beside which, and that what measures runs alone."""

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from tests.conftest import CONTAINERS, COUNTED, InOrder, piece_of

MEASURED = [f"tests/mutants/test_phase1.py::test_{n}" for n in range(5)]
LABS = [f"tests/notebooks/test_labs.py::{CONTAINERS}[{n}]" for n in range(4)]


class Worker:
    """A worker of xdist that runs one test when it is asked to."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.waiting: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def run(tests: list[str], workers: int, turns: list[int]) -> list[set[str]]:
    """Run tests in the order that the scheduler gives them; return what ran or waited beside each measured one."""
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
    beside, done = [], 0
    while busy := [node for node in nodes if node.waiting]:
        node = busy[turns[done % len(turns)] % len(busy)]
        index = node.waiting.pop(0)
        if tests[index] in MEASURED:
            others = [other for other in nodes if other is not node]
            beside.append({tests[number] for other in others for number in other.waiting})
        scheduler.mark_test_complete(node, index)
        done += 1
    assert done == len(tests)
    return beside


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("turns", [[0], [1], [2, 0, 1], [0, 0, 0, 1, 2]])
def test_what_measures_comes_when_the_other_workers_end(workers: int, turns: list[int]) -> None:
    files = [f"tests/labs/test_{file}.py::test_{n}" for file in "abcdefg" for n in range(6)]
    beside = run([*LABS, *files, *MEASURED], workers, turns)
    assert len(beside) == len(MEASURED)
    assert all(len(others) <= 2 * (workers - 1) for others in beside), "the ends of files, at most"
    assert beside[-1] == set() or workers > 1


def test_a_piece_is_a_file_the_labs_on_containers_or_what_measures() -> None:
    assert piece_of(LABS[0]) == "containers"
    assert piece_of(MEASURED[0]) == "measured"
    assert piece_of("tests/notebooks/test_labs.py::test_every_cell[phase1]") == "measured"
    assert piece_of(f"{COUNTED[0]}::test_a_wrong_service_fails[acks_0]") == COUNTED[0]
    assert piece_of("tests/labs/test_a.py::test_b") == "tests/labs/test_a.py"
