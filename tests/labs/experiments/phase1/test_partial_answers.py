"""Partial answers: exact at every moment of a stop that took place."""

import pytest

from labs.experiments.phase1 import partial_answers
from labs.experiments.phase1.partial_answers import ANSWERS, DURING, ORDERS
from labs.verdicts import Outcome
from tests.labs.experiments.phase1 import front_frames

PREDICTION = front_frames.partial_answers_prediction()


def test_what_is_missing_is_null_and_named_while_it_is_missing() -> None:
    table = PREDICTION.pivot(index="moment", columns="check", values="expected")
    assert table.loc[DURING].to_dict() == {
        "status": "200",
        "users": "shown",
        "orders": "null",
        "partial": "true",
        "unavailable": "order-service",
    }
    assert table.loc["before"].equals(table.loc["after"])


def test_every_dashboard_as_predicted_passes() -> None:
    verdict = partial_answers.judge(front_frames.partial_answers_samples(), PREDICTION)
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize("row", range(3 * len(PREDICTION)))
def test_any_other_answer_of_any_dashboard_fails(row: int) -> None:
    samples = front_frames.partial_answers_samples()
    samples.loc[row, "observed"] = "other"
    verdict = partial_answers.judge(samples, PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert samples["check"][row] in verdict.reasons[0]


def test_an_order_service_that_was_never_stopped_is_inconclusive() -> None:
    samples = front_frames.partial_answers_samples(during=ANSWERS)
    verdict = partial_answers.judge(samples, PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_a_wrong_answer_on_a_busy_machine_is_inconclusive() -> None:
    samples = front_frames.partial_answers_samples()
    late = samples["moment"] == "after"
    samples.loc[late, "waited"] = 0.5
    assert partial_answers.judge(samples, PREDICTION).outcome is Outcome.PASS
    samples.loc[late & (samples["check"] == ORDERS), "observed"] = "null"
    assert partial_answers.judge(samples, PREDICTION).outcome is Outcome.INCONCLUSIVE


def test_a_moment_without_answers_is_inconclusive() -> None:
    samples = front_frames.partial_answers_samples()
    unasked = samples[(samples["moment"] != DURING) | (samples["check"] != ORDERS)]
    verdict = partial_answers.judge(unasked, PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "not asked" in verdict.reasons[0]


def test_the_figure_shows_every_answer_with_its_prediction() -> None:
    figure = partial_answers.plot(front_frames.partial_answers_samples(), PREDICTION)
    assert len(figure.axes[0].texts) == len(PREDICTION)
