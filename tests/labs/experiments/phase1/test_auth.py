"""Authentication: exact for every header."""

import pytest

from labs.experiments.phase1 import auth
from labs.verdicts import Outcome
from tests.labs.experiments.phase1 import front_frames

PREDICTION = front_frames.auth_prediction()


def test_only_the_whole_token_after_the_right_scheme_opens() -> None:
    opens = PREDICTION[(PREDICTION["check"] == "status") & (PREDICTION["expected"] == "200")]
    assert list(opens["header"]) == ["Bearer demo-token", "bearer demo-token"]


def test_every_answer_as_predicted_passes() -> None:
    assert auth.judge(front_frames.auth_samples(), PREDICTION).outcome is Outcome.PASS


@pytest.mark.parametrize("row", range(len(PREDICTION)))
def test_any_other_answer_fails(row: int) -> None:
    samples = front_frames.auth_samples()
    samples.loc[row, "observed"] = "204"
    verdict = auth.judge(samples, PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert PREDICTION["header"][row] in verdict.reasons[0]


def test_a_header_that_was_not_sent_is_inconclusive() -> None:
    verdict = auth.judge(front_frames.auth_samples().drop(index=4), PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_the_figure_shows_every_answer_with_its_prediction() -> None:
    figure = auth.plot(front_frames.auth_samples(), PREDICTION)
    assert len(figure.axes[0].texts) == len(PREDICTION)
