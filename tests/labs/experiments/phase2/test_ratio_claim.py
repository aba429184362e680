"""The ratio claim: what k makes of it, and that only the delays are judged."""

import pytest

from labs.experiments.phase2 import ratio_claim
from labs.verdicts import Outcome
from tests.labs.experiments.phase2 import blocking_frames as frames

PREDICTION = frames.ratio_claim_prediction()


def test_a_ratio_takes_any_value_by_the_choice_of_k() -> None:
    rows = ratio_claim.predict([0, 1, 18, 180], seconds=3, unloaded=0.1)
    ratios = rows.set_index("computations")["ratio"]
    assert ratios[0] == 1
    assert ratios[1] == pytest.approx(31)
    assert ratios[18] == pytest.approx(541)
    assert ratios[180] == pytest.approx(10 * ratios[18], rel=0.01)


def test_delays_that_grow_with_k_pass() -> None:
    verdict = ratio_claim.judge(frames.ratio_claim_samples(), PREDICTION)
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.experiment == "ratio_claim"


@pytest.mark.parametrize("seconds", [0.01, 0.2])
def test_delays_that_grow_otherwise_fail(seconds: float) -> None:
    verdict = ratio_claim.judge(frames.ratio_claim_samples(seconds=seconds), PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert any(reason.startswith("18 computations, 1 replica") for reason in verdict.reasons)


def test_the_figure_names_the_ratio_of_each_k() -> None:
    figure = ratio_claim.plot(frames.ratio_claim_samples(), PREDICTION)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["1 x", "26 x", "151 x", "451 x"]
    assert figure.axes[0].get_yscale() == "linear"
