"""Versions side by side: exact, or not at all."""

import pytest

from labs.experiments.phase0 import versions
from labs.verdicts import Outcome
from tests.labs.experiments.phase0 import frames

PREDICTION = frames.versions_prediction()


def test_every_answer_as_predicted_passes() -> None:
    assert versions.judge(frames.versions_samples(), PREDICTION).outcome is Outcome.PASS


@pytest.mark.parametrize("row", range(len(PREDICTION)))
def test_any_other_answer_fails(row: int) -> None:
    samples = frames.versions_samples()
    samples.loc[row, "observed"] = "3"
    verdict = versions.judge(samples, PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert PREDICTION["check"][row] in verdict.reasons[0]


def test_a_question_that_was_not_asked_is_inconclusive() -> None:
    verdict = versions.judge(frames.versions_samples().drop(index=4), PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "not asked" in verdict.reasons[0]


def test_the_figure_shows_every_answer_with_its_prediction() -> None:
    figure = versions.plot(frames.versions_samples(), PREDICTION)
    assert len(figure.axes[0].texts) == len(PREDICTION)
