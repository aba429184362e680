"""Compensation first: one effect after its cancel fails; a cancel that was not read first proves nothing."""

import pandas as pd
import pytest

from labs.experiments.phase5 import compensation_first
from labs.experiments.phase5.names import INVENTORY, PAYMENTS
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames
from tests.labs.experiments.phase5.frames import PRICE

PREDICTION = frames.compensation_first_prediction()


def changed(reader: str, **values: object) -> pd.DataFrame:
    """The last order of a reader, with other values."""
    samples = frames.compensation_first_samples()
    row = samples.index[samples["reader"] == reader][-1]
    for column, value in values.items():
        samples.loc[row, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return compensation_first.judge(samples, PREDICTION)


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.compensation_first_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("reader", [PAYMENTS, INVENTORY])
@pytest.mark.parametrize("resting", [True, False])
def test_one_effect_after_its_cancel_fails(reader: str, resting: bool) -> None:
    verdict = judge(changed(reader, effects=1).assign(resting=resting))
    assert verdict.outcome is Outcome.FAIL
    because = "acted on an order that it had read to be cancelled"
    assert verdict.reasons == (f"{reader}: {because}",)


@pytest.mark.parametrize(
    ("reader", "amounts"),
    [(INVENTORY, {"refunded": 0}), (PAYMENTS, {"charged": PRICE})],
)
def test_a_charge_that_a_cancelled_order_keeps_fails(
    reader: str, amounts: dict[str, object]
) -> None:
    verdict = judge(changed(reader, **amounts))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{reader}: a cancelled order keeps its charge",)


@pytest.mark.parametrize(
    "values",
    [
        {"cancelled_first": False, "effects": 1},
        {"read_again": 5},
        {"resting": False},
        {"status": "completed", "effects": 1},
    ],
)
def test_another_order_of_reading_proves_nothing(values: dict[str, object]) -> None:
    assert judge(changed(PAYMENTS, **values)).outcome is Outcome.INCONCLUSIVE


def test_the_figure_counts_the_orders_with_an_effect() -> None:
    figure = compensation_first.plot(changed(PAYMENTS, effects=1), PREDICTION)
    assert figure.texts[0].get_text().startswith("1 of 12 orders")
