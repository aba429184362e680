"""Replay: any number that is not what it was fails; a replay that did not take place proves nothing."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase4 import replay
from labs.experiments.phase4.replay import AFTER, BEFORE, EMPTY, FIELDS, ORDER_COUNT
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4 import delivery_frames as frames

PREDICTION = frames.replay_prediction()


def changed(moment: str, field: str, value: float, **columns: object) -> pd.DataFrame:
    samples = frames.replay_samples()
    row = (samples["moment"] == moment) & (samples["field"] == field)
    samples.loc[row, "value"] = value
    return samples.assign(**columns)


def judge(samples: pd.DataFrame) -> Verdict:
    return replay.judge(samples, PREDICTION)


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.replay_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [24.0, np.nan])
def test_a_number_that_is_not_what_it_was_fails(field: str, value: float) -> None:
    verdict = judge(changed(AFTER, field, value))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{field}: not what it was",)


def test_a_rate_that_stays_unknown_is_the_same() -> None:
    samples = frames.replay_samples()
    samples.loc[samples["field"] == "successRate", "value"] = np.nan
    assert judge(samples).outcome is Outcome.PASS


def test_a_view_that_was_never_empty_proves_nothing() -> None:
    kept = changed(EMPTY, ORDER_COUNT, 12.0)
    verdict = judge(kept)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("the view was not empty when the replay began",)
    kept.loc[kept["moment"] == AFTER, "value"] *= 2
    assert judge(kept).outcome is Outcome.FAIL


def test_a_later_attempt_settles_a_view_that_read_too_little() -> None:
    unread = changed(AFTER, ORDER_COUNT, 9.0, drained=False)
    assert judge(unread).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([unread, frames.replay_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_no_orders_prove_nothing() -> None:
    samples = frames.replay_samples()
    samples.loc[samples["moment"].isin([BEFORE, AFTER]), "value"] = 0.0
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_the_figure_names_each_number_that_is_not_equal() -> None:
    figure = replay.plot(changed(AFTER, ORDER_COUNT, 24.0), PREDICTION)
    title, note = (text.get_text() for text in figure.texts[:2])
    assert title == "Read again from the start, 5 of 6 numbers are what they were"
    assert "12 events OrderCreated, 3 of them published again: of 9 orders" in note
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert (shown.count("equal"), shown.count("not equal")) == (5, 1)
    assert {"12", "24", "none", "239.88"} <= set(shown)
