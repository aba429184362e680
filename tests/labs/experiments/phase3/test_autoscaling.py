"""Autoscaling: the formula, the window, and the loops that keep to neither."""

import pandas as pd
import pytest

from environment.errors import LabError
from labs.experiments.phase3 import autoscaler, autoscaling
from labs.experiments.phase3.autoscaler import (
    TARGET,
    changes_of_direction,
    recommended,
    stabilised,
)
from labs.experiments.phase3.autoscaling import WITH, WITHOUT
from labs.experiments.phase3.scaling_loop import next_replicas
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import balancing_frames
from tests.mutants.mechanisms import function, source

PREDICTION = balancing_frames.autoscaling_prediction()
FRAME = balancing_frames.autoscaling_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return autoscaling.judge(samples, PREDICTION)


def changed(loop: str, interval: int, **values: object) -> pd.DataFrame:
    """Return the frame with other values in one interval of one loop."""
    samples = FRAME()
    place = (samples["loop"] == loop) & (samples["interval"] == interval)
    for name, value in values.items():
        samples.loc[place, name] = value
    return samples


@pytest.mark.parametrize(
    ("replicas", "utilisation", "wanted"),
    [
        (2, 2 * TARGET, 4),
        (4, 1.01 * TARGET / 2, 3),  # 2.02, rounded up
        (3, 1.09 * TARGET, 3),  # within a tenth
        (3, 1.12 * TARGET, 4),
        (1, 0.0, 1),
        (8, 1.0, 8),
    ],
)
def test_the_formula_rounds_up_and_keeps_what_is_near(
    replicas: int, utilisation: float, wanted: int
) -> None:
    assert recommended(replicas, utilisation) == wanted


def test_the_window_scales_up_at_once_and_down_late() -> None:
    assert [stabilised([2, 4, 1, 1, 1][: n + 1], 3) for n in range(5)] == [2, 4, 4, 4, 1]
    assert stabilised([2, 4, 1], 1) == 1


@pytest.mark.parametrize("swings", [1, 3])
def test_each_swing_is_followed_unless_there_is_a_window(swings: int) -> None:
    table = autoscaling.predict(swings=swings, window=2).groupby("loop")["chosen"]
    turns = {loop: changes_of_direction(list(chosen)) for loop, chosen in table}
    assert turns == {WITHOUT: 2 * swings + 1, WITH: 1}


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(FRAME())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    without, with_window = (case["attempts"][0] for case in verdict.details["cases"])
    assert (without["changes"], with_window["changes"]) == (3, 1)


def test_a_step_that_is_not_the_formulas_fails() -> None:
    verdict = judge(changed(WITH, 3, chosen=2))  # as without the window
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{WITH}: a step was not the formula's",)


@pytest.mark.parametrize(
    ("twin", "loops"),
    [
        ("forgets_the_window", [WITH]),
        ("rounds_to_nearest", [WITHOUT, WITH]),
        ("mean_of_the_window", [WITH]),
        ("lowest_of_the_window", [WITH]),
        ("never_scales_down", [WITHOUT, WITH]),
        ("replicas_of_now", [WITH]),
        ("no_tolerance", []),
        ("no_bounds", []),
    ],
)
def test_a_loop_by_a_wrong_function_fails(
    twin: str, loops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(autoscaler, "choose", function("p3-m", source("p3-m", twin)))
        table = balancing_frames.autoscaling_prediction()
    verdict = judge(FRAME(table))
    assert verdict.reasons == tuple(f"{loop}: a step was not the formula's" for loop in loops)


@pytest.mark.parametrize("returned", [0, 9, 2.0, None, True])
def test_a_number_of_replicas_that_cannot_run_is_explained(returned: object) -> None:
    interval = autoscaler.Interval(2, 0.25)
    with pytest.raises(LabError, match=rf"utilisation of 0.25 `choose` returned {returned}\. Ret"):
        next_replicas(lambda intervals, window: returned, 1, [interval])  # type: ignore[arg-type,return-value]


def test_other_replicas_at_work_than_were_chosen_fail() -> None:
    assert judge(changed(WITH, 4, answering=4)).outcome is Outcome.FAIL
    assert judge(changed(WITH, 4, answering=2)).outcome is Outcome.FAIL
    assert judge(changed(WITH, 6, answering=2)).outcome is Outcome.PASS  # too few requests for all


def test_a_lost_request_fails() -> None:
    assert judge(changed(WITHOUT, 2, ok=False)).outcome is Outcome.FAIL


def test_a_slow_machine_and_another_load_are_inconclusive() -> None:
    assert judge(changed(WITH, 2, late=0.5, answering=9)).outcome is Outcome.INCONCLUSIVE
    assert judge(FRAME().assign(lag=0.3)).outcome is Outcome.INCONCLUSIVE
    more = changed(WITHOUT, 1, utilisation=0.9, chosen=3)
    assert judge(more).reasons == (f"{WITHOUT}: the utilisation was not the predicted one",)


def test_a_calm_attempt_settles_what_a_disturbed_one_left_open() -> None:
    late = changed(WITH, 2, late=0.5, answering=9)
    assert judge(late).extend
    assert not judge(pd.concat([late, late.assign(attempt=2)])).extend  # it takes too long
    both = pd.concat([late, FRAME().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_the_figure_draws_the_attempt_that_decided() -> None:
    late = changed(WITH, 2, late=0.5, answering=9, chosen=4).assign(attempt=2)
    figure = autoscaling.plot(pd.concat([FRAME(), late], ignore_index=True), PREDICTION)
    assert "3 times, with it 1" in figure.texts[0].get_text()
