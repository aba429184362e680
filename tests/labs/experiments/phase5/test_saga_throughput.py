"""Throughput of sagas: slow orders fail when cores were idle, and show a busy machine when none were."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase5 import saga_throughput
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.saga_throughput_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return saga_throughput.judge(samples, PREDICTION)


def twice(samples: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([samples, samples.assign(attempt=2)], ignore_index=True)


@pytest.mark.parametrize("seconds", [0.02, 0.06, 0.1])
def test_orders_within_their_bounds_pass(seconds: float) -> None:
    assert judge(frames.saga_throughput_samples(seconds)).outcome is Outcome.PASS


def test_slow_orders_fail_when_they_are_seen_twice() -> None:
    samples = frames.saga_throughput_samples(0.11)
    assert judge(samples).outcome is Outcome.INCONCLUSIVE
    verdict = judge(twice(samples))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "1 replica, 50% of the orders: orders took longer than the bound",
        "3 replicas, 50% of the orders: orders took longer than the bound",
    )


def test_two_slow_orders_in_a_hundred_fail() -> None:
    samples = frames.saga_throughput_samples()
    samples.loc[samples.index % 50 == 0, "total"] = 0.6
    verdict = judge(twice(samples))
    assert verdict.outcome is Outcome.FAIL
    assert all("99% of the orders" in reason for reason in verdict.reasons)


def test_one_attempt_within_the_bounds_is_enough() -> None:
    slow, good = frames.saga_throughput_samples(0.11), frames.saga_throughput_samples()
    both = pd.concat([slow, good.assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "samples",
    [
        frames.saga_throughput_samples(0.11).assign(idle=0.1),
        frames.saga_throughput_samples(0.11).assign(lag=0.05),
        frames.saga_throughput_samples(orders=100),
        frames.saga_throughput_samples().assign(ok=False),
    ],
    ids=["busy machine", "late generator", "few orders", "refused"],
)
def test_what_shows_the_machine_is_inconclusive(samples: pd.DataFrame) -> None:
    assert judge(twice(samples)).outcome is Outcome.INCONCLUSIVE


def test_an_order_that_had_not_ended_is_inconclusive() -> None:
    samples = frames.saga_throughput_samples()
    samples.loc[0, "total"] = np.nan
    assert judge(samples).outcome is Outcome.INCONCLUSIVE
