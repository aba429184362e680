"""Retry storm: the arithmetic, and a judge that counts every call."""

import pandas as pd
import pytest

from labs.experiments.phase1 import retry_storm
from labs.experiments.phase1.retry_storm import BREAKER, BUDGET, ONE, TWO
from labs.verdicts import Outcome, Verdict
from microservices.api_gateway import budget
from tests.labs.experiments.phase1 import gateway_frames
from tests.labs.experiments.phase1.gateway_frames import retry_storm_samples

PREDICTION = gateway_frames.retry_storm_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return retry_storm.judge(samples, PREDICTION)


def test_tries_multiply_from_layer_to_layer_and_a_breaker_bounds_them() -> None:
    calls = retry_storm.predict(tries=(1, 2, 3), clicks=1).set_index(["way", "tries"])["calls"]
    assert calls[ONE].to_list() == [1, 2, 3]
    assert calls[TWO].to_list() == [1, 4, 9]
    assert calls[BREAKER].to_list() == [1, 2, 3]
    many = retry_storm.predict(clicks=100).set_index("way")["calls"]
    assert set(many[BREAKER]) == {3}


def test_a_budget_admits_the_same_retries_whatever_the_tries() -> None:
    rows = retry_storm.predict(tries=(1, 2, 3), seconds=1.0).set_index(["way", "tries"])
    assert rows["calls"][BUDGET].to_list() == [200, 350, 350]
    held = (retry_storm.SAVED, retry_storm.SHARE, retry_storm.PER_SECOND)
    assert held == (budget.MOST, budget.SHARE, budget.PER_SECOND)


@pytest.mark.parametrize(("tries", "calls"), [(3, 600), (3, 362), (3, 330), (1, 201), (2, 200)])
def test_more_or_fewer_calls_than_the_budget_admits_fail(tries: int, calls: int) -> None:
    samples = retry_storm_samples()
    samples.loc[(samples["way"] == BUDGET) & (samples["tries"] == tries), "calls"] = calls
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith(BUDGET)


def test_a_slow_machine_gives_the_budget_more_time() -> None:
    samples = retry_storm_samples()
    three = (samples["way"] == BUDGET) & (samples["tries"] == 3)
    samples.loc[three, ["calls", "seconds"]] = [380, 4.1]
    assert judge(samples).outcome is Outcome.PASS


def test_the_storm_as_predicted_passes() -> None:
    verdict = judge(retry_storm_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("way", [ONE, TWO, BREAKER])
def test_one_call_more_or_less_fails(way: str, change: int) -> None:
    samples = retry_storm_samples()
    first = samples[(samples["way"] == way) & (samples["tries"] == 3)].index[0]
    samples.loc[first, "calls"] += change
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith(f"{way}, 3 tries")


def test_a_call_that_moved_from_one_click_to_the_next_fails() -> None:
    samples = retry_storm_samples()
    first, second = samples[(samples["way"] == TWO) & (samples["tries"] == 2)].index[:2]
    samples.loc[[first, second], "calls"] += [1, -1]
    assert judge(samples).outcome is Outcome.FAIL


@pytest.mark.parametrize("failures", [2, 4, 10**6])
def test_a_breaker_that_opens_at_another_number_fails(failures: int) -> None:
    assert judge(retry_storm_samples(breaker_failures=failures)).outcome is Outcome.FAIL


def test_tries_that_add_instead_of_multiplying_fail() -> None:
    samples = retry_storm_samples()
    two = (samples["way"] == TWO) & (samples["tries"] == 3)
    samples.loc[two, "calls"] = 6
    assert judge(samples).outcome is Outcome.FAIL


def test_a_click_that_succeeded_or_was_not_made_is_inconclusive() -> None:
    samples = retry_storm_samples()
    samples.loc[samples["way"].eq(ONE).idxmax(), "status"] = 201
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("one layer, 1 try: the fault never hit",)
    assert judge(retry_storm_samples().query("tries < 3")).outcome is Outcome.INCONCLUSIVE


def test_the_figure_has_a_logarithmic_scale() -> None:
    axes = retry_storm.plot(retry_storm_samples(), PREDICTION).axes[0]
    assert axes.get_yscale() == "log"
    assert "(log)" in axes.get_ylabel()
