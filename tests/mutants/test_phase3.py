"""Phase 3's verdicts against wrong balancers, live."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labs.experiment import until_conclusive
from labs.experiments.phase3 import distribution, health_check, long_request, slow_replica
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3.balancing_frames import CLIENTS, WEIGHTS
from tests.mutants.balancer import Forgetful

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def env() -> Iterator[Forgetful]:
    replicas = {"api-gateway": 3}
    with Forgetful("phase3", runtime="process", replicas=replicas) as environment:
        yield environment


def judged_distribution(env: Forgetful) -> Verdict:
    prediction = distribution.predict(WEIGHTS, CLIENTS, requests=60)
    settings: dict[str, Any] = {"weights": WEIGHTS, "clients": CLIENTS, "requests": 60}
    samples = until_conclusive(distribution, prediction, env, **settings)
    return distribution.judge(samples, prediction)


def judged_long_request(env: Forgetful) -> Verdict:
    prediction = long_request.predict(("round_robin", "least_conn"), replicas=3)
    samples = until_conclusive(long_request, prediction, env)
    return long_request.judge(samples, prediction)


def judged_health_check(env: Forgetful) -> Verdict:
    prediction = health_check.predict(replicas=3, max_fails=1, fail_timeout=1)
    samples = until_conclusive(health_check, prediction, env)
    return health_check.judge(samples, prediction)


def judged_slow_replica(env: Forgetful) -> Verdict:
    prediction = slow_replica.predict()
    samples = until_conclusive(slow_replica, prediction, env)
    return slow_replica.judge(samples, prediction)


MUTANTS: dict[str, tuple[Callable[[Forgetful], Verdict], dict[str, Any], str]] = {
    "a balancer without weights": (
        judged_distribution,
        {"weights": ()},
        "weights: not as predicted",
    ),
    "a balancer to which all clients are one": (
        judged_distribution,
        {"forwarded": False},
        "ip_hash: not as predicted",
    ),
    "a balancer that takes turns for every algorithm": (
        judged_long_request,
        {"algorithm": "round_robin"},
        "least_conn: bystanders waited for the computation",
    ),
    "a balancer that gives the slow one its turn": (
        judged_slow_replica,
        {"algorithm": "round_robin"},
        "least_conn at lambda D = 40: another share went to the slow replica than predicted",
    ),
    "a balancer that gives no replica up": (
        judged_health_check,
        {"max_fails": 0},
        "dead: more attempts failed than allowed",
    ),
    "a balancer that waits for a hanging replica": (
        judged_health_check,
        {"read_timeout": 120},
        "hanging, read timeout: another share of the requests waited than predicted",
    ),
}


CORE = "a balancer without weights"


@pytest.mark.parametrize(
    "mutant", [pytest.param(name, marks=[pytest.mark.core] * (name == CORE)) for name in MUTANTS]
)
def test_a_wrong_balancer_is_seen_to_fail(mutant: str, env: Forgetful) -> None:
    judged, env.instead, because = MUTANTS[mutant]
    verdict = judged(env)
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons
