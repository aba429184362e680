"""Blue-green: what passes, what fails, and what is inconclusive."""

import pandas as pd
import pytest

from labs.experiments.phase3 import blue_green
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import release_frames

FRAME = release_frames.blue_green_samples
PREDICTION = release_frames.blue_green_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return blue_green.judge(samples, PREDICTION)


def test_a_switch_and_a_switch_back_that_lose_nothing_pass() -> None:
    verdict = judge(FRAME())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize(("step", "version"), [("blue", "2"), ("green", "1"), ("blue again", "2")])
def test_a_colour_that_answers_out_of_its_time_fails(step: str, version: str) -> None:
    samples = FRAME()
    samples.loc[samples[samples["step"] == step].index[5:10], "version"] = version
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{step}: the other version answered, too",)


def test_an_idle_connection_may_carry_one_request_the_old_way() -> None:
    samples = FRAME()
    green = samples[samples["step"] == "green"].index
    samples.loc[green[:4], "version"] = "1"
    assert judge(samples).outcome is Outcome.FAIL
    answered = samples["step"].isin(["blue", "switch"]) & (samples.index < green[0] - 4)
    samples.loc[samples[answered].index[-2:], "latency"] = 0.001  # two connections less were busy
    assert judge(samples).outcome is Outcome.PASS


def test_no_request_may_stray_before_the_first_change() -> None:
    samples = FRAME()
    samples.loc[3, "version"] = "2"
    assert judge(samples).outcome is Outcome.FAIL


@pytest.mark.parametrize("step", ["blue", "switch", "back"])
def test_one_lost_post_fails_whenever_it_was(step: str) -> None:
    samples = FRAME()
    samples.loc[samples[samples["step"] == step].index[1], ["ok", "created"]] = [False, 0]
    assert judge(samples).reasons == (f"{step}: a POST failed",)


def test_too_few_requests_of_a_colour_are_inconclusive() -> None:
    samples = FRAME()
    green = samples[samples["step"] == "green"].index
    verdict = judge(samples.drop(green[15:]))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("green: too few requests",)


def test_the_figure_draws_the_switch_on_the_measurement() -> None:
    figure = blue_green.plot(FRAME(), PREDICTION)
    steps = [text.get_text() for text in figure.axes[0].texts]
    assert steps == ["blue", "switch", "green", "back", "blue again"]
