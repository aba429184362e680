"""Crash anywhere: one wrong end fails; a kill that missed its point, or an order under way, proves nothing."""

import pandas as pd
import pytest

from labs.experiments.phase5 import crash_anywhere
from labs.experiments.phase5.crash_points import READINGS, every_kill
from labs.experiments.phase5.names import DEADLINE
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.crash_anywhere_prediction()


def changed(**values: object) -> pd.DataFrame:
    """The last kill's order, with other values."""
    samples = frames.crash_anywhere_samples()
    for column, value in values.items():
        samples.loc[samples.index[-1], column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return crash_anywhere.judge(samples, PREDICTION)


def test_every_point_of_every_step_is_killed_once() -> None:
    kills = list(every_kill())
    publishing = [reading for reading in READINGS if reading[3]]
    refund, deadline, post = 3, 3, 2
    assert len(kills) == 2 * len(READINGS) + len(publishing) + refund + deadline + post == 33
    assert len({kill.name for kill in kills}) == len(kills)


def test_the_quick_kills_are_some_of_them() -> None:
    assert {*crash_anywhere.QUICK} < {kill.name for kill in every_kill()}
    assert {*PREDICTION["at"]} == {"begun", "committed", "sent"}


@pytest.mark.parametrize("at_random", [0, 3])
def test_the_system_as_predicted_passes(at_random: int) -> None:
    assert judge(frames.crash_anywhere_samples(at_random)).outcome is Outcome.PASS


def test_an_order_that_its_deadline_ends_passes() -> None:
    ended = changed(outcome=DEADLINE, states="cancelled/refunded/barred")
    assert judge(ended).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({"wrong": True}, "keeps money that is not its own"),
        ({"allowed": False, "states": "completed/settled/reserved"}, "that the model excludes"),
        ({"outcome": "payment failed"}, "neither as the coin says nor by its deadline"),
    ],
)
def test_one_wrong_end_fails(values: dict[str, object], because: str) -> None:
    verdict = judge(changed(**values))
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons[0]


def test_a_wrong_end_after_a_random_kill_fails_too() -> None:
    samples = frames.crash_anywhere_samples(at_random=2)
    samples.loc[samples.index[-1], "wrong"] = True
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith("at random 2, order: ")


@pytest.mark.parametrize("values", [{"quiet": False}, {"order": ""}])
def test_an_order_under_way_proves_nothing(values: dict[str, object]) -> None:
    verdict = judge(changed(**values, allowed=False, wrong=True))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_kill_that_missed_its_point_proves_nothing() -> None:
    assert judge(changed(hit=False)).outcome is Outcome.INCONCLUSIVE
    assert judge(changed(hit=False, wrong=True)).outcome is Outcome.FAIL


def test_kills_after_which_nothing_came_again_prove_nothing() -> None:
    assert judge(frames.crash_anywhere_samples().assign(again=0)).outcome is Outcome.INCONCLUSIVE


def test_the_figure_counts_points_ends_and_random_kills() -> None:
    figure = crash_anywhere.plot(frames.crash_anywhere_samples(at_random=3), PREDICTION)
    title, subtitle = (text.get_text() for text in figure.texts[:2])
    assert title.startswith("4 of 4 points hit, 0 orders ended wrong")
    assert "3 of 9 ends reached; 0 of 3 random kills broke something, so at most 100%" in subtitle
