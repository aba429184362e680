"""Phase 5's verdicts against wrong participants of the saga, live, all beside one broker."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from environment import Environment
from labs.experiments.phase5 import interleavings
from labs.verdicts import Outcome
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated
from tests.mutants.wrong import Wrong, assert_it_fails

pytestmark = pytest.mark.timeout(300)

VERSIONS = {"order-service": 3, "payment-service": 3, "inventory-service": 1}
OTHERS = ("kafka", "analytics-service")


ORDERS = {"orders": 60, "replicas": (1,)}

MUTANTS = {
    "coin_of_each_delivery": Wrong(
        "payment-service",
        "outcomes",
        "1 replica, completed: orders ended otherwise than the coin says",
        {**ORDERS, "user": "tossed"},
        {**ORDERS, "user": "tossed"},
    ),
    "coin_of_the_process": Wrong(
        "payment-service",
        "outcomes",
        "1 replica, completed: orders ended otherwise than the coin says",
        {**ORDERS, "user": "hashed"},
        {**ORDERS, "user": "hashed"},
    ),
    "refund_gives_up": Wrong(
        "payment-service",
        "refunds",
        "5 attempts: orders were never refunded",
        {},
        {},
    ),
    "no_sweeper": Wrong(
        "order-service",
        "deadline",
        "payment-service is away: orders were not cancelled at their deadline",
        {"silent": ["payment-service"]},
        {"silent": ["payment-service"]},
    ),
    "sweeper_without_grace": Wrong(
        "order-service",
        "deadline",
        "order-service is away: orders were cancelled whose answers waited",
        {"silent": ["order-service"], "timeout": 5},
        {"silent": ["order-service"], "timeout": 5},
    ),
    "new_correlation_id": Wrong(
        "payment-service",
        "story",
        "completed: the events of an order have several correlation ids",
        {},
        {},
    ),
    "two_shelves_in_series": Wrong(
        "inventory-service",
        "duration",
        "completed: the median differs from the sum of work and hops",
        {},
        {},
    ),
    # From here on: their wrong entries stay in the ledger.
    "no_refund": Wrong(
        "payment-service",
        "money",
        "orders whose net amount is wrong: not zero",
        {},
        {"orders": 200, "user": "kept"},
    ),
    "refund_twice": Wrong(
        "payment-service",
        "money",
        "orders whose net amount is wrong: more was refunded than charged",
        {},
        {"orders": 60, "user": "twice"},
    ),
    "no_tombstone_payment": Wrong(
        "payment-service",
        "compensation_first",
        "payment-service: acted on an order that it had read to be cancelled",
        {},
        {},
    ),
    # Last: what it reserves is never released, so that the system never comes to rest again.
    "no_tombstone_inventory": Wrong(
        "inventory-service",
        "compensation_first",
        "inventory-service: acted on an order that it had read to be cancelled",
        {},
        {},
    ),
}

QUICKEST = "no_refund"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    changes: dict[str, dict[str, Any]] = {
        service: {
            "command": ["python", "-m", "tests.mutants.chosen", service.replace("-", "_"), str(n)],
            "environment": {"MUTANT": NONE},
        }
        for service, n in VERSIONS.items()
    }
    path = mutated(tmp_path_factory.mktemp("phase5"), changes)
    stock = {"inventory-service": {"STOCK": "prod-1=100000"}}
    with Environment(
        "phase5", runtime="process", only=(*OTHERS, *VERSIONS), settings=stock, description=path
    ) as environment:
        yield environment


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(name, marks=[pytest.mark.core] if name == QUICKEST else []) for name in MUTANTS],
)
def test_a_wrong_participant_fails(mutant: str, env: Environment) -> None:
    assert_it_fails(mutant, MUTANTS[mutant], env)


def test_a_checker_that_leaves_out_late_deadlines_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "tests.mutants.checker_in_order"]
    monkeypatch.setattr(interleavings, "COMMAND", command)
    env: Any = SimpleNamespace(runtime="process")
    prediction = interleavings.predict()
    verdict = interleavings.judge(interleavings.measure(env), prediction)
    assert verdict.outcome is Outcome.FAIL
    assert "no-tombstone-payment: nothing wrong was found" in verdict.reasons
