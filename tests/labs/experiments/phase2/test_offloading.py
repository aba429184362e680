"""Off the event loop: the bound, the order of the answers, and the influence of the machine."""

import sys

import pandas as pd
import pytest

from labs.experiments.phase2 import offloading
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import blocking_frames as frames

PREDICTION = frames.offloading_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return offloading.judge(samples, PREDICTION)


def test_other_places_are_predicted_under_5_percent_of_the_loop() -> None:
    bound = offloading.predict([4], seconds=3, unloaded=0.01).set_index("where")["bound"]
    assert bound["loop"] == pytest.approx(12.01)
    assert bound["thread"] == bound["process"] == pytest.approx(0.6, rel=0.01)


def test_each_thread_ahead_of_the_loop_keeps_the_lock_for_an_interval() -> None:
    assert sys.getswitchinterval() == pytest.approx(offloading.SWITCH_INTERVAL)
    rows = offloading.predict([1, 4], seconds=3, unloaded=0.003)
    delay = rows.set_index(["where", "computations"])["delay"]
    assert delay["thread", 1] == pytest.approx(0.013)
    assert delay["thread", 4] == pytest.approx(0.043)
    assert delay["process", 4] == pytest.approx(0.003)


def test_bystanders_that_overtake_at_once_pass() -> None:
    verdict = judge(frames.offloading_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize("others", [0.05, 2.0])
def test_bystanders_behind_a_thread_fail_on_a_busy_machine_too(
    others: float,
) -> None:
    verdict = judge(frames.offloading_samples(overtake=False, others=others))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == tuple(
        f"{k} computation{'s' * (k > 1)}, where=thread: bystanders waited until they were done"
        for k in (1, 2, 4)
    )


def late(*, others: float) -> pd.DataFrame:
    attempts = [
        frames.offloading_samples(thread=0.05, others=others).assign(attempt=n) for n in (1, 2)
    ]
    return pd.concat(attempts, ignore_index=True)


def test_bystanders_that_overtake_late_fail_on_a_calm_machine_only() -> None:
    assert judge(late(others=0.05)).outcome is Outcome.FAIL
    verdict = judge(late(others=1.0))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_one_late_trial_is_inconclusive_and_extended() -> None:
    verdict = judge(frames.offloading_samples(thread=0.05))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_one_good_attempt_settles_late_ones() -> None:
    good = frames.offloading_samples().assign(attempt=3)
    both = pd.concat([late(others=1.0), good], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_a_busy_loop_does_not_widen_the_bound() -> None:
    samples = late(others=0.05)
    behind_loop = (samples["where"] == "loop") & (samples["request"] == "bystander")
    samples.loc[behind_loop, "latency"] *= 3
    assert judge(samples).outcome is Outcome.FAIL


def test_a_loop_that_delays_no_bystander_fails() -> None:
    samples = frames.offloading_samples()
    behind_loop = (samples["where"] == "loop") & (samples["request"] == "bystander")
    samples.loc[behind_loop, "ended"] = samples["sent"] + 0.01
    assert "where=loop: bystanders did not wait" in judge(samples).reasons[0]


def test_bystanders_that_were_asked_too_late_are_no_evidence() -> None:
    samples = frames.offloading_samples()
    computing = samples["request"] == "computation"
    samples.loc[computing, "ended"] = samples["sent"]
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_a_request_without_an_answer_fails() -> None:
    samples = frames.offloading_samples()
    samples.loc[samples["where"] == "process", "status"] = 503
    assert "where=process: not every request was answered" in judge(samples).reasons[0]


def test_the_figure_names_the_places() -> None:
    figure = offloading.plot(frames.offloading_samples(), PREDICTION)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"predicted", "where=loop", "where=thread", "where=process"} == labels
