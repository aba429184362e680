"""Checks the answers in a bundle anew, with the checks of this clone; the bundle's own verdicts are only compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labs.answering import MOST_CHARACTERS
from labs.exercises.checking import Exercise, exercises_of
from labs.grading.flags import Flag

RIGHT, NOT_YET, ODD = "right", "not yet", "odd"
"""Verdicts on an answer; `ODD` is one that is not of the kind that the exercise asks for, or cannot be checked."""

MOST_KEPT = 2_000
"""Attempts in one record, of which a run keeps far fewer."""


def check_answers(
    record: Mapping[str, Any], phase: str, seed: int
) -> tuple[dict[str, str], list[Flag]]:
    """Return the verdict on the last answer to each exercise of a phase, empty without one, and what is odd.

    Args:
        record: The record in a bundle; one from before answers were kept has none.
        phase: A phase of this course.
        seed: Chooses the numbers of the exercises.
    """
    exercises, flags = exercises_of(phase, seed), list[Flag]()
    verdicts = dict.fromkeys(exercises, "")
    last = {str(each["exercise"]): each for each in _attempts(record, flags)}
    for name in exercises:
        if name in last:
            verdicts[name] = verdict_on(exercises[name], last[name].get("answer"))
            flags += _difference(name, verdicts[name], last[name].get("right"))
    if set(last) - set(exercises):
        flags.append(Flag("answer", "some are answers to no exercise of this phase"))
    return verdicts, flags


def _attempts(record: Mapping[str, Any], flags: list[Flag]) -> list[dict[str, Any]]:
    """Return the attempts that can be read; another content is flagged."""
    kept = record.get("answers", [])
    if not isinstance(kept, list) or len(kept) > MOST_KEPT:
        flags.append(Flag("answer", f"the answers are no list of at most {MOST_KEPT:,}"))
        return []
    attempts = [
        each for each in kept if isinstance(each, dict) and isinstance(each.get("exercise"), str)
    ]
    if len(attempts) < len(kept):
        flags.append(Flag("answer", "some name no exercise"))
    return attempts


def verdict_on(exercise: Exercise, answer: Any) -> str:
    """Return the verdict on one answer; one that is too long is `ODD` without a check."""
    try:
        if len(json.dumps(answer)) > MOST_CHARACTERS:
            return ODD
        return RIGHT if exercise.advise(answer) is None else NOT_YET
    except Exception:  # `OddAnswer`, or anything else for a value that no student has measured
        return ODD


def _difference(name: str, verdict: str, stored: Any) -> Iterator[Flag]:
    if stored is not (verdict == RIGHT):
        was = "right" if stored is True else "not right"
        yield Flag("answer", f"{name} was handed in as {was}")
