"""The order of the tests: which of them run beside which, and that what measures has the machine to itself.

With several workers (`-n 2 --dist loadfile`) the labs on containers come first, on one worker, while the others begin
with everything else, file by file. A third worker (`-n 3`, as the fast tier has) runs what starts no system: it uses
the time in which the systems of the other two wait. What measures comes last, on the worker that is left when the
others have ended.
"""

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

CONTAINERS = "test_every_lab_runs_headless_on_containers"
"""A verdict there may be inconclusive, so these labs may run beside other tests."""

MEASURED = ("tests/mutants/", "tests/notebooks/")
"""Tests whose verdicts must fail or pass, in their order: they have the machine to themselves."""

COUNTED = (
    "tests/mutants/test_phase4.py",
    "tests/mutants/test_phase5.py",
    "tests/notebooks/test_answers_phase1.py",
    "tests/notebooks/test_answers_phase4.py",
    "tests/notebooks/test_answers_phase5.py",
    "tests/notebooks/test_hygiene.py",
)
"""Files of these that count what is lost or repeated, or waits of seconds: other tests beside them change nothing."""

UNITS = ("tests/labs/", "tests/microservices/", "tests/scripts/")
"""Folders whose tests start no system: at most a service or two."""

SYSTEMS = "tests/labs/cli/"
"""The folder in `UNITS` whose tests do."""

UNITS_ALONE = "gw2"
"""The worker that runs these only."""


def piece_of(nodeid: str) -> str:
    """Return the piece of work that a test belongs to: `containers`, `measured`, or its own file."""
    if CONTAINERS in nodeid:
        return "containers"
    file = nodeid.partition("::")[0]
    return "measured" if file.startswith(MEASURED) and file not in COUNTED else file


def rank(item: pytest.Item) -> int:
    """Return 0 for what comes first, 3 for what comes last; the longest files come before the short ones."""
    piece = piece_of(item.nodeid)
    return {"containers": 0, "measured": 3}.get(piece, 1 if piece in COUNTED else 2)


class InOrder(LoadFileScheduling):
    """Hands out pieces of work, each to one worker, in the order of the tests."""

    def schedule(self) -> None:
        """Begin; if there are more workers than pieces, the one for units ends first."""
        for node in [node for node in self.nodes if _runs_units_alone(node)]:
            self.assigned_work[node] = self.assigned_work.pop(node)
        super().schedule()

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Note a test's end: a worker that waits to measure begins when the last other one has ended."""
        super().mark_test_complete(node, item_index, duration)
        if node.shutting_down or _runs_units_alone(node):
            for other in self.nodes:
                if other is not node:
                    self._reschedule(other)

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        pieces = self._pieces_for(node)
        if pieces and not (pieces == ["measured"] and self._busy_beside(node)):
            self.workqueue.move_to_end(pieces[0], last=False)
            super()._assign_work_unit(node)

    def _pieces_for(self, node: WorkerController) -> list[str]:
        """Return the pieces that a worker may have, the next one first."""
        units = [piece for piece in self.workqueue if _holds_units(piece)]
        if _runs_units_alone(node):
            return units
        others = [piece for piece in self.workqueue if piece not in units and piece != "measured"]
        return [*others, *units] or list(self.workqueue)

    def _reschedule(self, node: WorkerController) -> None:
        """End a worker that has nothing to do, or only to measure while one that could measure is busy."""
        if node.shutting_down or self._pending_of(self.assigned_work[node]) > 2:  # as the base
            return
        pieces = self._pieces_for(node)
        could = [
            other
            for other in self._busy_beside(node)
            if not other.shutting_down and not _runs_units_alone(other)
        ]
        if not pieces or (pieces == ["measured"] and could):
            node.shutdown()
        else:
            super()._reschedule(node)

    def _busy_beside(self, node: WorkerController) -> list[WorkerController]:
        """Return the other workers that have tests to run."""
        return [
            other
            for other, work in self.assigned_work.items()
            if other is not node and self._pending_of(work)
        ]


def _holds_units(piece: str) -> bool:
    return piece.startswith(UNITS) and not piece.startswith(SYSTEMS)


def _runs_units_alone(node: WorkerController) -> bool:
    return str(node.gateway.id) == UNITS_ALONE
