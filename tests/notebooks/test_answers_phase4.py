"""Reference answers to the exercises of phase 4: each is as short as its hint promises, and right."""

from collections.abc import Iterator

import httpx
import pandas as pd
import pytest

from environment import Environment
from environment.waiting import wait_until
from labs.experiments.phase4 import consumer_group

ORDER = {"userId": "ada", "items": [{"productId": "prod-1", "quantity": 1, "price": 19.99}]}


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    services = ("kafka", "order-service", "payment-service")
    with Environment("phase4", runtime="process", only=services) as env:
        yield env


def test_another_member_helps_where_the_busiest_has_less() -> None:
    table = consumer_group.predict(messages=100, seconds=0.1, members=range(1, 11), partitions=10)
    worth = table["members"][table["drain"].diff().fillna(-1) < 0]
    assert list(worth) == [1, 2, 3, 4, 5, 10]  # three and four do not divide ten


@pytest.mark.slow
def test_a_frozen_member_leaves_a_lag(env: Environment) -> None:
    url, watching = (
        env["order-service"].url,
        env.kafka.watch_lag("payment-service-group", every=0.1),
    )
    with watching as watch, env["payment-service"].paused():
        for _ in range(10):
            httpx.post(f"{url}/orders", json=ORDER).raise_for_status()
        # Their events are published, and sampled, after the responses.
        assert wait_until(lambda: most_lag(watch.samples) >= 8, timeout=10)


def most_lag(samples: pd.DataFrame) -> int:
    return int(samples.groupby("seconds")["lag"].sum().max())


@pytest.mark.slow
def test_one_key_has_one_partition_and_ten_keys_several(env: Environment) -> None:
    env.kafka.create("mine", partitions=3)
    for number in range(10):
        env.kafka.produce("mine", "one", key="same")
        env.kafka.produce("mine", "ten", key=f"key-{number}")
    messages = env.kafka.read("mine").groupby("value")["partition"].nunique()
    assert (messages["one"], messages["ten"]) == (1, 3)
