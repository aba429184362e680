"""Replay of a trace: another state after any action fails; what did not happen in time proves nothing."""

import pandas as pd
import pytest

from labs.experiments.phase5 import trace_replay
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.trace_replay_prediction()


def changed(step: int, **values: object) -> pd.DataFrame:
    samples = frames.trace_replay_samples()
    for column, value in values.items():
        samples.loc[samples["step"] == step, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return trace_replay.judge(samples, PREDICTION)


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.trace_replay_samples()).outcome is Outcome.PASS


def test_the_prediction_is_the_checkers() -> None:
    pd.testing.assert_frame_equal(trace_replay.predict(), PREDICTION)


def test_the_wrong_designs_states_fail_at_the_step_where_they_differ() -> None:
    samples = frames.trace_replay_samples()
    samples.loc[:7, "states"] = PREDICTION["wrong"]
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].startswith("step 4, payment reads OrderCancelled: the states")


def test_an_event_that_the_model_does_not_publish_fails() -> None:
    verdict = judge(changed(6, possible=True))
    assert verdict.outcome is Outcome.FAIL
    assert "something to do where the model has nothing" in verdict.reasons[0]


def test_an_end_that_the_model_excludes_fails() -> None:
    assert judge(changed(9, allowed=False)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "samples",
    [
        changed(4, possible=False),
        frames.trace_replay_samples().assign(resting=False),
        frames.trace_replay_samples().iloc[:7],
    ],
)
def test_what_did_not_happen_in_time_proves_nothing(samples: pd.DataFrame) -> None:
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_the_figure_names_the_end() -> None:
    figure = trace_replay.plot(frames.trace_replay_samples(), PREDICTION)
    assert figure.texts[0].get_text() == (
        "6 of 8 actions were possible, and the order ended cancelled/barred/barred"
    )
