"""A run keeps each answer to an exercise in its record, as it was checked."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from environment.errors import LabError
from labs import answering
from labs.answering import NOT_PLAIN, Answers, as_json, plain
from labs.exercises import check, every_exercise, of
from labs.exercises.checking import OddAnswer
from labs.records import Run, load_record
from tests.labs.exercises.designs.handed_in import with_samples
from tests.labs.exercises.test_exercises import ODD, RIGHT, WRONG

GIVEN = [(id, one) for id, its in RIGHT.items() for one in its]
GIVEN += [(id, one) for id, its in WRONG.items() for one, _ in its]
GIVEN += [(id, one) for id, one, _ in ODD]
GIVEN += [
    ("p0-4", with_samples(RIGHT["p0-4"][0], lambda table: table.assign(note=unused)))  # noqa: B023
    for unused in (float("nan"), pd.NA, pd.NaT, pd.Timestamp(0), np.inf, b"200")
]
GIVEN += [("p1-1", pd.Series([5])), ("p1-1", np.array(5)), ("p0-1", iter(["GET /users"]))]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    return new_run("phase1")


def new_run(phase: str, seed: int = 7) -> Run:
    env: Any = SimpleNamespace(
        phase=phase, runtime="process", database="sqlite", seed=seed, running=False
    )
    return Run(env, profile="quick")


def kept(run: Run) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads((run.path / "record.json").read_text())["answers"]
    return answers


def test_every_attempt_is_kept_with_its_time(run: Run) -> None:
    check("p1-1", 3)
    check("p1-3", (1, 1))
    check("p1-1", np.int64(5))
    assert [(each["exercise"], each["answer"], each["right"]) for each in kept(run)] == [
        ("p1-1", 3, False),
        ("p1-3", [1, 1], True),
        ("p1-1", 5, True),
    ]
    assert all(each["time"] >= load_record(run.path).facts["started"] for each in kept(run))


def test_an_answer_after_the_end_is_kept_too(run: Run) -> None:
    run.finish()
    feedback = check("p1-1", 5)
    assert (feedback.not_kept, kept(run)[0]["right"]) == ("", True)
    assert load_record(run.path).facts["status"] == "complete"
    assert "Not kept" not in feedback._repr_html_()


def test_the_newest_run_keeps_it(run: Run) -> None:
    newest = new_run("phase1")
    check("p1-1", 5)
    assert (len(kept(run)), len(kept(newest))) == (0, 1)


def test_an_odd_answer_is_kept_as_its_text(run: Run) -> None:
    for answer in (pd.DataFrame({"a": [1]}), float("nan"), 3 + 1j):
        with pytest.raises(OddAnswer):
            check("p1-1", answer)
    assert [each["right"] for each in kept(run)] == [False] * 3
    assert [each["answer"] for each in kept(run)][1:] == ["nan", "(3+1j)"]


def test_the_seed_of_the_run_chooses_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    run = new_run("phase1", seed=8)
    limit = every_exercise(8)["p1-1"].given["limit"]
    assert check("p1-1", 2 * limit - 1).right
    assert limit != 3
    assert of("phase1")["your numbers"]["p1-1"].startswith(f"limit={limit}")
    assert [each["right"] for each in kept(run)] == [True]


def test_an_answer_for_another_seed_is_not_kept(run: Run) -> None:
    assert "checked with seed 8, and the run has seed 7" in check("p1-1", 5, seed=8).not_kept
    assert check("p1-1", 5, seed=np.int64(7)).not_kept == ""  # type: ignore[arg-type]
    assert len(kept(run)) == 1


@pytest.mark.parametrize("seed", ["8", 7.0, []])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(LabError, match="a seed is a whole number"):
        check("p1-1", 5, seed=seed)


@pytest.mark.parametrize("answer", [..., None])
def test_dots_are_no_answer(run: Run, answer: object) -> None:
    with pytest.raises(OddAnswer, match="no answer"):
        check("p1-1", answer)
    assert kept(run) == []


def test_without_a_run_the_feedback_names_it() -> None:
    feedback = check("p1-1", 5)
    assert str(feedback) == "p1-1: right."
    assert "Not kept for the hand-in: no run is open here" in repr(feedback)
    assert "Not kept" in feedback._repr_html_()


def test_a_run_of_another_phase_does_not_keep_it(run: Run) -> None:
    assert "one of phase1, and this exercise is one of phase5" in check("p5-1", 49).not_kept
    assert kept(run) == []


def test_a_record_that_cannot_be_written_costs_no_feedback(run: Run) -> None:
    (run.path / "record.json").unlink()
    run.path.rmdir()
    feedback = check("p1-1", 5)
    assert feedback.right
    assert "cannot be written (No such file" in feedback.not_kept
    assert Answers.newest is not None
    assert Answers.newest.kept == []


def test_an_answer_that_is_too_long_is_not_kept(run: Run) -> None:
    new_run("phase0")
    feedback = check("p0-1", ["GET /users"] * answering.MOST_CHARACTERS)
    assert feedback.right
    assert "too long" in feedback.not_kept


def test_the_newest_attempts_at_each_exercise_are_kept(run: Run) -> None:
    check("p1-3", (1, 1))
    for number in range(answering.MOST_ATTEMPTS + 3):
        check("p1-1", 100 + number)
    answers = [each["answer"] for each in kept(run)]
    assert answers == [[1, 1], *range(103, 100 + answering.MOST_ATTEMPTS + 3)]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (np.int64(5), 5),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.array(5), 5),
        (np.array([[1, 2]]), [[1, 2]]),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
        (pd.Index(["a"]), ["a"]),
        (range(3), [0, 1, 2]),
        ((each for each in "ab"), ["a", "b"]),
        ({"a": np.float32(0.5)}, {"a": 0.5}),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 2), 0.5),
        ({3}, [3]),
    ],
)
def test_numbers_and_collections_become_plain(answer: Any, value: Any) -> None:
    found = plain(answer)
    assert found == value
    assert type(found) is type(value)
    assert json.loads(json.dumps(found)) == value


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        ([0.5, float("nan")], [0.5, None]),
        ([np.inf, np.float32(-np.inf)], [None, None]),
        (pd.array([1, pd.NA], dtype="Int64"), [1, None]),
        ([pd.Timestamp(0), pd.NaT], ["1970-01-01 00:00:00", None]),
        ([b"5", 3j], ["b'5'", "3j"]),
    ],
)
def test_a_table_in_a_dictionary_may_hold_what_json_does_not(column: Any, kept: list[Any]) -> None:
    rows = [{"a": each} for each in column]
    for table in (pd.DataFrame({"a": column}), {"a": column}):
        assert as_json({"samples": table}) == {"samples": {"a": kept}}
    assert as_json({"samples": rows}) == {"samples": [{"a": each} for each in kept]}


def endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


class Silent:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "answer",
    [
        b"5",
        3j,
        Silent(),
        endless(),
        {"a": endless()},
        pd.DataFrame(),
        pd.Timestamp(0),
        pytest.param(10**5000, id="huge"),
        check,
    ],
)
def test_what_is_no_json_has_a_text(answer: Any) -> None:
    if not isinstance(answer, int):
        with pytest.raises(NOT_PLAIN):
            plain(answer)
    assert isinstance(as_json(answer), str)


@pytest.mark.parametrize(("exercise", "answer"), GIVEN)
def test_a_kept_answer_is_as_right_as_it_was(exercise: str, answer: Any) -> None:
    """What is checked again when it is graded gives the feedback that the student got."""
    Answers.newest = Answers(f"phase{exercise[1]}", 7, [], lambda: None)
    try:
        right = check(exercise, answer).right
    except OddAnswer:
        right = False
    for each in json.loads(json.dumps(Answers.newest.kept)):
        assert each["right"] == right
        try:
            assert (every_exercise()[exercise].advise(each["answer"]) is None) == right
        except OddAnswer:
            assert not right


def test_an_unused_column_leaves_an_answer_right(run: Run) -> None:
    new_run("phase0")
    for unused in (float("nan"), pd.NA, pd.Timestamp(0)):
        samples = RIGHT["p0-4"][0]["samples"].assign(note=unused)
        assert check("p0-4", RIGHT["p0-4"][0] | {"samples": samples}).right
