"""Exact answers: one to a question, several, or none."""

import pandas as pd
import pytest

from labs.experiments.answers import compare, judge_exact
from labs.verdicts import Outcome, Verdict

KEYS = ("service", "check")
PREDICTION = pd.DataFrame(
    {"service": ["users", "orders"], "check": ["status", "status"], "expected": ["200", "503"]}
)


def samples(*answers: tuple[str, str]) -> pd.DataFrame:
    rows = [
        {"service": name, "check": "status", "observed": observed} for name, observed in answers
    ]
    return pd.DataFrame(rows).assign(attempt=1)


def judge(*answers: tuple[str, str]) -> Outcome:
    return judge_exact("answers", "they are right", samples(*answers), PREDICTION, KEYS).outcome


def test_every_answer_as_predicted_passes() -> None:
    assert judge(("users", "200"), ("orders", "503"), ("users", "200")) is Outcome.PASS


def test_one_wrong_answer_among_right_ones_fails_and_is_shown() -> None:
    answers = [("users", "200"), ("users", "500"), ("orders", "503")]
    assert compare(samples(*answers), PREDICTION, KEYS)["observed"][0] == "200 / 500"
    assert judge(*answers) is Outcome.FAIL


def test_a_question_that_was_not_asked_is_inconclusive() -> None:
    assert judge(("users", "200")) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("status", ["503", "200"])
def test_with_a_doubt_neither_right_nor_wrong_answers_count(status: str) -> None:
    answered = samples(("users", "200"), ("orders", status))
    verdict = judge_exact("a", "b", answered, PREDICTION, KEYS, doubts=["it never stopped"])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("it never stopped",)


def test_an_excuse_puts_wrong_answers_in_doubt_and_no_right_ones() -> None:
    def excused(*answers: tuple[str, str]) -> Verdict:
        return judge_exact("a", "b", samples(*answers), PREDICTION, KEYS, excuse="it was busy")

    assert excused(("users", "200"), ("orders", "503")).outcome is Outcome.PASS
    verdict = excused(("users", "200"), ("orders", "200"))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("orders: status: not as predicted, but it was busy",)


def test_only_the_last_attempt_counts() -> None:
    first = samples(("users", "500"), ("orders", "503"))
    second = samples(("users", "200"), ("orders", "503")).assign(attempt=2)
    both = compare(pd.concat([first, second]), PREDICTION, KEYS)
    assert list(both["observed"]) == ["200", "503"]
