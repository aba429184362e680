"""Phase 4's verdicts against wrong services, live, all beside one broker."""

from collections.abc import Iterator

import pytest

from environment import Environment
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated
from tests.mutants.wrong import Wrong, assert_it_fails

pytestmark = pytest.mark.timeout(300)

VERSIONS = {"order-service": 2, "payment-service": 2, "analytics-service": 1}


MUTANTS = {
    "inbox_off_named_on": Wrong(
        "payment-service",
        "duplicates",
        "INBOX=on, delivered 2 times: charged more than once",
        {"deliveries": (1, 2)},
        {"deliveries": (1, 2), "orders": 2},
        shown="delivered 2 times and that was charged again",
    ),
    "random_key": Wrong(
        "payment-service",
        "key_order",
        "reader A: within one topic, events came in another order than they were published",
        {"orders": 8, "steps": 6},
        {"orders": 8, "steps": 6},
    ),
    "replay_onto_the_old_view": Wrong(
        "analytics-service",
        "replay",
        "orderCount: not what it was",
        {},
        {"orders": 5},
    ),
    "swallow_and_commit": Wrong(
        "order-service",
        "retry_and_dead_letters",
        "a message of no order is not among the dead letters",
        {},
        {},
    ),
    "outbox_off_named_on": Wrong(
        "order-service",
        "dual_write",
        "OUTBOX=on, in the gap: events were never published, and their orders stay pending",
        {"orders": 2},
        {"orders": 2},
    ),
    "acks_0": Wrong(
        "order-service",
        "broker_dies",
        "orders placed while it is away: events missing",
        {},
        {"seconds": 1},
    ),
    "late_to_take_over": Wrong(
        "payment-service",
        "broker_dies",
        "orders were done later than predicted",
        {},
        # Away for longer than the session timeout: only then the group assigns its partitions anew.
        {"seconds": 1, "paused": 5},
    ),
    "slow_handover": Wrong(
        "payment-service",
        "rebalance",
        "a member joins: an order waited longer than predicted",
        {"seconds": 1},
        {"seconds": 1},
    ),
    # Last: they leave two members, and payments that take a second.
    "commit_before_work": Wrong(
        "payment-service",
        "rebalance",
        "a member dies: an order was lost",
        {"seconds": 1},
        {"seconds": 1},
    ),
}

QUICKEST = "inbox_off_named_on"


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


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(name, marks=[pytest.mark.core] if name == QUICKEST else []) for name in MUTANTS],
)
def test_a_wrong_service_fails(mutant: str, env: Environment) -> None:
    assert_it_fails(mutant, MUTANTS[mutant], env)
