"""Rolling replacement: what passes, what fails, and what is inconclusive."""

import pandas as pd
import pytest

from labs.experiments.phase3 import rolling_replacement
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import release_frames

FRAME = release_frames.rolling_replacement_samples
PREDICTION = release_frames.rolling_replacement_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return rolling_replacement.judge(samples, PREDICTION)


def test_the_new_version_takes_over_in_one_stage_per_replica() -> None:
    table = rolling_replacement.predict(replicas=5)
    assert table["share"].tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert not table["failed"].any()


def test_a_roll_that_loses_nothing_passes() -> None:
    verdict = judge(FRAME())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    counts = [case["attempts"][0]["requests"] for case in verdict.details["cases"]]
    assert counts == [60, 240, 60]


@pytest.mark.parametrize("at", [0, 100, -1])
def test_one_lost_post_fails_whenever_it_was(at: int) -> None:
    samples = FRAME()
    samples.loc[samples.index[at], ["ok", "status", "created"]] = [False, 502, 0]
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{samples['step'].iloc[at]}: a POST failed",)


@pytest.mark.parametrize("created", [0, 2])
def test_a_user_that_is_missing_or_created_twice_fails(created: int) -> None:
    samples = FRAME()
    samples.loc[100, "created"] = created
    assert judge(samples).reasons == ("rolling: a POST did not create its user exactly once",)


@pytest.mark.parametrize(("at", "version"), [(3, "2"), (-9, "1"), (-9, "")])
def test_the_other_version_before_or_after_the_roll_fails(at: int, version: str) -> None:
    samples = FRAME()
    samples.loc[samples.index[at : at + 6], "version"] = version
    assert judge(samples).outcome is Outcome.FAIL


def test_posts_that_are_too_short_or_too_few_prove_nothing() -> None:
    short = judge(FRAME().assign(latency=0.01))
    assert short.outcome is Outcome.INCONCLUSIVE
    assert "USER_SECONDS" in short.reasons[0]
    assert judge(FRAME()[45:]).reasons == ("version 1: too few requests",)


def disturbances() -> dict[str, pd.DataFrame]:
    """Return what a busy machine may do to a measurement, each with a POST that was lost."""
    slow = FRAME()
    slow.loc[100:200, "latency"] = 1.4
    disturbed = {"schedule": FRAME().assign(lag=0.3), "too busy": slow}
    for samples in disturbed.values():
        samples.loc[100, ["ok", "created"]] = [False, 0]
    return disturbed


@pytest.mark.parametrize("because", disturbances())
def test_an_attempt_on_a_busy_machine_shows_nothing(because: str) -> None:
    disturbed = disturbances()[because]
    verdict = judge(disturbed)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert because in verdict.reasons[0]
    calm = FRAME().assign(attempt=2)
    assert judge(pd.concat([disturbed, calm], ignore_index=True)).outcome is Outcome.PASS
    calm.loc[100, ["ok", "created"]] = [False, 0]
    assert judge(pd.concat([disturbed, calm], ignore_index=True)).outcome is Outcome.FAIL


def test_the_figure_has_a_lane_for_each_replica() -> None:
    axes = rolling_replacement.plot(FRAME(), PREDICTION).axes[0]
    lanes = [label.get_text() for label in axes.get_yticklabels()]
    assert lanes == ["user-service-3", "user-service-2", "user-service-1"]
    assert "predicted" in axes.get_legend_handles_labels()[1]


def test_the_figure_draws_the_attempt_that_was_counted() -> None:
    late = FRAME().assign(lag=0.3, attempt=2)
    figure = rolling_replacement.plot(pd.concat([FRAME(), late], ignore_index=True), PREDICTION)
    assert "attempt 1 of 2" in figure.texts[1].get_text()


def test_a_post_that_reached_no_replica_is_drawn_below() -> None:
    samples = FRAME()
    samples.loc[100, ["ok", "replica", "version"]] = [False, "", ""]
    (failed,) = (
        line
        for line in rolling_replacement.plot(samples, PREDICTION).axes[0].lines
        if line.get_label() == "failed"
    )
    assert list(failed.get_ydata()) == [-1]  # type: ignore[arg-type]
