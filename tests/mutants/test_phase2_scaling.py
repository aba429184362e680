"""Phase 2's verdicts on shared counts and limits against wrong gateways, live."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase2 import atomic_counter, limits
from labs.verdicts import Outcome, Verdict
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(180)

SERVICES = ("nginx", "valkey", "api-gateway")


def judged_atomic_counter(env: Environment) -> Verdict:
    prediction = atomic_counter.predict(96, concurrency=(1, 16), replicas=2)
    samples = until_conclusive(
        atomic_counter, prediction, env, requests=96, concurrency=(1, 16), replicas=2
    )
    return atomic_counter.judge(samples, prediction)


def judged_limits(env: Environment) -> Verdict:
    prediction = limits.predict(replicas=(1, 2))
    samples = until_conclusive(limits, prediction, env, seconds=3, replicas=(1, 2))
    return limits.judge(samples, prediction)


@contextmanager
def with_mutant(folder: Path, name: str) -> Iterator[Environment]:
    """The system with one module of this folder as its gateway."""
    path = mutated(folder, {"api-gateway": {"command": ["python", "-m", f"tests.mutants.{name}"]}})
    with Environment("phase2", runtime="process", only=SERVICES, description=path) as env:
        yield env


@pytest.mark.core
def test_two_steps_named_incr_lose_calls(tmp_path: Path) -> None:
    with with_mutant(tmp_path, "getset_named_incr") as env:
        verdict = judged_atomic_counter(env)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("incr, 16 callers: calls were lost",)


def test_memories_named_valkey_multiply_the_limit(tmp_path: Path) -> None:
    with with_mutant(tmp_path, "memory_named_valkey") as env:
        verdict = judged_limits(env)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "one window in Valkey, 2 replicas: admitted another number than predicted",
    )
