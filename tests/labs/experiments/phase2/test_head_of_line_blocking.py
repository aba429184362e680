"""A share of bystanders: which count, which waited, and which share is too far off."""

import pandas as pd
import pytest

from labs.experiments.bystanders import classify
from labs.experiments.phase2 import head_of_line_blocking
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import blocking_frames as frames

PREDICTION = frames.head_of_line_blocking_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return head_of_line_blocking.judge(samples, PREDICTION)


def test_of_n_replicas_one_share_waits() -> None:
    assert head_of_line_blocking.predict([1, 2, 4])["share"].tolist() == [1, 0.5, 0.25]


def test_a_share_1_over_n_passes() -> None:
    verdict = judge(frames.head_of_line_blocking_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


def test_only_bystanders_of_the_computation_count() -> None:
    requests = classify(frames.head_of_line_blocking_samples())
    since = requests["intended"] - frames.BEGAN
    counted = since[requests["counts"]]
    assert counted.min() >= 0.4
    assert counted.max() <= 0.8
    assert not requests["waited"][since > 0.96].any()


def test_a_loop_that_goes_on_fails_on_a_busy_machine_too() -> None:
    verdict = judge(frames.head_of_line_blocking_samples(blocked=0, others=1.5))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0] == "1 replica: fewer bystanders waited than predicted"


def test_blocking_every_replica_fails_on_a_calm_machine_only() -> None:
    samples = frames.head_of_line_blocking_samples()
    alone = samples[samples["replicas"] == 1]
    everywhere = pd.concat([alone.assign(replicas=n) for n in (1, 2, 3)])
    assert judge(everywhere).outcome is Outcome.FAIL
    assert judge(everywhere.assign(others=1.2)).outcome is Outcome.INCONCLUSIVE


def test_too_few_bystanders_are_inconclusive() -> None:
    verdict = judge(frames.head_of_line_blocking_samples().iloc[::8])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_an_attempt_whose_generator_lagged_is_set_aside() -> None:
    lagged = frames.head_of_line_blocking_samples(blocked=0).assign(lag=0.3)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    good = frames.head_of_line_blocking_samples().assign(attempt=2)
    assert judge(pd.concat([lagged, good], ignore_index=True)).outcome is Outcome.PASS


@pytest.mark.parametrize(("column", "value"), [("ok", False), ("computed", 503.0)])
def test_a_request_without_an_answer_fails(column: str, value: bool | float) -> None:
    samples = frames.head_of_line_blocking_samples()
    samples.loc[30, column] = value
    assert judge(samples).outcome is Outcome.FAIL


def test_the_details_say_how_many_counted() -> None:
    (case, *_) = judge(frames.head_of_line_blocking_samples()).details["cases"]
    assert case["counted"].startswith("17 of 28 counted (set aside: sent within 0.15 s of")


def test_the_figure_names_shares_and_marks_what_was_set_aside() -> None:
    figure = head_of_line_blocking.plot(frames.head_of_line_blocking_samples(), PREDICTION)
    assert figure.axes[2].get_title(loc="left").startswith("3 replicas: 33% wait, predicted;")
    assert "set aside: sent within 0.15 s" in figure.get_supxlabel()
    assert "set aside" in {text.get_text() for text in figure.legends[0].get_texts()}
