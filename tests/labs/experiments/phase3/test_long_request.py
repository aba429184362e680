"""The long request: which requests wait, which must not, and what proves nothing."""

import pandas as pd
import pytest

from labs.experiments.phase3 import long_request
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import balancing_frames

PREDICTION = balancing_frames.long_request_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return long_request.judge(samples, PREDICTION)


def waiting(samples: pd.DataFrame, algorithm: str, *, every: int) -> pd.DataFrame:
    """Return the samples, where each `every`-th bystander of the algorithm waits (0: none)."""
    changed = samples.copy()
    chosen = changed[(changed["algorithm"] == algorithm) & (changed["round"] == 1)].index
    changed.loc[chosen, "latency"] = 0.003
    if every:
        late = chosen[every // 2 :: every]
        rest = changed.loc[late, "ended"] - changed.loc[late, "intended"]
        changed.loc[late, "latency"] = rest.clip(lower=0) + 0.003
    return changed


def test_round_robin_sends_one_in_n_to_wait() -> None:
    table = long_request.predict(("round_robin", "least_conn"), replicas=4)
    assert table["share"].tolist() == pytest.approx([0.25, 0])


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(balancing_frames.long_request_samples())
    assert verdict.outcome is Outcome.PASS
    turns, least = verdict.details["cases"]
    assert turns["measured"] == pytest.approx(1 / 3, abs=0.05)
    assert least["waited"] == 0


def test_least_conn_that_sends_one_in_n_to_wait_fails() -> None:
    verdict = judge(waiting(balancing_frames.long_request_samples(), "least_conn", every=3))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("least_conn: bystanders waited for the computation",)


def test_a_calm_attempt_settles_the_doubt_of_another() -> None:
    samples = balancing_frames.long_request_samples()
    one = waiting(samples, "least_conn", every=20)
    assert judge(one).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([one, samples.assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_a_computation_that_hinders_no_bystander_proves_nothing() -> None:
    verdict = judge(waiting(balancing_frames.long_request_samples(), "round_robin", every=0))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_lost_bystander_and_a_refused_computation_fail() -> None:
    lost = balancing_frames.long_request_samples()
    lost.loc[3, "ok"] = False
    assert judge(lost).outcome is Outcome.FAIL
    refused = balancing_frames.long_request_samples()
    refused.loc[refused["round"] == 1, "computed"] = 503
    assert judge(refused).outcome is Outcome.FAIL


def test_a_lagged_generator_and_too_few_bystanders_are_inconclusive() -> None:
    assert (
        judge(balancing_frames.long_request_samples().assign(lag=0.3)).outcome
        is Outcome.INCONCLUSIVE
    )
    few = balancing_frames.long_request_samples().iloc[::6]
    assert judge(few).outcome is Outcome.INCONCLUSIVE


def test_the_title_names_the_shares_that_were_counted() -> None:
    figure = long_request.plot(balancing_frames.long_request_samples(), PREDICTION)
    assert "by round_robin, 0% by least_conn" in figure.texts[0].get_text()
    assert "waited" in figure.axes[0].get_legend_handles_labels()[1]
