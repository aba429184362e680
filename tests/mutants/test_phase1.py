"""Phase 1's verdicts on wrong gateways, live: each mutant runs in one started system, and must be judged to fail."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from environment import Environment
from labs.evidence import find_evidence
from labs.experiment import until_conclusive
from labs.experiments.phase1 import (
    aggregation,
    auth,
    blocking,
    circuit_breaker,
    hop,
    partial_answers,
    rate_limit,
    retry_storm,
)
from labs.experiments.phase1.blocking import LONG, NON_BLOCKING
from labs.experiments.phase1.circuit_breaker import REFUSALS, WAITING, WRONG
from labs.experiments.phase1.hop import DIRECT, HOP
from labs.experiments.phase1.retry_storm import BUDGET
from labs.verdicts import Outcome, Verdict
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Start phase 1 with a gateway that is, in turn, each of the mutants."""
    command = ["python", "-m", "tests.mutants.chosen", "api_gateway"]
    change = {"api-gateway": {"command": command, "environment": {"MUTANT": NONE}}}
    path = mutated(tmp_path_factory.mktemp("phase1"), change)
    settings = {"payment-service": {"PAYMENT_SECONDS": 0}}
    with Environment("phase1", runtime="process", settings=settings, description=path) as env:
        yield env


@pytest.fixture
def env(system: Environment, mutant: str) -> Environment:
    system.configure("api-gateway", MUTANT=mutant)
    return system


def judged(
    experiment: ModuleType, prediction: pd.DataFrame, env: Environment, **settings: Any
) -> Verdict:
    """Measure and judge as the lab's own cells do."""
    samples = until_conclusive(experiment, prediction, env, **settings)  # type: ignore[arg-type]
    verdict: Verdict = experiment.judge(samples, prediction)
    return verdict


@pytest.mark.parametrize("mutant", ["slow_gateway"])
def test_a_gateway_that_takes_longer_fails(env: Environment) -> None:
    pilot = hop.measure(env, seconds=2).groupby("stream")["latency"]
    prediction = hop.predict(pilot.get_group(DIRECT), pilot.get_group(HOP))
    verdict = judged(hop, prediction, env, seconds=3)
    assert verdict.outcome is Outcome.FAIL
    assert "through the gateway: it added more than that" in verdict.reasons


@pytest.mark.parametrize("mutant", ["sequential_dashboard"])
def test_a_dashboard_that_waits_for_the_sum_fails(env: Environment) -> None:
    delays = {"users_seconds": 0.5, "orders_seconds": [0.25, 1.0]}
    prediction = aggregation.predict(0.5, [0.25, 1.0])
    verdict = judged(aggregation, prediction, env, **delays)
    assert verdict.outcome is Outcome.FAIL
    reason = "the dashboard did not take the time of its slower part"
    assert f"GET /orders slowed by 1 s: {reason}" in verdict.reasons


@pytest.mark.parametrize("mutant", ["whole_dashboard"])
def test_a_dashboard_that_fails_as_a_whole_fails(env: Environment) -> None:
    verdict = judged(partial_answers, partial_answers.predict(), env, times=2)
    assert verdict.outcome is Outcome.FAIL
    assert "while stopped: status: not as predicted" in verdict.reasons


@pytest.mark.core
@pytest.mark.parametrize("mutant", ["any_bearer"])
def test_a_gateway_that_accepts_any_token_fails(env: Environment) -> None:
    prediction = auth.predict("demo-token")
    verdict = judged(auth, prediction, env, headers=prediction["header"])
    assert verdict.outcome is Outcome.FAIL
    assert "Bearer guessed-token: status: not as predicted" in verdict.reasons


@pytest.mark.parametrize("mutant", ["limiter_off"])
def test_a_gateway_that_admits_every_request_fails(env: Environment) -> None:
    verdict = judged(rate_limit, rate_limit.predict(seconds=1), env, seconds=1)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "moving window: it admitted more than predicted",
        "fixed window: it admitted more than predicted",
    )


@pytest.mark.parametrize(
    ("mutant", "part", "status"),
    [("breaker_counts_4xx", REFUSALS, 404), ("breaker_admits_all", WAITING, 200)],
)
def test_a_wrong_breaker_fails_by_the_upstreams_count(
    env: Environment, part: str, status: int
) -> None:
    prediction = circuit_breaker.predict(refusals=20)
    samples = until_conclusive(circuit_breaker, prediction, env, open_seconds=1, refusals=20)
    verdict = circuit_breaker.judge(samples, prediction)
    assert verdict.outcome is Outcome.FAIL
    assert f"{part}: {WRONG[part]}" in verdict.reasons
    evidence = find_evidence(env, circuit_breaker, samples, prediction)
    assert evidence
    logged = evidence.trail[["replica", "line"]].itertuples(index=False, name=None)
    assert {
        ("api-gateway-1", f"request method=POST path=/api/pay status={status}"),
        ("payment-service-1", f"request method=POST path=/pay status={status}"),
    } <= set(logged)
    assert {"user-service", "order-service"} <= set(evidence.silent)


@pytest.mark.parametrize("mutant", ["retries_without_a_budget"])
def test_retries_that_no_budget_bounds_fail(env: Environment) -> None:
    prediction = retry_storm.predict(tries=(2,), clicks=2)
    verdict = judged(retry_storm, prediction, env, tries=(2,), clicks=2)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{BUDGET}, 2 tries: more calls than the budget admits",)


@pytest.mark.parametrize("mutant", ["non_blocking_blocks"])
def test_a_wait_that_blocks_fails_whatever_its_name(env: Environment) -> None:
    wait = {"calls": 3, "seconds": 0.4}
    verdict = judged(blocking, blocking.predict(calls=3, seconds=0.4), env, **wait)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{NON_BLOCKING}: {LONG}",)
