"""Phase 3's verdicts against wrong balancers, live."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labs.experiments.distribution import (
    judge_distribution,
    measure_distribution,
    predict_distribution,
)
from labs.experiments.health_check import (
    judge_health_check,
    measure_health_check,
    predict_health_check,
)
from labs.experiments.long_request import (
    judge_long_request,
    measure_long_request,
    predict_long_request,
)
from labs.experiments.slow_replica import (
    judge_slow_replica,
    measure_slow_replica,
    predict_slow_replica,
)
from labs.verdicts import Outcome, Verdict, until_conclusive
from tests.labs.balancing_frames import CLIENTS, WEIGHTS
from tests.mutants.balancer import Forgetful

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def env() -> Iterator[Forgetful]:
    replicas = {"api-gateway": 3}
    with Forgetful("phase3", runtime="process", replicas=replicas) as environment:
        yield environment


def judged_distribution(env: Forgetful) -> Verdict:
    prediction = predict_distribution(WEIGHTS, CLIENTS, requests=60)
    settings: dict[str, Any] = {"weights": WEIGHTS, "clients": CLIENTS, "requests": 60}
    samples = until_conclusive(
        measure_distribution, env, judge=judge_distribution, against=prediction, **settings
    )
    return judge_distribution(samples, prediction)


def judged_long_request(env: Forgetful) -> Verdict:
    prediction = predict_long_request(("round_robin", "least_conn"), replicas=3)
    samples = until_conclusive(
        measure_long_request, env, judge=judge_long_request, against=prediction
    )
    return judge_long_request(samples, prediction)


def judged_health_check(env: Forgetful) -> Verdict:
    prediction = predict_health_check(replicas=3, max_fails=1, fail_timeout=1)
    samples = until_conclusive(
        measure_health_check, env, judge=judge_health_check, against=prediction
    )
    return judge_health_check(samples, prediction)


def judged_slow_replica(env: Forgetful) -> Verdict:
    prediction = predict_slow_replica()
    samples = until_conclusive(
        measure_slow_replica, env, judge=judge_slow_replica, against=prediction
    )
    return judge_slow_replica(samples, prediction)


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
    "a balancer that takes turns whatever it is told": (
        judged_long_request,
        {"algorithm": "round_robin"},
        "least_conn: bystanders waited for the computation",
    ),
    "a balancer that takes turns with the slow, too": (
        judged_slow_replica,
        {"algorithm": "round_robin"},
        "least_conn at lambda D = 40: another share went to the slow replica than predicted",
    ),
    "a balancer that gives no replica up": (
        judged_health_check,
        {"max_fails": 0},
        "dead: more attempts failed than allowed",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_balancer_is_seen_to_fail(mutant: str, env: Forgetful) -> None:
    judged, env.instead, because = MUTANTS[mutant]
    verdict = judged(env)
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons
