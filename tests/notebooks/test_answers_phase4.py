"""Reference answers to the exercises of phase 4: each is as short as its hint promises, and right."""

from collections.abc import Iterator

import httpx
import numpy as np
import pandas as pd
import pytest

from environment import Environment
from environment.waiting import wait_until
from labs import exercises
from labs.experiments.phase4 import consumer_group
from labs.load.open_loop import Load, Stream
from tests.notebooks.designed import assert_right_unless_busy

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


@pytest.mark.slow
def test_a_lag_shrinks_by_the_difference_of_two_rates(env: Environment) -> None:
    env.configure("payment-service", PAYMENT_SLOTS=5, PAYMENT_SECONDS=0.5)
    url, begins = f"{env['order-service'].url}/orders", (1, 8, 15)
    bursts = [Stream("burst", url, 40, "POST", ORDER, begins=at, ends=at + 0.75) for at in begins]
    load = Load(Stream("steady", url, 4, "POST", ORDER), *bursts, seconds=22)
    with env.kafka.watch_lag("payment-service-group", every=0.1) as watch, load:
        pass
    lag = watch.samples.groupby("time", as_index=False)["lag"].sum()
    slopes = [-slope_after(lag, load.begun + at + 0.75) for at in begins]
    low, _, high = exercises.intervals.of_mean(slopes)
    plan = "Three bursts of 30, at 4 orders/s and 10 payments/s that are held: 10 - 4 are 6 per second."
    answer = {"plan": plan, "samples": load.samples, "lag": lag, "predicted": 6}
    feedback = exercises.check("p4-4", answer | {"found": (low, high), "holds": low <= 6 <= high})
    assert_right_unless_busy(feedback)
    assert 3 < np.mean(slopes) < 9


def slope_after(lag: pd.DataFrame, moment: float) -> float:
    part = lag[lag["time"].between(moment - 0.3, moment + 6)]
    part = part.loc[part["lag"].idxmax() :]
    part = part[(part["lag"] > part["lag"].max() / 4).cummin()]
    return float(np.polyfit(part["time"] - moment, part["lag"], 1)[0])
