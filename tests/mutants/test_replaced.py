"""Functions that a student writes, in the real service: a lab's own experiment accepts the reference and no twin.

A reference answer and its wrong twins are sources in `tests/mutants/replaced/`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environment import Environment
from labs.evidence import find_evidence
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
    ("source", "outcome", "part", "status"),
    [
        ("is_failure", Outcome.PASS, None, 200),
        ("is_failure_counts_refusals", Outcome.FAIL, REFUSALS, 404),
        ("is_failure_only_500", Outcome.FAIL, FAILURES, 503),
    ],
)
def test_the_breakers_experiment_judges_a_students_is_failure(
    env: Environment, source: str, outcome: Outcome, part: str | None, status: int
) -> None:
    prediction = circuit_breaker.predict(refusals=20)
    with env["api-gateway"].replaced("breaker.Breaker.is_failure", SOURCES / f"{source}.py"):
        samples = until_conclusive(circuit_breaker, prediction, env, open_seconds=1, refusals=20)
        evidence = find_evidence(env, circuit_breaker, samples, prediction)
    verdict = circuit_breaker.judge(samples, prediction)
    assert verdict.outcome is outcome
    if part:
        assert f"{part}: {WRONG[part]}" in verdict.reasons
        assert evidence
        lines = list(evidence.trail[["replica", "line"]].itertuples(index=False, name=None))
        both = {"api-gateway-1": "/api/pay", "payment-service-1": "/pay"}
        requests = {
            (replica, f"request method=POST path={path} status={status}")
            for replica, path in both.items()
        }
        assert requests <= set(lines)
    else:
        assert evidence is None
