"""Phase 1's verdicts on routes, dashboard and tokens against wrong gateways, live."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environment import Environment
from labs.experiments.aggregation import (
    judge_aggregation,
    measure_aggregation,
    predict_aggregation,
)
from labs.experiments.auth import judge_auth, measure_auth, predict_auth
from labs.experiments.hop import DIRECT, HOP, judge_hop, measure_hop, predict_hop
from labs.experiments.partial_answers import (
    judge_partial_answers,
    measure_partial_answers,
    predict_partial_answers,
)
from labs.verdicts import Outcome, Verdict, until_conclusive
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(120)

SERVICES = ("api-gateway", "user-service", "order-service")


def judged_hop(env: Environment) -> Verdict:
    """As the lab's own cells do it, as the three below."""
    first = measure_hop(env, seconds=2).groupby("stream")["latency"]
    prediction = predict_hop(first.get_group(DIRECT), first.get_group(HOP))
    samples = until_conclusive(measure_hop, env, judge=judge_hop, against=prediction, seconds=3)
    return judge_hop(samples, prediction)


def judged_aggregation(env: Environment) -> Verdict:
    prediction = predict_aggregation(0.5, [0.25, 1.0])
    samples = until_conclusive(
        measure_aggregation,
        env,
        judge=judge_aggregation,
        against=prediction,
        users_seconds=0.5,
        orders_seconds=[0.25, 1.0],
    )
    return judge_aggregation(samples, prediction)


def judged_partial_answers(env: Environment) -> Verdict:
    prediction = predict_partial_answers()
    samples = until_conclusive(
        measure_partial_answers, env, judge=judge_partial_answers, against=prediction, times=2
    )
    return judge_partial_answers(samples, prediction)


def judged_auth(env: Environment) -> Verdict:
    prediction = predict_auth("demo-token")
    samples = until_conclusive(
        measure_auth, env, judge=judge_auth, against=prediction, headers=prediction["header"]
    )
    return judge_auth(samples, prediction)


Judged = Callable[[Environment], Verdict]

MUTANTS = {
    "slow_gateway": (judged_hop, "the gateway added more than that"),
    "sequential_dashboard": (
        judged_aggregation,
        "the dashboard did not take the time of its slower part",
    ),
    "whole_dashboard": (judged_partial_answers, "while stopped: status: not as predicted"),
    "any_bearer": (judged_auth, "Bearer guessed-token: status: not as predicted"),
}


@contextmanager
def gateway(mutant: str, folder: Path) -> Iterator[Environment]:
    """The system with that module in the gateway's place."""
    command = ["python", "-m", f"tests.mutants.{mutant}"]
    path = mutated(folder, {"api-gateway": {"command": command}})
    with Environment("phase1", runtime="process", only=SERVICES, description=path) as env:
        yield env


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_gateway_is_seen_to_fail(mutant: str, tmp_path: Path) -> None:
    judged, because = MUTANTS[mutant]
    with gateway(mutant, tmp_path) as env:
        verdict = judged(env)
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons
