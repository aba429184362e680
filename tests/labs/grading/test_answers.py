"""The answers in a bundle are checked anew; the bundle's own verdicts are only compared."""

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from labs.answering import MOST_CHARACTERS, plain
from labs.exercises import every_exercise
from labs.exercises.checking import DEFAULT_SEED, exercises_of
from labs.grading.answers import MOST_KEPT, check_answers
from labs.grading.evaluation import Grade, evaluate
from labs.grading.grader import row_of, write_csv
from tests.labs.exercises.test_exercises import RIGHT, WRONG
from tests.labs.grading.bundles import Files, hand_in, pack, signed, with_record, write_run

Honest = dict[str, Files]


def attempt(exercise: Any, answer: Any, right: Any) -> dict[str, Any]:
    return {"exercise": exercise, "answer": answer, "right": right, "time": "2026-11-01T10:00:00"}


def graded(folder: Path, files: Files, answers: Any) -> Grade:
    changed = with_record(files, lambda record: record.update(answers=answers))
    return evaluate(pack(folder / "it.zip", signed(changed)), "it.zip")


def answer_flags(grade: Grade) -> list[str]:
    return [flag.text for flag in grade.flags if flag.kind == "answer"]


def of_phase(phase: str, verdicts: dict[str, str]) -> dict[str, str]:
    """The verdicts on every exercise of a phase: these, and none on the others."""
    return dict.fromkeys(exercises_of(phase, DEFAULT_SEED), "") | verdicts


def test_the_last_attempt_counts(tmp_path: Path) -> None:
    answers = [attempt("p0-3", [6, 1.5], False), attempt("p0-2", 0, True)]
    answers += [attempt("p0-3", [6, 1.25], True), attempt("p0-2", 3, False)]
    run = write_run(tmp_path, "phase0", 1, answers=answers)
    grade = evaluate(hand_in(run, "ada", tmp_path / "ada.zip"), "ada.zip")
    assert grade.answers == of_phase("phase0", {"p0-2": "not yet", "p0-3": "right"})
    assert grade.flags == []


def test_a_record_from_before_the_answers_has_none(honest: Honest, tmp_path: Path) -> None:
    files = with_record(honest["phase0"], lambda record: record.pop("answers"))
    grade = evaluate(pack(tmp_path / "it.zip", signed(files)), "it.zip")
    assert grade.answers == of_phase("phase0", {})
    assert (grade.flags, grade.passed) == ([], 2)


def test_the_table_has_a_column_for_each_exercise(tmp_path: Path, honest: Honest) -> None:
    zero = graded(tmp_path, honest["phase0"], [attempt("p0-2", "none", False)])
    one = graded(tmp_path, honest["phase1"], [attempt("p1-1", 5, True)])
    unreadable = evaluate(tmp_path / "nothing", "nothing")
    write_csv([zero, one, unreadable], tmp_path / "grades.csv")
    first, second, third = csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text()))
    assert (first["p0-2"], first["p0-1"], first["p1-1"]) == ("odd", "", "")
    assert (second["p0-2"], second["p1-1"]) == ("", "right")
    assert third["p1-1"] == ""
    assert row_of(one)["answers"] == of_phase("phase1", {"p1-1": "right"})
    assert list(first)[-4:] == ["rerun", "flags", "seconds", "graded_in"]


@pytest.mark.parametrize(
    ("answer", "stored", "verdict", "flagged"),
    [
        (6, True, "not yet", "p1-1 was handed in as right"),
        (5, False, "right", "p1-1 was handed in as not right"),
        ("five", True, "odd", "p1-1 was handed in as right"),
        (5, "yes", "right", "p1-1 was handed in as not right"),
    ],
)
def test_edited_feedback_is_flagged(
    honest: Honest, tmp_path: Path, answer: Any, stored: Any, verdict: str, flagged: str
) -> None:
    grade = graded(tmp_path, honest["phase1"], [attempt("p1-1", answer, stored)])
    assert grade.answers["p1-1"] == verdict
    assert answer_flags(grade) == [flagged]


@pytest.mark.parametrize(
    ("seed", "seeds", "limit"),
    [(8, None, 4), (8, {"ada": 7}, 3), (7, {"ada": 8}, 4), (7, {"bob": 8}, 3), (None, None, 3)],
)
def test_the_seed_of_the_student_chooses_the_numbers(
    honest: Honest, tmp_path: Path, seed: int | None, seeds: dict[str, int] | None, limit: int
) -> None:
    """The seed that was given counts, else that of the run, and a run without one has the labs' own."""
    for answer in (3, 4):
        kept = [attempt("p1-1", 2 * answer - 1, True)]
        files = with_record(honest["phase1"], lambda record: record.update(seed=seed, answers=kept))  # noqa: B023
        grade = evaluate(pack(tmp_path / "it.zip", signed(files)), "it.zip", seeds)
        assert grade.answers["p1-1"] == ("right" if answer == limit else "not yet")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE = [
    *(1e308, -1e308, 10**400, 5e-324, float("nan"), float("inf"), True, None),
    *([], [[]], {}, {"": []}, nested(500), [1e308] * 2, [5e-324, 1e308], [10**300, 5e-324]),
    *("", "x" * 5000, "=HYPERLINK(1)", ["\ud800"], {"UPSTREAM_TIMEOUT_SECONDS": {}}),
]


@pytest.mark.parametrize("exercise", every_exercise())
def test_no_answer_disturbs_the_grading(exercise: str) -> None:
    phase, began = f"phase{exercise[1]}", time.process_time()
    for answer in HOSTILE:
        verdicts, flags = check_answers({"answers": [attempt(exercise, answer, False)]}, phase, 7)
        assert verdicts[exercise] in ("odd", "not yet")
        assert flags == []
    assert time.process_time() - began < 0.5 * len(HOSTILE)


@pytest.mark.parametrize("phase", ["phase0", "phase1"])
def test_a_bundle_with_hostile_answers_is_graded(
    honest: Honest, tmp_path: Path, phase: str
) -> None:
    answers = [
        attempt(exercise, answer, False)
        for exercise in exercises_of(phase, DEFAULT_SEED)
        for answer in (*HOSTILE, nested(900))
    ]
    grade = graded(tmp_path, honest[phase], answers)
    assert (grade.passed, grade.flags) == (2, [])
    assert len(grade.answered) == len(answers)
    assert set(grade.answers.values()) == {"odd"}


def test_an_answer_that_is_too_long_is_odd_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    long = ["GET /users"] * MOST_CHARACTERS
    verdicts, _ = check_answers({"answers": [attempt("p0-1", long, False)]}, "phase0", 7)
    assert verdicts["p0-1"] == "odd"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "no list"),
        ("right", "no list"),
        (None, "no list"),
        ([[]] * (MOST_KEPT + 1), "no list"),
        ([1], "name no exercise"),
        ([{"answer": 5}], "name no exercise"),
        ([attempt(["p1-1"], 5, True)], "name no exercise"),
        ([attempt("p5-1", 49, True)], "no exercise of this phase"),
        ([attempt("../../etc", 49, True)], "no exercise of this phase"),
    ],
)
def test_what_is_no_list_of_answers_is_flagged(
    honest: Honest, tmp_path: Path, answers: Any, message: str
) -> None:
    grade = graded(tmp_path, honest["phase1"], answers)
    assert message in "; ".join(answer_flags(grade))
    assert set(grade.answers.values()) == {""}
    assert grade.passed == 2


def test_the_readable_ones_are_still_checked(honest: Honest, tmp_path: Path) -> None:
    answers = [attempt("p1-1", 5, True), 1, {"exercise": "p1-2"}, attempt("p9-9", 1, True)]
    grade = graded(tmp_path, honest["phase1"], answers)
    assert grade.answers == of_phase("phase1", {"p1-1": "right", "p1-2": "odd"})
    assert len(answer_flags(grade)) == 3


def test_a_check_that_fails_leaves_the_verdicts(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labs.experiments.phase1 import rate_limit

    monkeypatch.setattr(rate_limit, "predict", lambda **_: 1 / 0)
    grade = graded(tmp_path, honest["phase1"], [attempt("p1-1", 5, False)])
    assert grade.answers["p1-1"] == "odd"
    assert grade.verdicts["hop"] == "pass"


def test_every_reference_answer_is_right_in_a_bundle() -> None:
    for exercise in every_exercise():
        phase = f"phase{exercise[1]}"
        for answer, verdict in ((RIGHT[exercise][0], "right"), (WRONG[exercise][0][0], "not yet")):
            stored = json.loads(json.dumps(attempt(exercise, plain(answer), verdict == "right")))
            verdicts, flags = check_answers({"answers": [stored]}, phase, 7)
            assert (verdicts[exercise], flags) == (verdict, [])
