"""Functions that a student writes, in the real service: a lab's own experiment accepts the reference and no twin.

A reference answer and its wrong twins are sources in `tests/mutants/replaced/`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase1 import circuit_breaker
from labs.experiments.phase1.circuit_breaker import FAILURES, REFUSALS, WRONG
from labs.verdicts import Outcome

pytestmark = pytest.mark.timeout(120)

SOURCES = Path(__file__).parent / "replaced"


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    settings = {"payment-service": {"PAYMENT_SECONDS": 0}}
    services = ["api-gateway", "payment-service"]
    with Environment("phase1", runtime="process", only=services, settings=settings) as started:
        yield started


@pytest.mark.parametrize(
    ("source", "outcome", "part"),
    [
        ("is_failure", Outcome.PASS, None),
        ("is_failure_counts_refusals", Outcome.FAIL, REFUSALS),
        ("is_failure_only_500", Outcome.FAIL, FAILURES),
    ],
)
def test_the_breakers_experiment_judges_a_students_is_failure(
    env: Environment, source: str, outcome: Outcome, part: str | None
) -> None:
    prediction = circuit_breaker.predict(refusals=20)
    with env["api-gateway"].replaced("breaker.Breaker.is_failure", SOURCES / f"{source}.py"):
        samples = until_conclusive(circuit_breaker, prediction, env, open_seconds=1, refusals=20)
    verdict = circuit_breaker.judge(samples, prediction)
    assert verdict.outcome is outcome
    if part:
        assert f"{part}: {WRONG[part]}" in verdict.reasons
