"""Phase 2's verdicts on waits against wrong systems, live: arrivals that are not as named, waits that block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase2 import stale_upstream, utilisation, waits
from labs.experiments.phase2.stale_upstream import REFUSES, SILENT
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


class Reloading(Environment):
    """Scales as if nginx were always reloaded, whatever was asked for."""

    def scale(self, service: str, replicas: int, *, reload: bool = True) -> Any:
        return super().scale(service, replicas)


def test_a_stale_upstream_that_is_secretly_reloaded_fails() -> None:
    with Reloading("phase2", runtime="process", only=NEEDED) as env:
        prediction = stale_upstream.predict(runtime=env.runtime)
        samples = until_conclusive(stale_upstream, prediction, env, requests=10)
    verdict = stale_upstream.judge(samples, prediction)
    assert verdict.outcome is Outcome.FAIL
    current = "nginx tried no dead address: its list is not stale"
    assert verdict.reasons == (f"{REFUSES}: {current}", f"{SILENT}: {current}")


def test_awaited_waits_that_block_need_copies_and_fail(blocking: Environment) -> None:
    prediction = waits.predict()
    verdict = waits.judge(until_conclusive(waits, prediction, blocking), prediction)
    assert verdict.outcome is Outcome.FAIL
    alike = "awaited waits were served as slowly as blocking ones"
    assert f"awaited, 1 replica: {alike}" in verdict.reasons
