"""Start-up: the bound, and machines that cannot show it."""

import pandas as pd
import pytest

from labs.experiments.phase0 import startup
from labs.verdicts import Outcome
from tests.labs.experiments.phase0 import frames

PREDICTION = frames.startup_prediction()


def test_together_takes_the_slowest_or_the_shared_processor_time() -> None:
    by_cpu = startup.predict([1.0, 1.0, 1.0], [0.9, 0.9, 0.9], cores=2)
    assert by_cpu["seconds"].tolist() == [3.0, pytest.approx(1.35)]
    by_slowest = startup.predict([0.5, 3.0], [0.1, 0.1], cores=8)
    assert by_slowest["seconds"].tolist() == [3.5, 3.0]


def test_together_well_below_the_sum_passes() -> None:
    verdict = startup.judge(frames.startup_samples(together=1.5), PREDICTION)
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["ratio"] == pytest.approx(0.5)


def test_together_as_slow_as_one_by_one_fails_once_it_is_seen_twice() -> None:
    slow = frames.startup_samples(together=2.9)
    once = startup.judge(slow, PREDICTION)
    assert (once.outcome, once.extend) == (Outcome.INCONCLUSIVE, True)
    twice = startup.judge(pd.concat([slow, slow.assign(attempt=2)]), PREDICTION)
    assert twice.outcome is Outcome.FAIL
    good = frames.startup_samples(together=1.5).assign(attempt=2)
    assert startup.judge(pd.concat([slow, good]), PREDICTION).outcome is Outcome.PASS


def test_one_core_is_inconclusive_and_no_larger_sample_helps() -> None:
    verdict = startup.judge(frames.startup_samples(together=1.5, cores=1), PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert not verdict.extend


def test_cores_that_others_kept_busy_are_inconclusive_and_extended() -> None:
    verdict = startup.judge(frames.startup_samples(together=2.9, free=1.0), PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_one_odd_round_does_not_decide() -> None:
    samples = frames.startup_samples(together=1.5)
    odd = (samples["round"] == 2) & (samples["mode"] == "together")
    samples.loc[odd, "ready"] += 5
    assert startup.judge(samples, PREDICTION).outcome is Outcome.PASS


def test_the_sum_is_predicted_and_together_has_a_bound() -> None:
    figure = startup.plot(frames.startup_samples(together=1.5), PREDICTION)
    labels = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert "predicted" in labels[0]
    assert "lower bound" in labels[1]
