"""Refunds: each takes exactly the attempts that the coin predicts, and none is given up."""

import json

import pandas as pd
import pytest

from labs.experiments.phase5 import refunds
from labs.experiments.phase5.log_lines import read_lines
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.refunds_prediction()


def changed(attempts: int, **values: object) -> pd.DataFrame:
    """The first order with so many attempts, with other values."""
    samples = frames.refunds_samples()
    row = samples.index[samples["refused"] == attempts - 1][0]
    for column, value in values.items():
        samples.loc[row, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return refunds.judge(samples, PREDICTION)


def test_the_mean_of_many_orders_is_that_of_the_theory() -> None:
    for rate in (0.2, 0.5):
        mean = refunds.predict(orders=1000, rate=rate)["attempts"].mean()
        assert mean == pytest.approx(1 / (1 - rate), rel=0.1)
    assert refunds.predict(rate=0)["attempts"].unique().tolist() == [1]


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 0), (2, 0.22), (4, 1.54)])
def test_the_waits_between_attempts_double(attempts: int, seconds: float) -> None:
    assert refunds.longest_seconds(attempts) == pytest.approx(seconds)


def test_the_system_as_predicted_passes() -> None:
    verdict = judge(frames.refunds_samples())
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["mean"] == PREDICTION["attempts"].mean()


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({"refunds": 0}, "orders were never refunded"),
        ({"refused": 5}, "the bank was asked more often than predicted"),
        ({"refused": 0}, "the bank was asked less often than predicted"),
        ({"refunds": 2}, "an order was charged or refunded more than once"),
        ({"charges": 2}, "an order was charged or refunded more than once"),
    ],
)
def test_one_refund_that_goes_otherwise_fails(values: dict[str, object], because: str) -> None:
    verdict = judge(changed(3, **values))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"3 attempts: {because}",)


def test_refunds_that_are_given_up_fail_exactly_beyond_the_limit() -> None:
    samples = frames.refunds_samples()
    given_up = samples["refused"] >= 3
    samples.loc[given_up, ["refused", "refunds"]] = [3, 0]
    reasons = judge(samples).reasons
    assert [reason.partition(":")[0] for reason in reasons] == ["4 attempts", "5 attempts"]


@pytest.mark.parametrize(
    "values", [{"order": "", "charges": 0, "refunds": 0}, {"charges": 0, "refunds": 0}]
)
def test_an_order_without_a_charge_proves_nothing(values: dict[str, object]) -> None:
    assert judge(changed(1, **values)).outcome is Outcome.INCONCLUSIVE


def test_few_refunds_prove_little() -> None:
    few = PREDICTION.head(5)
    assert refunds.judge(frames.refunds_samples(), few).outcome is Outcome.INCONCLUSIVE


def test_an_attempt_that_is_logged_twice_counts_once() -> None:
    lines = [
        {"message": refunds.REFUSED, "orderId": "a", "attempt": attempt} for attempt in (1, 1, 2)
    ]
    log = "\n".join(["no JSON", "[]", *map(json.dumps, lines), '{"message": "another"}'])
    assert len(list(read_lines(log, refunds.REFUSED))) == 3
    assert refunds._refused(log)["a"] == 2


def test_the_figure_shows_the_mean() -> None:
    figure = refunds.plot(changed(5, refunds=0), PREDICTION)
    assert figure.texts[0].get_text().startswith("23 of 24 refunds were paid, after 1.70")
