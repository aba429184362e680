"""Phase 2's verdicts on waits against wrong systems, live: arrivals that are not as named, waits that block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase2 import utilisation, waits
from labs.experiments.phase2.utilisation import POISSON
from labs.load.open_loop import Stream
from labs.verdicts import Outcome
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(180)

NEEDED = ("nginx", "api-gateway", "user-service")


@pytest.fixture(scope="module")
def blocking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Start a gateway whose awaited waits block the event loop, which its blocking ones do anyway."""
    command = ["python", "-m", "tests.mutants.non_blocking_blocks"]
    path: Path = mutated(tmp_path_factory.mktemp("phase2"), {"api-gateway": {"command": command}})
    with Environment("phase2", runtime="process", only=NEEDED, description=path) as env:
        yield env


def test_poisson_arrivals_that_are_secretly_even_fail(
    blocking: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def secretly_even(*args: Any, **kwargs: Any) -> Stream:
        return Stream(*args, **(kwargs | {"arrivals": "even"}))

    monkeypatch.setattr(utilisation, "Stream", secretly_even)
    level = {"utilisations": (0.7,), "seconds": 1.5}
    prediction = utilisation.predict((0.7,), service=utilisation.service_time(blocking))
    service = float(prediction["service"].iloc[0])
    samples = until_conclusive(utilisation, prediction, blocking, service=service, **level)
    verdict = utilisation.judge(samples, prediction)
    assert verdict.outcome is Outcome.FAIL
    assert f"{POISSON} at 0.7: the arrivals are of another kind than their name" in verdict.reasons


def test_awaited_waits_that_block_need_copies_and_fail(blocking: Environment) -> None:
    prediction = waits.predict()
    verdict = waits.judge(until_conclusive(waits, prediction, blocking), prediction)
    assert verdict.outcome is Outcome.FAIL
    alike = "awaited waits were served as slowly as blocking ones"
    assert f"awaited, 1 replica: {alike}" in verdict.reasons
