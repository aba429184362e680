"""What a bundle adds to its class is taken from its samples and checked anew; what is odd is left out."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from labs.answering import MOST_CHARACTERS as MOST_JSON
from labs.grading.contributions import MOST_CHARACTERS, Answered, answer_text
from labs.grading.evaluation import Grade, evaluate
from tests.labs.grading.bundles import Files, pack, with_record

HOP = {"overhead_ms": {"value": 2, "sure": 0.8}}


def graded(path: Path, files: Files, **facts: Any) -> Grade:
    pack(path / "it.zip", with_record(files, lambda record: record.update(facts)))
    return evaluate(path / "it.zip", "it.zip")


def test_a_guess_is_compared_with_the_samples_of_its_bundle(
    honest: dict[str, Files], tmp_path: Path
) -> None:
    (guess,) = graded(tmp_path, honest["phase1"], guesses={"hop": HOP}).guesses
    assert guess[:4] == ("hop", "overhead_ms", 2, 0.8)
    assert guess.measured == pytest.approx(1, rel=0.1)
    assert (guess.theory, guess.right) == (pytest.approx(2), True)


def test_a_stored_comparison_is_not_used(honest: dict[str, Files], tmp_path: Path) -> None:
    stored = {"value": 900, "sure": 1, "measured": 900, "theory": 900, "right": True}
    (guess,) = graded(tmp_path, honest["phase1"], guesses={"hop": {"overhead_ms": stored}}).guesses
    assert guess.right is False
    assert guess.measured == pytest.approx(1, rel=0.1)


def test_a_guess_without_samples_is_neither_right_nor_wrong(
    honest: dict[str, Files], tmp_path: Path
) -> None:
    files = {name: data for name, data in honest["phase1"].items() if "hop" not in name}
    (guess,) = graded(tmp_path, files, guesses={"hop": HOP}).guesses
    assert guess[4:] == (None, None, None)


@pytest.mark.parametrize(
    "guesses",
    [
        None,
        [],
        {"hop": []},
        {"hop": {"overhead_ms": 2}},
        {"hop": {"<b>": {"value": 2, "sure": 0.8}}},
        {"<b>": HOP},
        {"startup": {"share": {"value": 2, "sure": 0.8}}},
        *(
            {"hop": {"overhead_ms": {"value": value, "sure": 0.8}}}
            for value in ("2", True, None, [2], math.nan, math.inf, 10**400)
        ),
        *(
            {"hop": {"overhead_ms": {"value": 2, "sure": sure}}}
            for sure in (None, "0.8", 0.4, 7, math.nan)
        ),
    ],
)
def test_a_guess_that_is_none_is_left_out(
    honest: dict[str, Files], tmp_path: Path, guesses: object
) -> None:
    grade = graded(tmp_path, honest["phase1"], guesses=guesses)
    assert grade.guesses == []
    assert grade.verdicts["hop"] == "pass"


def test_each_attempt_at_an_exercise_is_checked_anew(
    honest: dict[str, Files], tmp_path: Path
) -> None:
    answers = [
        {"exercise": "p1-1", "answer": 3, "right": True},
        {"exercise": "p1-1", "answer": 5.0, "right": False},
    ]
    grade = graded(tmp_path, honest["phase1"], answers=answers)
    numbers = "limit=3, seconds=1"
    assert grade.answered == [
        Answered("p1-1", "3", False, numbers),
        Answered("p1-1", "5", True, numbers),
    ]


def test_an_answer_is_checked_with_the_numbers_of_the_students_seed(
    honest: dict[str, Files], tmp_path: Path
) -> None:
    answers = [{"exercise": "p1-1", "answer": 5, "right": True}]
    grade = graded(tmp_path, honest["phase1"], answers=answers, seed=8)
    (answered,) = grade.answered
    assert not answered.right
    assert answered.numbers.startswith("limit=")
    assert answered.numbers != "limit=3, seconds=1"


@pytest.mark.parametrize(
    "answers",
    [
        None,
        {"p1-1": 3},
        ["p1-1"],
        [{"exercise": ["p1-1"], "answer": 3}],
        [{"exercise": "p1-99", "answer": 3}],
        [{"exercise": "p1-1"}],
        [{"exercise": "p4-1", "answer": 3}],
    ],
)
def test_an_answer_that_is_none_is_left_out(
    honest: dict[str, Files], tmp_path: Path, answers: object
) -> None:
    grade = graded(tmp_path, honest["phase1"], answers=answers)
    assert grade.answered == []
    assert grade.verdicts["hop"] == "pass"


@pytest.mark.parametrize("answer", ["red", None, {"a": 1}, [[1]], "x" * 10_000, "\ud800", 10**400])
def test_an_answer_of_another_kind_is_wrong(
    honest: dict[str, Files], tmp_path: Path, answer: object
) -> None:
    attempt = {"exercise": "p1-1", "answer": answer, "right": True}
    (answered,) = graded(tmp_path, honest["phase1"], answers=[attempt]).answered
    assert answered == Answered("p1-1", "", False, "limit=3, seconds=1", odd=True)


def test_an_answer_that_is_too_long_is_not_checked(
    honest: dict[str, Files], tmp_path: Path
) -> None:
    """The grader gives the same verdict: there is one limit."""
    long = ["GET /users"] * MOST_JSON
    grade = graded(tmp_path, honest["phase0"], answers=[{"exercise": "p0-1", "answer": long}])
    assert [(each.right, each.odd) for each in grade.answered] == [(False, True)]
    assert grade.answers["p0-1"] == "odd"


def test_equal_answers_have_one_text() -> None:
    assert answer_text(2) == answer_text(2.0) == "2"
    assert answer_text(" two\nwords ") == "two words"
    assert answer_text([1.0, "a"]) == "1, a"
    assert answer_text(json.loads("true")) == "true"


def test_a_text_is_short_and_can_be_printed() -> None:
    assert answer_text("tax\u202e\u0007\ud800 free\u200b") == "tax free"
    assert answer_text(["a\x1b[31m"]) == "a[31m"
    assert len(answer_text("x" * 10_000)) == len(answer_text([1] * 10_000)) == MOST_CHARACTERS


def test_the_text_of_a_designed_measurement_is_its_conclusion() -> None:
    designed = {"plan": "rude", "samples": [1], "found": [0.1, 2], "holds": False, "more": "rude"}
    assert answer_text(designed) == '{"found": [0.1, 2], "holds": false}'
    assert answer_text(designed | {"found": ["rude"], "predicted": "rude"}) == '{"holds": false}'
