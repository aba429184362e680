"""Phase 2's verdicts about computations against wrong gateways, live: each mutant must be seen to fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environment import Environment
from environment.compose import COMPOSE_FILE
from labs.experiment import until_conclusive
from labs.experiments.phase2 import cpu_blocking, offloading
from labs.machine import cores
from labs.verdicts import Outcome, Verdict
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(180)

NEEDED = ("nginx", "api-gateway", "user-service")
COUNTS, SECONDS, UNLOADED = (0, 1, 2), 0.6, 0.005


@contextmanager
def gateway(description: Path = COMPOSE_FILE) -> Iterator[Environment]:
    with Environment("phase2", runtime="process", only=NEEDED, description=description) as env:
        yield env


def mutant(folder: Path, module: str) -> Path:
    command = ["python", "-m", f"tests.mutants.{module}"]
    return mutated(folder, {"api-gateway": {"command": command}})


def judged_offloading(env: Environment) -> Verdict:
    """As the lab's own cells do it."""
    prediction = offloading.predict(COUNTS[1:], seconds=SECONDS, unloaded=UNLOADED)
    samples = until_conclusive(
        offloading, prediction, env, computations=COUNTS[1:], seconds=SECONDS
    )
    return offloading.judge(samples, prediction)


def judged_cpu_blocking(env: Environment) -> Verdict:
    """As the lab's own cells do it."""
    prediction = cpu_blocking.predict(
        COUNTS, replicas=[1], seconds=SECONDS, unloaded=UNLOADED, cores=cores()
    )
    samples = until_conclusive(
        cpu_blocking, prediction, env, computations=COUNTS, replicas=[1], seconds=SECONDS, rounds=1
    )
    return cpu_blocking.judge(samples, prediction)


def test_a_thread_that_releases_nothing_does_not_free_the_loop(tmp_path: Path) -> None:
    with gateway(mutant(tmp_path, "thread_that_releases_nothing")) as env:
        verdict = judged_offloading(env)
    assert verdict.outcome is Outcome.FAIL
    waited = "where=thread: bystanders waited until they were done"
    assert verdict.reasons[0] == f"1 computation, {waited}"
    assert all("where=thread" in reason for reason in verdict.reasons)


def test_a_computation_that_frees_the_loop_does_not_block(tmp_path: Path) -> None:
    with gateway(mutant(tmp_path, "loop_in_a_thread")) as env:
        verdict = judged_cpu_blocking(env)
    assert verdict.outcome is Outcome.FAIL
    assert any("the bystander waited less than predicted" in text for text in verdict.reasons)
