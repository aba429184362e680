"""Phase 1's verdicts on limiter, breaker, retries and waits against wrong gateways, live."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environment import Environment
from environment.compose import COMPOSE_FILE
from labs.experiment import until_conclusive
from labs.experiments.phase1 import blocking, circuit_breaker, rate_limit
from labs.experiments.phase1.blocking import LONG, NON_BLOCKING
from labs.experiments.phase1.circuit_breaker import REFUSALS, WAITING, WRONG
from labs.verdicts import Outcome, Verdict
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(120)

SETTINGS = {"payment-service": {"PAYMENT_SECONDS": 0}}


@contextmanager
def gateway(folder: Path, mutant: str | None = None, *needs: str) -> Iterator[Environment]:
    """Phase 1, or a part of it, with the real gateway or the mutant."""
    command = ["python", "-m", f"tests.mutants.{mutant}"]
    path = mutated(folder, {"api-gateway": {"command": command}}) if mutant else COMPOSE_FILE
    only = ("api-gateway", *needs) if mutant else ()
    settings = SETTINGS if not only or "payment-service" in only else {}
    with Environment(
        "phase1", runtime="process", only=only, settings=settings, description=path
    ) as env:
        yield env


def rate_limit_verdict(env: Environment) -> Verdict:
    prediction = rate_limit.predict(seconds=1)
    samples = until_conclusive(rate_limit, prediction, env, seconds=1)
    return rate_limit.judge(samples, prediction)


def circuit_breaker_verdict(env: Environment) -> Verdict:
    prediction = circuit_breaker.predict(refusals=20)
    samples = until_conclusive(circuit_breaker, prediction, env, open_seconds=1, refusals=20)
    return circuit_breaker.judge(samples, prediction)


def blocking_verdict(env: Environment) -> Verdict:
    prediction = blocking.predict(calls=3, seconds=0.4)
    samples = until_conclusive(blocking, prediction, env, calls=3, seconds=0.4)
    return blocking.judge(samples, prediction)


def test_a_gateway_that_admits_every_request_has_no_rate_limit(tmp_path: Path) -> None:
    with gateway(tmp_path, "limiter_off") as env:
        verdict = rate_limit_verdict(env)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "moving window: it admitted more than predicted",
        "fixed window: it admitted more than predicted",
    )


@pytest.mark.parametrize(
    ("mutant", "part"), [("breaker_counts_4xx", REFUSALS), ("breaker_admits_all", WAITING)]
)
def test_a_wrong_breaker_is_seen_at_the_upstream(mutant: str, part: str, tmp_path: Path) -> None:
    with gateway(tmp_path, mutant, "payment-service") as env:
        verdict = circuit_breaker_verdict(env)
    assert verdict.outcome is Outcome.FAIL
    assert f"{part}: {WRONG[part]}" in verdict.reasons


def test_a_wait_that_blocks_is_found_whatever_its_name(tmp_path: Path) -> None:
    with gateway(tmp_path, "non_blocking_blocks", "user-service") as env:
        verdict = blocking_verdict(env)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{NON_BLOCKING}: {LONG}",)
