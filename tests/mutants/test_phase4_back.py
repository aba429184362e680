"""Phase 4's verdicts on deliveries, replays and deaths against wrong services, live, beside one broker."""

from collections.abc import Callable, Iterator

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase4 import (
    broker_dies,
    dual_write,
    duplicates,
    replay,
    retry_and_dead_letters,
)
from labs.verdicts import Outcome, Verdict
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(300)

VERSIONS = {"order-service": 2, "payment-service": 2, "analytics-service": 1}


def judged_duplicates(env: Environment) -> Verdict:
    """As the lab's own cells do it, as those below."""
    prediction = duplicates.predict((1, 2))
    samples = until_conclusive(duplicates, prediction, env, deliveries=(1, 2), orders=2)
    return duplicates.judge(samples, prediction)


def judged_replay(env: Environment) -> Verdict:
    prediction = replay.predict()
    samples = until_conclusive(replay, prediction, env, orders=5)
    return replay.judge(samples, prediction)


def judged_dual_write(env: Environment) -> Verdict:
    prediction = dual_write.predict(orders=2)
    samples = until_conclusive(dual_write, prediction, env, orders=2)
    return dual_write.judge(samples, prediction)


def judged_broker_dies(env: Environment) -> Verdict:
    prediction = broker_dies.predict()
    samples = until_conclusive(broker_dies, prediction, env, seconds=1)
    return broker_dies.judge(samples, prediction)


def judged_retry_and_dead_letters(env: Environment) -> Verdict:
    prediction = retry_and_dead_letters.predict()
    samples = until_conclusive(retry_and_dead_letters, prediction, env)
    return retry_and_dead_letters.judge(samples, prediction)


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
        "OUTBOX=on, in the gap: events were never published, and their orders stay pending",
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
def test_a_wrong_service_fails(mutant: str, env: Environment) -> None:
    judged, service, because = MUTANTS[mutant]
    env.configure(service, MUTANT=mutant)
    try:
        verdict = judged(env)
    finally:
        env.configure(service, MUTANT=NONE)
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons
