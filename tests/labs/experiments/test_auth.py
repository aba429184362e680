"""Authentication: exact for every header."""

import pytest

from labs.experiments.auth import judge_auth, plot_auth
from labs.verdicts import Outcome
from tests.labs import front_frames

PREDICTION = front_frames.auth_prediction()


def test_only_the_whole_token_after_the_right_scheme_opens() -> None:
    opens = PREDICTION[(PREDICTION["check"] == "status") & (PREDICTION["expected"] == "200")]
    assert list(opens["header"]) == ["Bearer demo-token", "bearer demo-token"]


def test_every_answer_as_predicted_passes() -> None:
    assert judge_auth(front_frames.auth(), PREDICTION).outcome is Outcome.PASS


@pytest.mark.parametrize("row", range(len(PREDICTION)))
def test_any_other_answer_fails(row: int) -> None:
    samples = front_frames.auth()
    samples.loc[row, "observed"] = "204"
    verdict = judge_auth(samples, PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert PREDICTION["header"][row] in verdict.reasons[0]


def test_a_header_nobody_sent_is_inconclusive() -> None:
    verdict = judge_auth(front_frames.auth().drop(index=4), PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_the_figure_shows_every_answer_with_its_prediction_and_the_runtime() -> None:
    figure = plot_auth(front_frames.auth(), PREDICTION)
    assert any("runtime: process" in text.get_text() for text in figure.texts)
    assert len(figure.axes[0].texts) == 2 * len(PREDICTION)
