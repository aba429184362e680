"""Overhead of a hop: the bound, gateways that exceed it, and busy machines."""

import pandas as pd
import pytest

from labs.experiments.phase1 import hop
from labs.experiments.phase1.hop import BOUND, DIRECT, GATEWAY
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase1 import front_frames

PREDICTION = front_frames.hop_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return hop.judge(samples, PREDICTION)


def lost_one(samples: pd.DataFrame) -> pd.DataFrame:
    lost = samples[samples["stream"] == GATEWAY].index[7]
    samples.loc[lost, ["ok", "status"]] = [False, 503]
    return samples


def test_through_the_gateway_is_direct_and_one_hop_by_their_medians() -> None:
    table = hop.predict(pd.Series([0.001, 0.003, 9]), pd.Series([0.002, 0.002, 0.1]))
    assert table["seconds"].tolist() == pytest.approx([0.003, 0.002, 0.005])


def test_a_gateway_that_adds_a_millisecond_passes() -> None:
    verdict = judge(front_frames.hop_samples())
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["added"] == pytest.approx(0.001)
    assert verdict.details["predicted"] == pytest.approx(0.002)


@pytest.mark.parametrize("seconds", [1.1 * BOUND, 0.05, 2.0])
def test_a_gateway_that_adds_more_than_the_bound_fails(seconds: float) -> None:
    assert judge(front_frames.hop_samples(through=seconds)).outcome is Outcome.FAIL


def test_a_machine_that_is_slow_for_all_ways_passes() -> None:
    assert judge(front_frames.hop_samples(everywhere=0.03)).outcome is Outcome.PASS


def test_too_much_on_a_machine_that_was_busy_is_inconclusive() -> None:
    verdict = judge(front_frames.hop_samples(everywhere=0.03, through=0.03))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_more_than_a_busy_machine_explains_fails() -> None:
    assert judge(front_frames.hop_samples(everywhere=0.03, through=0.05)).outcome is Outcome.FAIL


def test_a_gateway_that_loses_a_request_fails_however_fast_it_is() -> None:
    verdict = judge(lost_one(front_frames.hop_samples()))
    assert verdict.outcome is Outcome.FAIL
    assert GATEWAY in verdict.reasons[0]


def test_a_loss_while_a_direct_request_hung_is_inconclusive() -> None:
    samples = lost_one(front_frames.hop_samples())
    samples.loc[samples[samples["stream"] == DIRECT].index[7], "latency"] = 0.4
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_a_calm_attempt_decides_over_a_strained_one() -> None:
    strained = lost_one(front_frames.hop_samples(everywhere=0.2, through=0.1))
    calm = front_frames.hop_samples().assign(attempt=2)
    slow = front_frames.hop_samples(through=0.05).assign(attempt=2)
    assert judge(pd.concat([strained, calm], ignore_index=True)).outcome is Outcome.PASS
    assert judge(pd.concat([strained, slow], ignore_index=True)).outcome is Outcome.FAIL


def test_too_few_requests_are_inconclusive() -> None:
    assert judge(front_frames.hop_samples().head(150)).outcome is Outcome.INCONCLUSIVE


def test_an_attempt_whose_generator_lagged_is_set_aside() -> None:
    lagged = front_frames.hop_samples(through=0.05).assign(lag=0.3)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    good = front_frames.hop_samples().assign(attempt=2)
    assert judge(pd.concat([lagged, good], ignore_index=True)).outcome is Outcome.PASS


def test_the_figure_draws_the_prediction_and_other_attempts_thin() -> None:
    samples = front_frames.hop_samples()
    lagged = front_frames.hop_samples(through=0.05).assign(lag=0.3, attempt=2)
    alone = hop.plot(samples, PREDICTION).axes[0]
    assert "predicted" in alone.get_legend_handles_labels()[1]
    both = hop.plot(pd.concat([samples, lagged], ignore_index=True), PREDICTION).axes[0]
    assert len(both.lines) == len(alone.lines) + 3
