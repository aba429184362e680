"""`lab class`: one HTML page about a class, from its evidence bundles: guesses, calibration, verdicts, wrong answers.

No student is named on it, unless the instructor asks for that: a lecture shows it on a projector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from environment.errors import LabError
from labs.exercises import every_exercise
from labs.experiment import find
from labs.grading.class_figures import calibration_figure, guesses_figure, png
from labs.grading.contributions import Guessed
from labs.grading.course import labs
from labs.grading.evaluation import Grade
from labs.guessing import guesses_of
from labs.records import write_whole
from labs.running.report import embedded, number_text, template

MOST = 5
"""Wrong answers to an exercise that the page shows: the most common."""

OUTCOMES = ("pass", "fail", "inconclusive")
"""The verdicts that the table always has a column for."""


def write_class_page(grades: Sequence[Grade], path: Path, *, names: bool = False) -> None:
    """Write the page of a class.

    Args:
        grades: The grade of each file in the folder of the class.
        path: The file to write.
        names: Whether the page names the students, and the files that cannot be read.

    Raises:
        LabError: The file cannot be written.
    """
    text = render(grades, names=names)
    try:
        write_whole(path, lambda draft: draft.write_text(text, "utf-8", "backslashreplace"))
    except OSError as problem:
        raise LabError(f"{path} cannot be written: {problem.strerror}.") from None


def unread(grades: Sequence[Grade]) -> list[str]:
    """Return the files that are no bundles, each with the reason."""
    return [f"{grade.file}: {grade.flags[-1].text}" for grade in grades if not grade.phase]


def first_of_each(grades: Sequence[Grade]) -> list[Grade]:
    """Return the bundles that count: of several of a student and a phase, the first by the names of the files."""
    chosen: dict[tuple[str, ...], Grade] = {}
    for grade in grades:
        if grade.phase:
            own = (grade.student, grade.phase) if grade.student else (grade.file,)
            chosen.setdefault(own, grade)
    return list(chosen.values())


def render(grades: Sequence[Grade], *, names: bool) -> str:
    """Return the page's text."""
    counted, bad = first_of_each(grades), unread(grades)
    phases = [phase for phase in labs() if any(grade.phase == phase for grade in counted)]
    return template("class.html").render(
        students=len({grade.student or grade.file for grade in counted}),
        bundles=len(counted),
        again=len(grades) - len(counted) - len(bad),
        unread=len(bad),
        files=bad if names else [],
        names=names,
        calibration=_calibration([guess for grade in counted for guess in grade.guesses]),
        phases=[_phase(phase, [g for g in counted if g.phase == phase], names) for phase in phases],
    )


def _phase(phase: str, grades: Sequence[Grade], names: bool) -> dict[str, Any]:
    verdicts = _verdicts(grades)
    given = {outcome for counts in verdicts.values() for outcome in counts}
    return {
        "phase": phase,
        "title": labs()[phase].title,
        "students": len(grades),
        "verdicts": verdicts,
        "outcomes": [*OUTCOMES, *sorted(given - set(OUTCOMES))],
        "questions": list(_questions(grades, names)),
        "exercises": list(_exercises(grades, names)),
    }


def _verdicts(grades: Sequence[Grade]) -> dict[str, Mapping[str, int]]:
    """Return how many verdicts of each kind an experiment has."""
    experiments = dict.fromkeys(name for grade in grades for name in grade.verdicts)
    return {
        name: Counter(grade.verdicts.get(name, "missing") for grade in grades)
        for name in experiments
    }


def _questions(grades: Sequence[Grade], names: bool) -> Iterator[dict[str, Any]]:
    """Yield each quantity that a student guessed, in the order of the lab."""
    made: dict[tuple[str, str], list[tuple[str, Guessed]]] = {}
    for grade in grades:
        for guess in grade.guesses:
            made.setdefault((guess.experiment, guess.quantity), []).append((grade.student, guess))
    for (experiment, quantity), rows in made.items():
        asked = guesses_of(find(experiment))[quantity]
        guesses = [guess for _, guess in rows]
        yield {
            "experiment": experiment,
            "quantity": quantity,
            "question": asked.question,
            "rule": str(asked.right),
            "unit": asked.unit,
            "summary": summary(guesses, asked.unit),
            "figure": embedded(png(guesses_figure(guesses, asked.unit))),
            "rows": sorted(rows, key=lambda row: row[1].value) if names else [],
        }


def summary(guesses: Sequence[Guessed], unit: str) -> str:
    """Return in sentences what a figure of guesses shows."""
    values = [guess.value for guess in guesses]
    count = "One guess" if len(values) == 1 else f"{len(values)} guesses"
    parts = [f"{count} ({unit}): {_span(values)}."]
    if theory := [guess.theory for guess in guesses if guess.theory is not None]:
        parts.append(f"Theory: {_span(theory)}.")
    if measured := [guess.measured for guess in guesses if guess.measured is not None]:
        right = sum(guess.right is True for guess in guesses)
        parts.append(f"Measured: {_span(measured)}. Right: {right} of {len(measured)}.")
    else:
        parts.append("No samples give the number, so that no guess is right or wrong.")
    return " ".join(parts)


def _span(values: Sequence[float]) -> str:
    """Return one number, or the smallest, the largest and the median."""
    low, high = number_text(min(values)), number_text(max(values))
    if low == high:
        return low
    return f"from {low} to {high}, median {number_text(float(np.median(values)))}"


def _exercises(grades: Sequence[Grade], names: bool) -> Iterator[dict[str, Any]]:
    """Yield each exercise that a student answered: how many students did, how many were right, and what was wrong.

    A student counts once for each different answer, and once for all that are of another kind.
    """
    for exercise, asked in every_exercise().items():
        tries = [[each for each in g.answered if each.exercise == exercise] for g in grades]
        students = [(g.student, made) for g, made in zip(grades, tries, strict=True) if made]
        wrong: dict[tuple[str, str], list[str]] = {}
        for student, made in students:
            for answer in dict.fromkeys(
                (a.text, a.numbers) for a in made if not (a.right or a.odd)
            ):
                wrong.setdefault(answer, []).append(student)
        common = sorted(wrong.items(), key=lambda item: -len(item[1]))
        if students:
            yield {
                "id": exercise,
                "title": asked.title,
                "students": len(students),
                "first": sum(made[0].right for _, made in students),
                "right": sum(any(each.right for each in made) for _, made in students),
                "wrong": [
                    (*answer, len(who), who if names else []) for answer, who in common[:MOST]
                ],
                "more": len(common[MOST:]),
                "odd": sum(any(each.odd for each in made) for _, made in students),
            }


def _calibration(guesses: Sequence[Guessed]) -> dict[str, Any] | None:
    """Return the levels of confidence, with how many guesses of each were right; None when none was compared."""
    compared = [guess for guess in guesses if guess.right is not None]
    if not compared:
        return None
    levels = list(calibration_levels(compared))
    sure = float(np.mean([guess.sure for guess in compared]))
    right = sum(guess.right is True for guess in compared)
    return {
        "sure": sure,
        "right": right,
        "guesses": len(compared),
        "levels": levels,
        "figure": embedded(png(calibration_figure(levels))),
    }


def calibration_levels(guesses: Sequence[Guessed]) -> Iterator[dict[str, Any]]:
    """Yield a row for each tenth of confidence: `label`, `sure` (mean), `guesses`, `right`, `share`."""
    levels: dict[int, list[Guessed]] = {}
    for guess in guesses:
        levels.setdefault(int(10 * guess.sure + 1e-9), []).append(guess)
    for tenth, members in sorted(levels.items()):
        right = sum(guess.right is True for guess in members)
        yield {
            "label": "100 %" if tenth == 10 else f"{10 * tenth} to {10 * tenth + 9} %",
            "sure": float(np.mean([guess.sure for guess in members])),
            "guesses": len(members),
            "right": right,
            "share": right / len(members),
        }
