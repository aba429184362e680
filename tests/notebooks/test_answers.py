"""Reference answers to the exercises of phase 0: each is as short as its hint promises, and right."""

from collections.abc import Iterator

import pandas as pd
import pytest

from environment import Environment
from labs.experiments.phase0 import independence, startup
from labs.load.open_loop import Load, Stream


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
