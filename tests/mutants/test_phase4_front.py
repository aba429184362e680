"""Phase 4's first verdicts against wrong payment-services, live."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environment import Environment
from environment.compose import COMPOSE_FILE
from labs.experiment import until_conclusive
from labs.experiments.phase4 import key_order, rebalance
from labs.verdicts import Outcome, Verdict
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(300)

SERVICES = ("kafka", "order-service", "payment-service")


@contextmanager
def system(description: Path = COMPOSE_FILE) -> Iterator[Environment]:
    quick = {"payment-service": {"PAYMENT_SECONDS": 0.2}}
    with Environment(
        "phase4", runtime="process", only=SERVICES, settings=quick, description=description
    ) as env:
        yield env


def with_mutant(folder: Path, name: str) -> Path:
    command = ["python", "-m", f"tests.mutants.{name}", "2"]
    return mutated(folder, {"payment-service": {"command": command}})


def judged_key_order(env: Environment) -> Verdict:
    prediction = key_order.predict(orders=8, steps=6)
    samples = until_conclusive(key_order, prediction, env, orders=8, steps=6)
    return key_order.judge(samples, prediction)


def judged_rebalance(env: Environment) -> Verdict:
    prediction = rebalance.predict(seconds=1)
    samples = until_conclusive(rebalance, prediction, env, seconds=1)
    return rebalance.judge(samples, prediction)


def test_events_with_random_keys_lose_their_order(tmp_path: Path) -> None:
    with system(with_mutant(tmp_path, "random_key")) as env:
        verdict = judged_key_order(env)
    assert verdict.outcome is Outcome.FAIL
    because = "reader A: within one topic, events came in another order than they were published"
    assert because in verdict.reasons


def test_a_member_that_commits_before_its_work_loses_orders(tmp_path: Path) -> None:
    with system(with_mutant(tmp_path, "commit_before_work")) as env:
        verdict = judged_rebalance(env)
    assert verdict.outcome is Outcome.FAIL
    assert "a member dies: an order was lost" in verdict.reasons
