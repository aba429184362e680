"""Aggregation: the slower part, the sum, and parts that were not slowed."""

import pandas as pd
import pytest

from labs.experiments.phase1 import aggregation
from labs.experiments.phase1.aggregation import DASHBOARD, ORDERS, USERS
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase1 import front_frames

PREDICTION = front_frames.aggregation_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return aggregation.judge(samples, PREDICTION)


def test_together_takes_the_slower_part_and_in_turn_the_sum() -> None:
    table = aggregation.predict(0.5, [0.25, 0.5, 1])
    assert table["parallel"].tolist() == [0.5, 0.5, 1]
    assert table["sequential"].tolist() == [0.75, 1, 1.5]


def test_the_slower_part_passes_whichever_it_is() -> None:
    assert judge(front_frames.aggregation_samples()).outcome is Outcome.PASS


def test_the_sum_fails() -> None:
    assert judge(front_frames.aggregation_samples("sequential")).outcome is Outcome.FAIL


def test_a_dashboard_that_waits_for_the_orders_alone_fails() -> None:
    assert judge(front_frames.aggregation_samples("orders_seconds")).outcome is Outcome.FAIL


@pytest.mark.parametrize("stream", [USERS, ORDERS])
def test_a_part_that_was_never_slowed_is_inconclusive(stream: str) -> None:
    samples = front_frames.aggregation_samples()
    samples.loc[samples["stream"] == stream, "latency"] = 0.003
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_a_machine_too_slow_for_the_parts_themselves_is_inconclusive() -> None:
    assert judge(front_frames.aggregation_samples(late=0.3)).outcome is Outcome.INCONCLUSIVE


def test_a_lost_dashboard_fails() -> None:
    samples = front_frames.aggregation_samples()
    lost = samples[samples["stream"] == DASHBOARD].index[3]
    samples.loc[lost, ["ok", "status"]] = [False, 500]
    assert judge(samples).outcome is Outcome.FAIL


def test_too_few_requests_are_inconclusive() -> None:
    samples = front_frames.aggregation_samples()
    few = samples.groupby(["orders_seconds", "stream"]).head(5)
    assert judge(few).outcome is Outcome.INCONCLUSIVE
    assert judge(samples[samples["orders_seconds"] == 1]).outcome is Outcome.INCONCLUSIVE


def test_an_attempt_whose_generator_lagged_is_set_aside() -> None:
    lagged = front_frames.aggregation_samples("sequential").assign(lag=0.3)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    good = front_frames.aggregation_samples().assign(attempt=2)
    both = pd.concat([lagged, good], ignore_index=True)
    verdict = judge(both)
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["counted"].startswith(f"{len(good)} of {len(both)} counted")
    twice = pd.concat([both, lagged.assign(attempt=3)], ignore_index=True)
    assert judge(twice).outcome is Outcome.INCONCLUSIVE


def test_the_figure_marks_what_does_not_count_hollow() -> None:
    lagged = front_frames.aggregation_samples("sequential").assign(lag=0.3)
    good = front_frames.aggregation_samples().assign(attempt=2)
    axes = aggregation.plot(pd.concat([lagged, good], ignore_index=True), PREDICTION).axes[0]
    assert "predicted: the slower part" in axes.get_legend_handles_labels()[1]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert sum(len(line.get_xdata()) for line in hollow) == len(lagged)  # type: ignore[arg-type]
