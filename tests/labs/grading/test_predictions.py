"""A prediction that states its inputs can be made again from them."""

import pandas as pd
import pytest

from labs.grading.predictions import INPUTS, predicted, same
from tests.labs.test_records import SAMPLES

RECORD = {"seed": 7, "runtime": "process"}


@pytest.mark.parametrize("name", INPUTS)
def test_an_honest_prediction_comes_again_from_its_own_inputs(name: str) -> None:
    prediction = SAMPLES[name][1]
    again = predicted(name, prediction, RECORD)
    assert again is not None
    assert same(again, prediction)


def test_an_experiment_with_inputs_from_a_pilot_is_left_out() -> None:
    assert predicted("startup", SAMPLES["startup"][1], RECORD) is None


def test_a_changed_value_row_or_column_is_another_prediction() -> None:
    prediction = SAMPLES["duplicates"][1]
    assert same(prediction, prediction.astype({"charges": float}))
    assert not same(prediction, prediction.assign(charges=1))
    assert not same(prediction, prediction.iloc[:-1])
    assert not same(prediction, prediction.assign(more=1))
    assert not same(prediction, pd.DataFrame())
