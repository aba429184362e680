"""Reference answers to the exercises of phase 0: each is as short as its hint promises, and right."""

from collections.abc import Iterator

import pandas as pd
import pytest

from environment import Environment
from labs import exercises
from labs.experiments.phase0 import independence, startup
from labs.load.open_loop import Load, Stream, run_load


@pytest.fixture
def env(runtime: str) -> Iterator[Environment]:
    with Environment("phase0", runtime=runtime) as env:  # type: ignore[arg-type]
        yield env


@pytest.mark.slow
def test_killing_user_service_costs_its_own_requests_alone(env: Environment) -> None:
    prediction = independence.predict(
        "user-service", calls={"POST /orders": ["payment-service"]}, work_seconds=0
    )
    samples = independence.measure(env, kill="user-service", seconds=9)
    assert independence.judge(samples, prediction).outcome == "pass"
    assert set(samples[~samples["ok"]]["stream"]) == {"GET /users"}


@pytest.mark.slow
def test_a_stopped_service_finishes_the_payments_under_way(env: Environment) -> None:
    url = f"{env['payment-service'].url}/pay"
    with Load(Stream("pay", url, rate=10, method="POST", body={}), seconds=6) as load:
        load.until(3)
        with env["payment-service"].stopped() as fault:
            pass
    under_way = load.samples[
        load.samples["intended"].between(fault.began - 1.9, fault.began - 0.05)
    ]
    assert len(under_way) > 10
    assert under_way["ok"].all()


def test_ten_services_on_four_cores() -> None:
    answer = startup.predict([0.6] * 10, [0.5] * 10, cores=4)
    pd.testing.assert_series_equal(answer["seconds"], pd.Series([6.0, 1.25], name="seconds"))


@pytest.mark.slow
def test_an_order_takes_longer_than_its_payment(env: Environment) -> None:
    order = {"userId": "ada", "items": [{"productId": "prod-1", "quantity": 1, "price": 19.99}]}
    pay, orders = (
        f"{env[f'{name}-service'].url}/{path}"
        for name, path in (("payment", "pay"), ("order", "orders"))
    )
    streams = Stream("order", orders, 20, "POST", order), Stream("payment", pay, 20, "POST", {})
    samples = run_load(*streams, seconds=4)
    latency = {name: part["latency"] for name, part in samples.groupby("stream")}
    low, value, high = exercises.intervals.of_difference(latency["order"], latency["payment"])
    plan = "Vary the stream, hold rate and machine, 80 requests of each; an order adds about 10 ms."
    answer = {"plan": plan, "samples": samples, "predicted": 0.01, "found": (low, high)}
    feedback = exercises.check("p0-4", answer | {"holds": low <= 0.01 <= high})
    assert feedback.right, feedback
    assert value > 0
