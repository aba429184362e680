"""What the judge of the two coordinations accepts, refuses, and leaves open."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase5 import coordination
from labs.experiments.phase5.names import COMPLETED, OUTCOMES
from labs.experiments.phase5.outcomes import SHARES
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5.frames import coordination_prediction, coordination_samples

LONGER = "the times of completed orders have another ratio than the hops"


def judge(samples: pd.DataFrame) -> Verdict:
    return coordination.judge(samples, coordination_prediction())


def orchestrated(samples: pd.DataFrame) -> pd.Series:
    return samples["coordination"] == coordination.ORCHESTRATION


def test_messages_per_order_are_those_of_the_arithmetic() -> None:
    prediction = coordination_prediction()
    weights = prediction["outcome"].map(SHARES)
    means = (prediction["messages"] * weights).groupby(prediction["coordination"]).sum()
    assert means[coordination.CHOREOGRAPHY] == pytest.approx(3.84)
    assert means[coordination.ORCHESTRATION] == pytest.approx(5.68)


def test_what_is_predicted_passes() -> None:
    assert judge(coordination_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_one_message_more_fails(outcome: str) -> None:
    samples = coordination_samples()
    one = samples.index[orchestrated(samples) & (samples["outcome"] == outcome)][0]
    samples.loc[one, "messages"] += 1
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        f"orchestration, {outcome}: an order took another number of messages",
    )


def test_a_message_too_many_fails_though_nothing_comes_to_rest() -> None:
    samples = coordination_samples().assign(resting=False)
    samples.loc[samples.index[0], "messages"] += 1
    assert judge(samples).outcome is Outcome.FAIL


def test_an_order_with_another_end_fails() -> None:
    samples = coordination_samples()
    samples.loc[samples.index[0], "outcome"] = "deadline"
    assert judge(samples).outcome is Outcome.FAIL


def test_reserving_without_being_asked_fails() -> None:
    samples = coordination_samples()
    away = orchestrated(samples) & (samples["part"] == coordination.AWAY)
    samples.loc[away & (samples["outcome"] == COMPLETED), "reserved_while_away"] = True
    assert "the others did not act as predicted" in str(judge(samples).reasons)


@pytest.mark.parametrize(
    ("factor", "outcome"), [(0.75, Outcome.FAIL), (1.1, Outcome.PASS), (1.5, Outcome.FAIL)]
)
def test_the_time_fails_when_two_attempts_show_it(factor: float, outcome: Outcome) -> None:
    once = coordination_samples()
    once.loc[orchestrated(once), "seconds"] *= factor
    twice = pd.concat([once, once.assign(attempt=2)])
    assert judge(twice).outcome is outcome
    if outcome is Outcome.FAIL:
        assert judge(once).outcome is Outcome.INCONCLUSIVE
        assert (
            judge(pd.concat([once, coordination_samples().assign(attempt=2)])).outcome
            is Outcome.PASS
        )


@pytest.mark.parametrize(
    "change",
    [{"resting": False}, {"order": ""}],
)
def test_what_is_not_known_is_inconclusive(change: dict[str, object]) -> None:
    assert judge(coordination_samples().assign(**change)).outcome is Outcome.INCONCLUSIVE


def test_an_order_without_its_end_in_kafka_is_not_timed() -> None:
    samples = coordination_samples()
    samples.loc[orchestrated(samples), "seconds"] = np.nan
    assert judge(samples).outcome is Outcome.INCONCLUSIVE
    assert coordination.plot(samples, coordination_prediction()).axes
