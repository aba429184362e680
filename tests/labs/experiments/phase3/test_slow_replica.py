"""One slow replica: the formula, and shares and quantiles that miss it."""

from collections.abc import Sequence

import numpy as np
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


def choose(times: Sequence[float], delay: float, replicas: int) -> float:
    """Return the share of the last of n replicas as nginx's least_conn chooses, the others answering at once.

    Among the replicas with the fewest connections nginx takes turns by current weights
    (ngx_http_upstream_least_conn_module.c).
    """
    weights, free, slow = [0] * replicas, 0.0, 0
    for time in times:
        tied = list(range(replicas if free <= time else replicas - 1))
        for replica in tied:
            weights[replica] += 1
        best = max(tied, key=lambda replica: weights[replica])
        weights[best] -= len(tied)
        if best == replicas - 1:
            free, slow = time + delay, slow + 1
    return slow / len(times)


@pytest.mark.parametrize("replicas", [3, 5])
@pytest.mark.parametrize("arrivals", [0.4, 0.8, 1.6, 10.5, 40.5])
def test_the_formula_is_what_nginxs_rule_gives(arrivals: float, replicas: int) -> None:
    even = np.arange(20_000) / 100
    random = np.random.default_rng(7).exponential(0.01, 20_000).cumsum()
    for name, times in (("even", even), ("poisson", random)):
        table = slow_replica.predict([(100, arrivals / 100)], replicas=replicas, arrivals=name)  # type: ignore[arg-type]
        turns, least = table["share"]
        assert turns == pytest.approx(1 / replicas)
        assert least == pytest.approx(choose(times, arrivals / 100, replicas), rel=0.03)


def test_random_requests_come_early_where_even_ones_never_do() -> None:
    for arrivals, busy in (("even", 0.0), ("poisson", 0.55)):
        table = slow_replica.predict([(20, 0.04)], arrivals=arrivals)  # type: ignore[arg-type]
        assert table["busy"].unique() == pytest.approx(busy, abs=0.001)


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


def test_even_requests_named_random_fail() -> None:
    prediction = slow_replica.predict([(20, 0.04)], arrivals="poisson")
    samples = balancing_frames.slow_replica_samples()
    samples = samples[samples["rate"] == 20]
    parts = [samples.assign(attempt=number) for number in (1, 2)]
    verdict = slow_replica.judge(pd.concat(parts, ignore_index=True), prediction)
    assert verdict.reasons == (
        "least_conn at lambda D = 0.8: another share went to the slow replica than predicted",
    )


def test_a_twentieth_of_the_requests_is_too_many_under_load() -> None:
    samples = balancing_frames.slow_replica_samples()
    twentieth = pd.Series(samples.index % 20 == 0, index=samples.index)
    assert judge(changed(samples, "least_conn", 100, slow=twentieth)).outcome is Outcome.FAIL


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
    assert "33% of the requests by round_robin, 2.2% by least_conn" in figure.texts[0].get_text()
