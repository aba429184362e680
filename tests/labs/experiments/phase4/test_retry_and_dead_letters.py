"""Retry and dead letters: waits that double, poison that becomes a dead letter, good messages that are not lost."""

import pandas as pd
import pytest

from labs.experiments.phase4 import retry_and_dead_letters
from labs.experiments.phase4.failed_attempts import read_attempts
from labs.experiments.phase4.poison import UNKNOWN, UNREADABLE, payment
from labs.experiments.phase4.retry_and_dead_letters import GOOD
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4 import delivery_frames as frames

PREDICTION = frames.retry_and_dead_letters_prediction()


def changed(kind: str, **values: object) -> pd.DataFrame:
    """The first message of a kind, otherwise than it should be."""
    samples = frames.retry_and_dead_letters_samples()
    row = samples.index[samples["kind"] == kind][0]
    for name, value in values.items():
        samples.loc[row, name] = value
    return samples


def waits(*, first: float, second: float, idle: float = 1.0) -> pd.DataFrame:
    samples = frames.retry_and_dead_letters_samples().assign(idle=idle)
    tried = samples["kind"] == UNKNOWN
    samples.loc[tried, "attempt_2"] = samples["attempt_1"] + first
    samples.loc[tried, "attempt_3"] = samples["attempt_1"] + first + second
    samples.loc[tried, "ended"] = samples["attempt_3"] + 0.01
    samples.loc[(samples["kind"] == GOOD) & (samples["partition"] < 3), "ended"] += 2
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return retry_and_dead_letters.judge(samples, PREDICTION)


def test_waits_between_attempts_double() -> None:
    rows = retry_and_dead_letters.predict(tries=4, first_wait=0.1)
    assert rows["low"].to_list() == pytest.approx([0, 0.1, 0.3, 0.7])
    assert rows["high"].to_list() == pytest.approx([0, 0.11, 0.33, 0.77])


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.retry_and_dead_letters_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("kind", [UNKNOWN, UNREADABLE])
def test_a_poison_that_is_no_dead_letter_fails(kind: str) -> None:
    verdict = judge(changed(kind, letters=0, ended=None))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"a message {kind} is not among the dead letters",)


def test_a_good_message_that_is_not_processed_fails() -> None:
    assert judge(changed(GOOD, ended=None)).reasons == ("a good message was not processed",)


def test_a_good_message_that_overtakes_the_poison_fails() -> None:
    verdict = judge(changed(GOOD, ended=frames.BEGAN + 0.2))
    assert verdict.reasons == ("a good message overtook the poison before it",)


@pytest.mark.parametrize(("first", "second"), [(0.2, 0.2), (0.1, 0.4), (0.0, 0.0)])
def test_waits_that_do_not_double_fail(first: float, second: float) -> None:
    verdict = judge(waits(first=first, second=second))
    assert verdict.outcome is Outcome.FAIL
    assert "shorter than predicted" in verdict.reasons[0]


def test_long_waits_fail_on_idle_cores_only() -> None:
    assert judge(waits(first=0.2, second=0.9)).outcome is Outcome.FAIL
    verdict = judge(waits(first=0.2, second=0.9, idle=0.1))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("wait 2: too long, on busy cores",)


def test_one_held_up_wait_among_others_is_the_machine_s() -> None:
    assert judge(changed(UNKNOWN, attempt_3=frames.BEGAN + 0.648)).outcome is Outcome.PASS


def test_a_message_that_is_not_tried_again_fails() -> None:
    samples = frames.retry_and_dead_letters_samples()
    verdict = judge(samples.assign(attempt_2=float("nan"), attempt_3=float("nan")))
    assert verdict.reasons == (
        "wait 1: there was no attempt after it",
        "wait 2: there was no attempt after it",
    )


def test_without_a_good_message_behind_the_verdict_is_inconclusive() -> None:
    samples = frames.retry_and_dead_letters_samples()
    samples.loc[samples["kind"] == GOOD, ["arrived", "ended"]] += 5
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_attempts_are_read_from_a_log_with_other_lines() -> None:
    log = "\n".join(
        [
            "Traceback",
            "7",
            '{"message": "started", "time": "2026-01-01T00:00:00+00:00"}',
            '{"message": "attempt failed", "orderId": "order-1", "attempt": 2, '
            '"time": "2026-01-01T00:00:01.250000+00:00"}',
        ]
    )
    rows = read_attempts(log)
    assert rows[["order", "attempt"]].to_numpy().tolist() == [["order-1", 2]]
    assert rows["time"].iloc[0] % 60 == pytest.approx(1.25)


def test_the_payment_of_no_order_names_it() -> None:
    assert '"orderId": "order-1"' in payment("order-1")


def test_the_title_has_the_longest_wait_behind_the_poison() -> None:
    figure = retry_and_dead_letters.plot(frames.retry_and_dead_letters_samples(), PREDICTION)
    assert (
        figure.texts[0]
        .get_text()
        .startswith("4 of 4 poison messages became dead letters; those behind waited up to 0.")
    )
