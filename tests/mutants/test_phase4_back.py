"""Phase 4's verdicts on deliveries, replays and deaths against wrong services, live, beside one broker."""

from collections.abc import Callable, Iterator

import pytest

from environment import Environment
from labs.experiments.broker_dies import (
    judge_broker_dies,
    measure_broker_dies,
    predict_broker_dies,
)
from labs.experiments.dual_write import (
    judge_dual_write,
    measure_dual_write,
    predict_dual_write,
)
from labs.experiments.duplicates import (
    judge_duplicates,
    measure_duplicates,
    predict_duplicates,
)
from labs.experiments.replay import judge_replay, measure_replay, predict_replay
from labs.experiments.retry_and_dead_letters import (
    judge_retry_and_dead_letters,
    measure_retry_and_dead_letters,
    predict_retry_and_dead_letters,
)
from labs.verdicts import Outcome, Verdict, until_conclusive
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(300)

VERSIONS = {"order-service": 2, "payment-service": 2, "analytics-service": 1}


def judged_duplicates(env: Environment) -> Verdict:
    """As the lab's own cells do it, as those below."""
    prediction = predict_duplicates((1, 2))
    samples = until_conclusive(
        measure_duplicates,
        env,
        judge=judge_duplicates,
        against=prediction,
        deliveries=(1, 2),
        orders=2,
    )
    return judge_duplicates(samples, prediction)


def judged_replay(env: Environment) -> Verdict:
    prediction = predict_replay()
    samples = until_conclusive(
        measure_replay, env, judge=judge_replay, against=prediction, orders=5
    )
    return judge_replay(samples, prediction)


def judged_dual_write(env: Environment) -> Verdict:
    prediction = predict_dual_write(orders=2)
    samples = until_conclusive(
        measure_dual_write, env, judge=judge_dual_write, against=prediction, orders=2
    )
    return judge_dual_write(samples, prediction)


def judged_broker_dies(env: Environment) -> Verdict:
    prediction = predict_broker_dies()
    samples = until_conclusive(
        measure_broker_dies, env, judge=judge_broker_dies, against=prediction, seconds=1
    )
    return judge_broker_dies(samples, prediction)


def judged_retry_and_dead_letters(env: Environment) -> Verdict:
    prediction = predict_retry_and_dead_letters()
    samples = until_conclusive(
        measure_retry_and_dead_letters,
        env,
        judge=judge_retry_and_dead_letters,
        against=prediction,
    )
    return judge_retry_and_dead_letters(samples, prediction)


MUTANTS: dict[str, tuple[Callable[[Environment], Verdict], str, str]] = {
    "inbox_off_named_on": (
        judged_duplicates,
        "payment-service",
        "INBOX=on, delivered 2 times: charged more than once",
    ),
    "replay_onto_the_old_view": (
        judged_replay,
        "analytics-service",
        "orderCount: not what it was",
    ),
    "swallow_and_commit": (
        judged_retry_and_dead_letters,
        "order-service",
        "a message of no order is not among the dead letters",
    ),
    "outbox_off_named_on": (
        judged_dual_write,
        "order-service",
        "OUTBOX=on, in the gap: orders were never told of, and stay pending",
    ),
    "acks_0": (
        judged_broker_dies,
        "order-service",
        "orders placed while it is away: events missing",
    ),
}
"""What is judged, which service is the mutant, and one reason that the verdict must name."""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    changes = {
        service: {
            "command": ["python", "-m", "tests.mutants.chosen", service.replace("-", "_"), str(n)],
            "environment": {"MUTANT": NONE},
        }
        for service, n in VERSIONS.items()
    }
    path = mutated(tmp_path_factory.mktemp("phase4"), changes)
    fast = {"payment-service": {"PAYMENT_SECONDS": 0}}
    only = ("kafka", *VERSIONS)
    with Environment(
        "phase4", runtime="process", only=only, settings=fast, description=path
    ) as environment:
        yield environment


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_service_is_seen_to_fail(mutant: str, env: Environment) -> None:
    judged, service, because = MUTANTS[mutant]
    env.configure(service, MUTANT=mutant)
    try:
        verdict = judged(env)
    finally:
        env.configure(service, MUTANT=NONE)
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons
