"""Counter drift: even shares pass, uneven ones fail, unanswered ones are in doubt."""

from itertools import pairwise

import pandas as pd
import pytest

from labs.experiments.phase2 import counter_drift
from labs.verdicts import Outcome
from tests.labs.experiments.phase2 import scaling_frames as frames

PREDICTION = frames.counter_drift_prediction()


@pytest.mark.parametrize(
    ("replicas", "memories", "drift"),
    [(1, "10", 0), (2, "5, 5", 5), (3, "4, 3, 3", 6), (4, "3, 3, 2, 2", 7)],
)
def test_memories_share_the_requests_evenly(replicas: int, memories: str, drift: int) -> None:
    row = counter_drift.predict(10, replicas=[replicas]).iloc[0]
    assert (row["memories"], row["drift"]) == (memories, drift)
    assert row["largest"] + row["drift"] == 10


def test_the_system_as_predicted_passes_whichever_is_first() -> None:
    assert counter_drift.judge(frames.counter_drift_samples(), PREDICTION).outcome is Outcome.PASS
    rotated = frames.counter_drift_samples(first=1)
    assert counter_drift.judge(rotated, PREDICTION).outcome is Outcome.PASS


def test_one_request_to_the_wrong_replica_fails() -> None:
    samples = frames.counter_drift_samples()
    mine = samples["replicas"] == 3
    a, b = sorted(set(samples[mine]["instance"]))[:2]
    samples.loc[mine & (samples["instance"] == a), "count"] += 1
    last = samples[mine & (samples["instance"] == b)].index[-1]
    verdict = counter_drift.judge(samples.drop(index=last), PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("3 replicas: the memories hold other counts than predicted",)


def test_a_counter_that_all_share_fails() -> None:
    samples = frames.counter_drift_samples()
    samples["count"] = samples["number"]
    assert counter_drift.judge(samples, PREDICTION).outcome is Outcome.FAIL


def test_memories_that_were_not_fresh_fail() -> None:
    samples = frames.counter_drift_samples()
    samples.loc[samples["replicas"] == 2, "count"] += 5
    assert counter_drift.judge(samples, PREDICTION).outcome is Outcome.FAIL


def test_a_later_attempt_may_settle_an_unanswered_request() -> None:
    samples = frames.counter_drift_samples()
    samples.loc[samples["number"] == 4, "status"] = 502
    verdict = counter_drift.judge(samples, PREDICTION)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend
    both = pd.concat([samples, frames.counter_drift_samples().assign(attempt=2)], ignore_index=True)
    assert counter_drift.judge(both, PREDICTION).outcome is Outcome.PASS


def test_the_figure_draws_the_prediction_on_the_same_axes() -> None:
    figure = counter_drift.plot(frames.counter_drift_samples(), PREDICTION)
    (axes,) = figure.axes
    heights = [line.get_ydata()[-1] for line in axes.lines]
    assert all(a == b for a, b in [*pairwise(heights)][::2])
