"""Blocking: within 15 %, and what a busy machine may explain of the rest."""

import pandas as pd
import pytest

from labs.experiments.phase1 import blocking
from labs.experiments.phase1.blocking import BLOCKING, BUSY, LONG, NON_BLOCKING, SHORT, UNANSWERED
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase1 import gateway_frames
from tests.labs.experiments.phase1.gateway_frames import blocking_samples

PREDICTION = gateway_frames.blocking_prediction()


def judge(*attempts: pd.DataFrame) -> Verdict:
    numbered = [each.assign(attempt=number) for number, each in enumerate(attempts, 1)]
    return blocking.judge(pd.concat(numbered, ignore_index=True), PREDICTION)


def test_blocking_waits_add_up_and_the_others_do_not() -> None:
    seconds = blocking.predict(calls=3, seconds=2).groupby("endpoint")["seconds"]
    assert seconds.get_group(BLOCKING).to_list() == [2, 4, 6]
    assert seconds.get_group(NON_BLOCKING).to_list() == [2, 2, 2]


def test_both_as_predicted_pass() -> None:
    verdict = judge(blocking_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details[BLOCKING][0]["predicted"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("wrong", "endpoint"),
    [({"non_blocking": 2.0}, NON_BLOCKING), ({"blocking": 2.5}, BLOCKING)],
)
def test_too_late_twice_on_a_calm_machine_fails(wrong: dict[str, float], endpoint: str) -> None:
    once = judge(blocking_samples(**wrong))
    assert once.outcome is Outcome.INCONCLUSIVE
    assert once.extend
    twice = judge(blocking_samples(**wrong), blocking_samples(**wrong))
    assert twice.outcome is Outcome.FAIL
    assert twice.reasons == (f"{endpoint}: {LONG}",)


@pytest.mark.parametrize(
    ("wrong", "endpoint"),
    [({"blocking": 0.41}, BLOCKING), ({"non_blocking": 0.01}, NON_BLOCKING)],
)
def test_a_wait_that_was_too_short_fails_at_once(wrong: dict[str, float], endpoint: str) -> None:
    verdict = judge(blocking_samples(**wrong))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{endpoint}: {SHORT}",)


def test_what_the_machine_explains_is_inconclusive_however_often() -> None:
    busy = blocking_samples(blocking=2.5, late=0.1)
    verdict = judge(busy, busy, busy)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == (f"{BLOCKING}: {BUSY}",)


def test_a_late_machine_never_excuses_the_sum_of_all_waits() -> None:
    wrong = blocking_samples(non_blocking=2.0, late=0.3)
    assert judge(wrong, wrong).outcome is Outcome.FAIL


def test_one_good_attempt_is_enough() -> None:
    assert judge(blocking_samples(non_blocking=0.5), blocking_samples()).outcome is Outcome.PASS


def test_a_call_that_was_not_answered_fails() -> None:
    samples = blocking_samples()
    samples.loc[0, ["ok", "status"]] = [False, 0]
    assert judge(samples).reasons == (f"{BLOCKING}: {UNANSWERED}",)


def test_calls_that_did_not_overlap_are_inconclusive() -> None:
    verdict = judge(
        blocking_samples(blocking=2.0, non_blocking=0.4, apart=0.41).query("during == @BLOCKING")
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons[0] == f"{BLOCKING}: the calls did not overlap"


def test_the_figure_has_one_axes_per_endpoint() -> None:
    figure = blocking.plot(blocking_samples(), PREDICTION)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["/api/blocking", "/api/non-blocking"]
