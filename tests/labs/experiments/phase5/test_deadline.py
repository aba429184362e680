"""Deadline: too early and too wrong is certain; a little too late has to be seen twice."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase5 import deadline
from labs.experiments.phase5.names import INVENTORY, ORDERS, PAYMENTS
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames
from tests.labs.experiments.phase5.frames import BEGAN, PRICE

PREDICTION = frames.deadline_prediction()


def changed(silent: str, **values: object) -> pd.DataFrame:
    """The last order of a case, with other values."""
    samples = frames.deadline_samples()
    row = samples.index[samples["silent"] == silent][-1]
    for column, value in values.items():
        samples.loc[row, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return deadline.judge(samples, PREDICTION)


def twice(samples: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([samples, samples.assign(attempt=2)], ignore_index=True)


def test_the_bounds_follow_from_the_deadline_and_the_grace() -> None:
    rows = deadline.predict(timeout=2).set_index("silent")
    assert rows.loc[PAYMENTS, ["low", "high"]].tolist() == [2, 13]
    assert rows["status"].to_dict()[ORDERS] == "completed"


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.deadline_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("silent", "values", "because"),
    [
        (PAYMENTS, {"ended": BEGAN + 2.9}, "orders ended before their deadline"),
        (PAYMENTS, {"ended": np.nan}, "orders were not cancelled at their deadline"),
        (PAYMENTS, {"ended": BEGAN + 6}, "orders were not cancelled at their deadline"),
        (INVENTORY, {"status": "completed"}, "orders ended otherwise than predicted"),
        (INVENTORY, {"refunded": 0}, "orders keep money that is not theirs, or lack some"),
        (PAYMENTS, {"charged": PRICE}, "orders keep money that is not theirs, or lack some"),
        (ORDERS, {"refunded": PRICE}, "orders keep money that is not theirs, or lack some"),
        (ORDERS, {"status": "cancelled"}, "orders were cancelled whose answers waited"),
    ],
)
def test_what_no_busy_machine_can_cause_fails_at_once(
    silent: str, values: dict[str, object], because: str
) -> None:
    verdict = judge(changed(silent, **values))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{silent} is away: {because}",)


def test_an_end_after_the_bound_fails_when_seen_twice() -> None:
    late = changed(PAYMENTS, ended=BEGAN + 14.5)
    late["back"] = BEGAN + 15
    assert judge(late).outcome is Outcome.INCONCLUSIVE
    assert judge(twice(late)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("silent", "values"),
    [
        (ORDERS, {"began": BEGAN + 3.5}),
        (ORDERS, {"back": BEGAN + 2.5}),
        (ORDERS, {"answered": False}),
        (ORDERS, {"ended": np.nan, "status": "pending"}),
        (PAYMENTS, {"resting": False}),
    ],
)
def test_an_outage_that_missed_proves_nothing(silent: str, values: dict[str, object]) -> None:
    verdict = judge(changed(silent, **values))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_without_late_successes_nothing_had_to_be_undone() -> None:
    samples = frames.deadline_samples()
    samples.loc[samples["silent"] == INVENTORY, ["charged", "refunded"]] = 0
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("inventory-service is away: too few successes came too late",)


def test_few_orders_prove_little() -> None:
    assert judge(frames.deadline_samples(orders=4)).outcome is Outcome.INCONCLUSIVE


def test_the_figure_counts_late_charges() -> None:
    figure = deadline.plot(frames.deadline_samples(), PREDICTION)
    assert figure.texts[0].get_text() == (
        "12 orders cancelled at their deadline, 6 of them charged and refunded"
    )
