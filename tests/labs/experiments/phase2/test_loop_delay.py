"""Event loop delay: one spike, in the right replica, of the right length."""

import pandas as pd
import pytest

from labs.experiments.phase2 import loop_delay
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import blocking_frames as frames

PREDICTION = frames.loop_delay_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return loop_delay.judge(samples, PREDICTION)


def test_a_spike_is_predicted_up_to_a_period_shorter() -> None:
    rows = loop_delay.predict([(1, 1), (3, 3)], seconds=2, cores=2)
    assert rows["low"].tolist() == pytest.approx([1.9, 1.9])
    assert rows["high"].tolist() == pytest.approx([2.0, 4.0])


@pytest.mark.parametrize("spike", [0.82, 0.95, 1.09])
def test_one_spike_of_that_length_where_it_was_computed_passes(spike: float) -> None:
    verdict = judge(frames.loop_delay_samples(spike=spike))
    assert verdict.outcome is Outcome.PASS, verdict.reasons


def test_a_shorter_spike_fails_whatever_else_the_machine_did() -> None:
    verdict = judge(frames.loop_delay_samples(spike=0.7, others=3))
    assert verdict.outcome is Outcome.FAIL
    assert "a spike is not as long as predicted" in verdict.reasons[0]


def test_a_stretched_computation_fails_on_free_cores_only() -> None:
    assert judge(frames.loop_delay_samples(spike=1.4)).outcome is Outcome.FAIL
    assert judge(frames.loop_delay_samples(spike=1.4, others=1.0)).outcome is Outcome.PASS


@pytest.mark.parametrize("took", [1.2, 2.0])
def test_a_spike_of_another_length_fails_on_free_cores(took: float) -> None:
    calm = judge(frames.loop_delay_samples(spike=1.6, took=took).query("computations == 3"))
    assert calm.reasons[-1].endswith("a spike is not as long as the computation took")
    verdict = judge(frames.loop_delay_samples(spike=1.6, took=took, others=1.0))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_a_later_attempt_settles_what_was_in_doubt() -> None:
    disturbed = frames.loop_delay_samples(spike=1.4, took=1.0, others=1.0)
    good = frames.loop_delay_samples().assign(attempt=2)
    both = pd.concat([disturbed, good], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_a_computation_that_leaves_no_spike_fails() -> None:
    samples = frames.loop_delay_samples().assign(delay=0.01)
    assert "does not show as one spike" in judge(samples).reasons[0]


def test_a_computation_that_shows_as_two_spikes_fails() -> None:
    samples = frames.loop_delay_samples()
    computing = samples["computed"] == 1
    samples.loc[computing & (samples["time"] > samples["ended"] + 0.25), "delay"] = 0.6
    assert "does not show as one spike" in judge(samples).reasons[0]


def test_a_spike_in_a_replica_that_did_not_compute_fails() -> None:
    samples = frames.loop_delay_samples()
    quiet = (samples["computed"] == 0) & (samples["time"] == samples["ended"])
    samples.loc[quiet, "delay"] = 0.95
    verdict = judge(samples)
    assert verdict.reasons == (
        "1 computation, 3 replicas: a replica that did not compute shows a spike",
    )
    assert judge(samples.assign(others=1.0)).outcome is Outcome.INCONCLUSIVE


def test_two_computations_on_one_replica_are_no_evidence() -> None:
    samples = frames.loop_delay_samples()
    all_three = samples["computations"] == 3
    turns = samples["replica"].map({"api-gateway-1": 2, "api-gateway-2": 1, "api-gateway-3": 0})
    samples.loc[all_three, "computed"] = turns
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == (
        "3 computations, 3 replicas: not every replica reported its delays, and had its turn",
    )


def test_a_replica_without_a_series_is_no_evidence() -> None:
    samples = frames.loop_delay_samples()
    reported = samples[samples["replica"] != "api-gateway-3"]
    assert judge(reported).outcome is Outcome.INCONCLUSIVE


def test_the_figure_has_a_panel_per_case() -> None:
    figure = loop_delay.plot(frames.loop_delay_samples(), PREDICTION)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "1 of 1 replica computes",
        "1 of 3 replicas computes",
        "3 of 3 replicas compute",
    ]
