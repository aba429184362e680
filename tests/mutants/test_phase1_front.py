"""Phase 1's verdicts on routes, dashboard and tokens against wrong gateways, live."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase1 import aggregation, auth, hop, partial_answers
from labs.experiments.phase1.hop import DIRECT, HOP
from labs.verdicts import Outcome, Verdict
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(120)

SERVICES = ("api-gateway", "user-service", "order-service")


def judged_hop(env: Environment) -> Verdict:
    """As the lab's own cells do it, as the three below."""
    first = hop.measure(env, seconds=2).groupby("stream")["latency"]
    prediction = hop.predict(first.get_group(DIRECT), first.get_group(HOP))
    samples = until_conclusive(hop, prediction, env, seconds=3)
    return hop.judge(samples, prediction)


def judged_aggregation(env: Environment) -> Verdict:
    prediction = aggregation.predict(0.5, [0.25, 1.0])
    samples = until_conclusive(
        aggregation, prediction, env, users_seconds=0.5, orders_seconds=[0.25, 1.0]
    )
    return aggregation.judge(samples, prediction)


def judged_partial_answers(env: Environment) -> Verdict:
    prediction = partial_answers.predict()
    samples = until_conclusive(partial_answers, prediction, env, times=2)
    return partial_answers.judge(samples, prediction)


def judged_auth(env: Environment) -> Verdict:
    prediction = auth.predict("demo-token")
    samples = until_conclusive(auth, prediction, env, headers=prediction["header"])
    return auth.judge(samples, prediction)


Judged = Callable[[Environment], Verdict]

MUTANTS = {
    "slow_gateway": (judged_hop, "through the gateway: it added more than that"),
    "sequential_dashboard": (
        judged_aggregation,
        "GET /orders slowed by 1 s: the dashboard did not take the time of its slower part",
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
