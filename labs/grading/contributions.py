"""What a bundle adds to the page of its class: its guesses and answers, as far as this course asks for them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from labs.exercises.checking import exercises_of
from labs.experiment import find
from labs.grading.answers import MOST_KEPT, ODD, RIGHT, verdict_on
from labs.grading.reading import Bundle, BundleError
from labs.guessing import Guess, guesses_of

Frames = tuple[pd.DataFrame, pd.DataFrame]
"""The samples and the prediction of an experiment."""

MOST_CHARACTERS = 60
"""Characters of an answer that a page shows."""

CONCLUSION = ("predicted", "found", "holds")
"""What a page shows of a designed measurement, as far as it is of numbers: not its plan and its samples."""


class Guessed(NamedTuple):
    """A guess, and what the samples of the same bundle give for it; None where they give nothing."""

    experiment: str
    quantity: str
    value: float
    sure: float
    theory: float | None
    measured: float | None
    right: bool | None


class Answered(NamedTuple):
    """One attempt at an exercise: the answer as a short text, whether it is right, and for which numbers, as a text.

    An odd one is not of the kind that the exercise asks for, so that its text may be anything, and is left out.
    """

    exercise: str
    text: str
    right: bool
    numbers: str = ""
    odd: bool = False


def guesses_in(bundle: Bundle, name: str) -> Iterator[Guessed]:
    """Yield the guesses of one experiment, compared anew; the comparisons in the record are not used."""
    kept = bundle.record.get("guesses")
    entries = kept.get(name) if isinstance(kept, dict) else None
    if not isinstance(entries, dict):
        return
    frames = _frames(bundle, name)
    for quantity, guess in guesses_of(find(name)).items():
        entry = entries.get(quantity)
        if not isinstance(entry, dict):
            continue
        value, sure = _number(entry.get("value")), _number(entry.get("sure"))
        if value is not None and sure is not None and 0.5 <= sure <= 1:
            yield Guessed(name, quantity, value, sure, *_compared(guess, value, frames))


def _frames(bundle: Bundle, name: str) -> Frames | None:
    try:
        return bundle.samples(name), bundle.prediction(name)
    except BundleError:
        return None


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _compared(
    guess: Guess, value: float, frames: Frames | None
) -> tuple[float | None, float | None, bool | None]:
    if frames is None:
        return None, None, None
    try:
        found = guess.compared(value, *frames)
    except Exception:  # samples that no run has measured may raise anything
        return None, None, None
    return found["theory"], found["measured"], found["right"]


def answers_in(bundle: Bundle, seed: int) -> Iterator[Answered]:
    """Yield the attempts at the exercises of the bundle's phase, in their order, each checked anew.

    Args:
        bundle: The bundle.
        seed: Chooses the numbers of the exercises.
    """
    exercises, kept = exercises_of(bundle.phase, seed), bundle.record.get("answers")
    for attempt in kept[-MOST_KEPT:] if isinstance(kept, list) else ():
        name = attempt.get("exercise") if isinstance(attempt, dict) else None
        if isinstance(name, str) and name in exercises and "answer" in attempt:
            exercise, answer = exercises[name], attempt["answer"]
            verdict = verdict_on(exercise, answer)
            odd = verdict == ODD
            text = "" if odd else answer_text(answer)
            yield Answered(name, text, verdict == RIGHT, exercise.numbers, odd)


def answer_text(answer: Any) -> str:
    """Return an answer as a short text that can be printed, in which 2 and 2.0 are the same."""
    each = answer[:MOST_CHARACTERS] if isinstance(answer, list) else [answer]
    text = ", ".join(map(_value_text, each))
    text = "".join(filter(str.isprintable, text))
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _value_text(value: Any) -> str:
    if _number(value) is not None:
        return f"{value:.6g}"
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, dict) and "plan" in value:
        value = {name: value[name] for name in CONCLUSION if _all_numbers(value.get(name))}
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "…"


def _all_numbers(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, bool) or _number(each) is not None for each in values)
