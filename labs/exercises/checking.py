"""What an exercise is, and how an answer to one is checked.

Each module `phaseN.py` of this package holds the exercises of one lab. A check computes what is right from the same
formulas as the lab's predictions, so it holds for the numbers that the student measured, and contains no answer.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pandas as pd

from environment.errors import LabError, UnknownName
from labs.verdicts import COLOURS, Outcome


class Level(StrEnum):
    """How much an exercise asks for."""

    READ = "read the figure"
    CHANGE = "change one thing"
    DESIGN = "write or design"


class OddAnswer(LabError):
    """Raised for an answer that is not of the kind that the exercise asks for."""


@dataclass(frozen=True)
class Feedback:
    """Whether an answer is right; if not, `advice` names what to look at, and not the answer."""

    exercise: str
    right: bool
    advice: str = ""

    def __str__(self) -> str:
        return (
            f"{self.exercise}: right." if self.right else f"{self.exercise}: not yet. {self.advice}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = COLOURS[Outcome.PASS if self.right else Outcome.INCONCLUSIVE]
        return f'<div style="border-left:4px solid {colour};padding:.3em .8em">{html.escape(str(self))}</div>'


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    `answer` describes the answer that it takes. `advise` returns `None` for a right answer, else what to look at; it
    may raise `OddAnswer`.
    """

    title: str
    level: Level
    answer: str
    advise: Callable[[Any], str | None]


def check(exercise: str, answer: Any) -> Feedback:
    """Check an answer to an exercise.

    Args:
        exercise: Its id: the phase and the exercise's number, such as `p1-3`.
        answer: What the exercise asks for: a number, a name, or several of them in a list.

    Raises:
        UnknownName: There is no such exercise; the message lists those there are.
        OddAnswer: The answer is not of the kind that the exercise asks for.
    """
    known = every_exercise()
    if exercise not in known:
        raise UnknownName(f"There is no exercise {exercise!r}; there are: {', '.join(known)}")
    one = known[exercise]
    try:
        advice = one.advise(answer)
    except OddAnswer as error:
        raise OddAnswer(f"{exercise} asks for {one.answer}; {error}") from None
    return Feedback(exercise, advice is None, advice or "")


@cache
def every_exercise() -> Mapping[str, Exercise]:
    """Return every exercise by its id, in the order of the labs."""
    package = __name__.rpartition(".")[0]
    folder = import_module(package).__path__
    names = sorted(found.name for found in iter_modules(folder) if found.name.startswith("phase"))
    return {
        f"p{name.removeprefix('phase')}-{number}": exercise
        for name in names
        for number, exercise in enumerate(import_module(f"{package}.{name}").EXERCISES, 1)
    }


def of(phase: str) -> pd.DataFrame:
    """Return the exercises of a phase such as `phase0`: their titles, levels, and the answers they take, by id."""
    begin = f"p{phase.removeprefix('phase')}-"
    rows = {
        id: {"exercise": one.title, "level": one.level.value, "answer": one.answer}
        for id, one in every_exercise().items()
        if id.startswith(begin)
    }
    if not rows:
        raise UnknownName(
            f"There are no exercises of {phase!r}; a phase is named phase0, phase1 and so on."
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def number(answer: Any) -> float:
    """Return an answer that has to be one finite number."""
    if isinstance(answer, bool) or not hasattr(answer, "__float__"):
        raise OddAnswer(f"this is {_kind(answer)}.")
    try:
        value = float(answer)
    except (TypeError, ValueError):
        raise OddAnswer(f"this is {_kind(answer)}.") from None
    if not math.isfinite(value):
        raise OddAnswer("this number is not finite.")
    return value


def numbers(answer: Any, count: int | None = None) -> list[float]:
    """Return an answer that has to be several numbers: so many, if `count` is given."""
    if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
        raise OddAnswer(f"this is {_kind(answer)}.")
    values = [number(each) for each in answer]
    if count is not None and len(values) != count:
        raise OddAnswer(f"this has {len(values)}.")
    return values


def names(answer: Any) -> set[str]:
    """Return an answer that has to be names: one alone, or several."""
    if isinstance(answer, str):
        return {answer.strip()}
    if isinstance(answer, Mapping) or not isinstance(answer, Iterable):
        raise OddAnswer(f"this is {_kind(answer)}.")
    found = list(answer)
    if not all(isinstance(each, str) for each in found):
        raise OddAnswer("some of this are no names.")
    return {each.strip() for each in found}


def close(value: float, right: float, share: float = 0.02) -> bool:
    """Return whether a value differs from the right one by at most this share of it."""
    return abs(value - right) <= share * abs(right)


def first_advice(advices: Sequence[tuple[bool, str]], otherwise: str) -> str:
    """Return the advice of the first condition that holds."""
    return next((advice for holds, advice in advices if holds), otherwise)


def first_found(*searches: Callable[[], str | None]) -> str | None:
    """Return the first advice that one of these finds; the later ones may rely on the earlier ones finding none."""
    return next(filter(None, (search() for search in searches)), None)


def _kind(answer: Any) -> str:
    if answer is None or answer is ...:
        return "no answer"
    return {"str": "a text", "dict": "a dictionary", "bool": "a truth value"}.get(
        type(answer).__name__, f"a {type(answer).__name__}"
    )
