"""The coin and the ids of the labs are the services' own."""

from itertools import islice

import pytest

from labs.experiments.phase5 import coin
from labs.experiments.phase5.names import OUTCOMES
from microservices.kit import coin as services_coin
from microservices.kit.events import topics
from microservices.order_service import model


@pytest.mark.parametrize("key", ["k0", "k1999", "a key"])
def test_an_id_is_the_one_that_the_service_gives(key: str) -> None:
    theirs = model.order_id(seed=7, user_id="user-1", key=key)
    assert coin.order_id(seed=7, user="user-1", key=key) == theirs


@pytest.mark.parametrize("step", ["payment", "inventory", "refund-1"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.99])
def test_a_step_fails_where_the_service_lets_it_fail(step: str, rate: float) -> None:
    for number in range(50):
        theirs = services_coin.fails(seed=7, order_id=f"o-{number}", step=step, rate=rate)
        assert coin.fails(seed=7, order=f"o-{number}", step=step, rate=rate) is theirs


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_keys_of_an_outcome_have_it(outcome: str) -> None:
    for key in islice(coin.keys_of(outcome, seed=7, user="ada"), 5):
        order = coin.order_id(seed=7, user="ada", key=key)
        assert coin.outcome_of(order, seed=7) == outcome


@pytest.mark.parametrize(
    ("order", "partition"),
    [
        ("0e26cd83-8e01-59e1-8e55-29955eff7fd5", 5),
        ("b8e3de60-0758-545e-8ffa-ed0a00dd3fb9", 4),
        ("daff159e-b72c-5fba-bcd4-558c41ebde8e", 0),
    ],
)
def test_an_orders_partition_is_the_one_seen_in_kafka(order: str, partition: int) -> None:
    assert coin.partition_of(order) == partition
    assert coin.PARTITIONS == topics.PARTITIONS
