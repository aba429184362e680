"""Phase 5's verdicts on times against wrong participants of the saga, live: the machine has to be theirs alone."""

from collections.abc import Iterator

import pytest

from environment import Environment
from tests.mutants.shop import shop
from tests.mutants.wrong import Wrong, assert_it_fails

pytestmark = pytest.mark.timeout(300)

MUTANTS = {
    "two_shelves_in_series": Wrong(
        "inventory-service",
        "duration",
        "completed: the median differs from the sum of work and hops",
        {},
        {},
    ),
    "slow_relay": Wrong(
        "payment-service",
        "saga_throughput",
        "1 replica, 50% of the orders: orders took longer than the bound",
        {
            "replicas": (1,),
            "rate": 10,
        },  # a held relay sends in bursts: at a low rate they are small
        {"replicas": (1,), "rate": 10, "seconds": 22},
    ),
}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with shop(tmp_path_factory.mktemp("phase5")) as environment:
        yield environment


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_slow_participant_fails(mutant: str, env: Environment) -> None:
    assert_it_fails(mutant, MUTANTS[mutant], env)
