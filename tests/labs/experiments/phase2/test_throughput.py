"""Throughput: rates as predicted pass, lower ones fail on idle cores and are in doubt on busy ones."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments import idle
from labs.experiments.idle import idle_cores
from labs.experiments.phase2 import throughput
from labs.experiments.phase2.throughput import summarise
from labs.experiments.rates import best_rate, rate
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import scaling_frames as frames

PREDICTION = frames.throughput_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return throughput.judge(samples, PREDICTION)


def twice(samples: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([samples, samples.assign(attempt=2)], ignore_index=True)


def test_replicas_carry_what_they_are_offered_up_to_the_cores() -> None:
    rows = throughput.predict(seconds=0.1, cores=2, replicas=(1, 2, 3))
    assert list(rows[rows["step"] > 1]["achieved"]) == [10, 20, 20]
    assert list(rows[rows["step"] < 1]["achieved"]) == [5, 10, 15]
    assert list(rows[rows["step"] > 1]["offered"]) == pytest.approx([11, 22, 33])


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.throughput_samples()).outcome is Outcome.PASS
    assert judge(frames.throughput_samples(carried=0.9, idle=1)).outcome is Outcome.PASS


def test_the_rates_are_those_of_the_window() -> None:
    full = summarise(frames.throughput_samples())
    full = full[full["step"] > 1].set_index("replicas")
    assert list(full["achieved"]) == pytest.approx([20, 40, 40, 40], rel=0.05)
    assert list(full["offered"]) == pytest.approx([22, 44, 66, 88], rel=0.01)


def test_a_third_replica_that_carries_more_than_the_cores_fails() -> None:
    samples = frames.throughput_samples()
    optimistic = throughput.predict(seconds=0.05, cores=3, replicas=frames.REPLICAS)
    assert throughput.judge(samples, optimistic).outcome is not Outcome.PASS
    modest = throughput.predict(seconds=0.05, cores=1, replicas=frames.REPLICAS)
    verdict = throughput.judge(samples, modest)
    assert verdict.outcome is Outcome.FAIL
    assert any("carried more than predicted" in reason for reason in verdict.reasons)


def test_too_little_fails_on_idle_cores_only() -> None:
    low = frames.throughput_samples(carried=0.6, idle=0.9)
    assert judge(low).outcome is Outcome.INCONCLUSIVE, "it has to be seen twice"
    verdict = judge(twice(low))
    assert verdict.outcome is Outcome.FAIL
    assert "on cores that were idle" in verdict.reasons[0]
    good = frames.throughput_samples().assign(attempt=3)
    assert judge(pd.concat([twice(low), good], ignore_index=True)).outcome is Outcome.PASS
    verdict = judge(twice(frames.throughput_samples(carried=0.6, idle=0.05)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "other programs kept the cores busy" in verdict.reasons[0]


def test_the_best_part_settles_a_window_that_was_held_up() -> None:
    samples = frames.throughput_samples()
    ended = samples["intended"] + samples["latency"]
    held = (ended > samples["began"] + 0.65) & (samples["step"] > 1)
    disturbed = samples.assign(latency=samples["latency"] + 0.9 * held)
    assert judge(disturbed).outcome is Outcome.PASS
    assert judge(twice(disturbed.assign(idle=1.0))).outcome is Outcome.FAIL


def test_answers_that_come_in_late_are_not_too_many() -> None:
    samples = frames.throughput_samples()
    lower = (samples["step"] < 1) & (samples["replicas"] == 1)
    held = samples[lower]["began"] + np.arange(lower.sum()) / 20
    ended = np.maximum(samples[lower]["intended"] + samples[lower]["latency"], held)
    samples.loc[lower, "latency"] = ended - samples["intended"]
    rates = summarise(samples).set_index(["replicas", "step"])["achieved"]
    assert rates[1, 0.5] > 12
    assert judge(samples).outcome is Outcome.PASS


def test_a_later_attempt_settles_what_was_in_doubt() -> None:
    later = frames.throughput_samples().assign(attempt=2)
    both = pd.concat([frames.throughput_samples(carried=0.6), later], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_a_generator_that_lagged_is_inconclusive() -> None:
    assert judge(frames.throughput_samples(lag=0.5)).outcome is Outcome.INCONCLUSIVE


def test_a_lost_request_fails() -> None:
    samples = frames.throughput_samples()
    samples.loc[5, "ok"] = False
    assert judge(samples).reasons == ("requests were lost",)


def test_a_rate_counts_intervals_and_nothing_has_none() -> None:
    moments = pd.Series([0.9, 1.0, 1.5, 2.0, 2.4])
    assert rate(moments, 1.0, 2.0) == pytest.approx(2)
    assert rate(moments, 1.1, 2.2) == pytest.approx(3 / 1.4)
    assert rate(moments, 5, 6) == 0
    assert rate(pd.Series([], dtype=float), 5, 6) == 0
    assert best_rate(moments, 1, 2) == 0
    assert best_rate(pd.Series([0, 1, *(2 + 0.1 * n for n in range(13)), 9]), 0, 9) == (
        pytest.approx(10)
    )


def test_idle_is_what_is_left_of_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_count", lambda: 4)
    assert idle_cores(3.0, 2.0) == 2.5
    assert idle_cores(9.0, 2.0) == 0


def test_a_core_that_a_program_waited_for_was_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_count", lambda: 4)
    demanded, clock = iter([100.0, 103.0]), iter([10.0, 12.0])
    monkeypatch.setattr(idle, "demanded_seconds", lambda: next(demanded))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    assert idle.IdleMeter().cores() == 2.5


def test_the_figure_shows_the_originals_points_as_such() -> None:
    (axes,) = throughput.plot(frames.throughput_samples(), PREDICTION).axes
    texts = [text.get_text() for text in axes.texts]
    assert any(
        "the original: 450 requests/s" in word and "if it computes" in word for word in texts
    )
