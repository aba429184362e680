"""One slow replica: the formula, and shares and quantiles that miss it."""

import pandas as pd
import pytest

from labs.experiments.phase3 import slow_replica
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import balancing_frames

PREDICTION = slow_replica.predict()


def judge(samples: pd.DataFrame) -> Verdict:
    return slow_replica.judge(samples, PREDICTION)


def changed(samples: pd.DataFrame, algorithm: str, rate: float, **values: object) -> pd.DataFrame:
    """The samples of one case with other values, the latency following `slow` unless it is given."""
    chosen = (samples["algorithm"] == algorithm) & (samples["rate"] == rate)
    return samples.copy().mask(chosen, samples.assign(**values))


@pytest.mark.parametrize(("arrivals", "share"), [(5, 0.13), (20, 0.04), (100, 0.01), (0.5, 0.2)])
def test_least_conn_gives_the_slow_one_the_formulas_share(arrivals: float, share: float) -> None:
    table = slow_replica.predict([(10 * arrivals, 0.1)], replicas=5).set_index("algorithm")
    assert table.loc["round_robin", "share"] == pytest.approx(0.2)
    assert table.loc["least_conn", "share"] == pytest.approx(share, abs=0.006)


def test_a_quantile_is_slow_where_the_share_exceeds_it() -> None:
    busy = PREDICTION[PREDICTION["rate"] == 100].set_index("algorithm")
    assert busy.loc["round_robin", ["p50", "p95", "p99"]].tolist() == [0, 0.4, 0.4]
    assert busy.loc["least_conn", ["p50", "p95", "p99"]].tolist() == [0, 0, 0.4]


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(balancing_frames.slow_replica_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


def test_turns_named_least_conn_fail_where_many_arrive() -> None:
    samples = balancing_frames.slow_replica_samples()
    turns = pd.Series(samples.index % 3 == 0, index=samples.index)
    verdict = judge(changed(samples, "least_conn", 100, slow=turns))
    assert verdict.outcome is Outcome.FAIL
    assert "lambda D = 40" in verdict.reasons[0]


def test_a_slow_p95_is_in_doubt_and_a_fast_one_fails() -> None:
    samples = balancing_frames.slow_replica_samples()
    late = changed(samples, "least_conn", 100, latency=0.5)
    assert judge(late).outcome is Outcome.INCONCLUSIVE
    fast = samples["latency"].where(samples.index % 50 == 0, 0.003)
    assert judge(changed(samples, "round_robin", 100, latency=fast)).outcome is Outcome.FAIL


def test_a_lost_request_fails() -> None:
    samples = balancing_frames.slow_replica_samples()
    samples.loc[5, "ok"] = False
    assert judge(samples).outcome is Outcome.FAIL


def test_what_proves_nothing_is_inconclusive() -> None:
    samples = balancing_frames.slow_replica_samples()
    for useless in (samples.assign(lag=0.3), samples.iloc[::20], samples.assign(latency=0.003)):
        assert judge(useless).outcome is Outcome.INCONCLUSIVE


def test_one_lagged_attempt_of_three_leaves_the_other_two() -> None:
    samples = balancing_frames.slow_replica_samples()
    late = samples.assign(lag=0.3, attempt=2)
    once = pd.concat([samples, late, samples.assign(attempt=3)], ignore_index=True)
    verdict = judge(once)
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["cases"][0]["counted"].startswith("800 of 1200 counted")
    twice = pd.concat([once, late.assign(attempt=4), late.assign(attempt=5)], ignore_index=True)
    assert judge(twice).outcome is Outcome.INCONCLUSIVE  # less than half is left


def test_the_figure_carries_both_shares_in_its_title() -> None:
    figure = slow_replica.plot(balancing_frames.slow_replica_samples(), PREDICTION)
    assert "33% by round_robin and 2% by least_conn" in figure.texts[0].get_text()
