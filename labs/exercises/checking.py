"""What an exercise is, and how an answer to one is checked.

Each module `phaseN.py` of this package holds the exercises of one lab. A check computes what is right from the same
formulas as the lab's predictions, so it holds for the numbers that the student measured, and contains no answer.
"""

from __future__ import annotations

import hashlib
import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, partial
from importlib import import_module
from operator import index
from pkgutil import iter_modules
from typing import Any

import pandas as pd

from environment.errors import LabError, UnknownName
from labs.answering import NOT_PLAIN, Answers, plain
from labs.verdicts import COLOURS, Outcome

DEFAULT_SEED = 7
"""The seed of the labs, when a student has no other."""

Given = Mapping[str, Any]
"""The numbers of an exercise, by their names."""


class Level(StrEnum):
    """How much an exercise asks for."""

    READ = "read the figure"
    CHANGE = "change one thing"
    DESIGN = "write or design"


WORDS = [
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
]


class OddAnswer(LabError):
    """Raised for an answer that is not of the kind that the exercise asks for."""


@dataclass(frozen=True)
class Feedback:
    """Whether an answer is right; if not, `advice` names what to look at, and not the answer.

    `not_kept` says why no run keeps the answer; it is empty when one does.
    """

    exercise: str
    right: bool
    advice: str = ""
    not_kept: str = ""

    def __str__(self) -> str:
        return (
            f"{self.exercise}: right." if self.right else f"{self.exercise}: not yet. {self.advice}"
        )

    def __repr__(self) -> str:
        return f"{self} Not kept for the hand-in: {self.not_kept}" if self.not_kept else str(self)

    def _repr_html_(self) -> str:
        colour = COLOURS[Outcome.PASS if self.right else Outcome.INCONCLUSIVE]
        return f'<div style="border-left:4px solid {colour};padding:.3em .8em">{html.escape(repr(self))}</div>'


@dataclass(frozen=True)
class Exercise:
    """One exercise, with the numbers of one student.

    `answer` describes the answer that it takes. `advise` returns `None` for a right answer, else what to look at; it
    may raise `OddAnswer`. `given` holds the numbers that the student's seed chose, named as in the call of `predict`.
    """

    title: str
    level: Level
    answer: str
    advise: Callable[[Any], str | None]
    given: Given = field(default_factory=dict)

    def of(self, name: str, seed: int) -> Exercise:
        """Return it: it is the same for every seed."""
        return self

    @property
    def numbers(self) -> str:
        """The numbers as text, such as `limit=3, seconds=1`."""
        return ", ".join(f"{name}={value}" for name, value in self.given.items())


@dataclass(frozen=True)
class Varied:
    """An exercise whose numbers a student's seed chooses.

    `title` and `advise` take the numbers as keyword arguments, `advise` after the answer. The first of `variants` is
    that of the default seed; each other seed has one of the others.
    """

    title: Callable[..., str]
    level: Level
    answer: str
    advise: Callable[..., str | None]
    variants: Sequence[Given]

    def of(self, name: str, seed: int) -> Exercise:
        """Return the exercise with the numbers of a seed; `name` is its id."""
        given = self.variants[0]
        if seed != DEFAULT_SEED:
            digest = hashlib.sha256(f"{name} {seed}".encode()).digest()
            given = self.variants[1 + int.from_bytes(digest) % (len(self.variants) - 1)]
        advise = partial(self.advise, **given)
        return Exercise(self.title(**given), self.level, self.answer, advise, given)


def check(exercise: str, answer: Any, *, seed: int | None = None) -> Feedback:
    """Check an answer to an exercise, and keep it in the record of this process's newest run.

    Args:
        exercise: Its id: the phase and the exercise's number, such as `p1-3`.
        answer: What the exercise asks for: a number, a name, or several of them in a list.
        seed: Chooses the numbers of some exercises; default: the seed of the run.

    Raises:
        UnknownName: There is no such exercise; the message lists those there are.
        OddAnswer: The answer is not of the kind that the exercise asks for.
    """
    used = _seed(seed)
    known = every_exercise(used)
    if exercise not in known:
        raise UnknownName(f"There is no exercise {exercise!r}; there are: {', '.join(known)}")
    value = answer
    try:
        value = _plain(answer)
        advice = known[exercise].advise(value)
    except OddAnswer as error:
        _keep(exercise, value, used, right=False)
        raise OddAnswer(f"{exercise} asks for {known[exercise].answer}; {error}") from None
    not_kept = _keep(exercise, value, used, right=advice is None)
    return Feedback(exercise, advice is None, advice or "", not_kept)


def _seed(seed: int | None) -> int:
    """Return a seed that was given, or else that of this process's newest run, or the default one."""
    if seed is None:
        return Answers.newest.seed if Answers.newest else DEFAULT_SEED
    try:
        return index(seed)
    except TypeError:
        raise LabError(f"{seed!r} is no seed: a seed is a whole number, such as 7.") from None


def _plain(answer: Any) -> Any:
    """Return an answer as it is kept, so that what is checked here is what is checked again when it is graded."""
    if answer is ...:
        return None
    try:
        return plain(answer)
    except NOT_PLAIN:
        raise OddAnswer(f"this is {_kind(answer)}.") from None


def _keep(exercise: str, answer: Any, seed: int, *, right: bool) -> str:
    """Let the newest run of this process keep an answer; return why it does not."""
    answers = Answers.newest
    if answer is None:
        return "it is no answer."
    if answers is None:
        return (
            f"no run is open here, and the numbers are those of seed {seed}. In a lab, run its cells up to "
            f"`run = Run(...)` first."
        )
    phase = f"phase{exercise.partition('-')[0].removeprefix('p')}"
    if answers.phase != phase:
        return f"the newest run is one of {answers.phase}, and this exercise is one of {phase}."
    if seed != answers.seed:
        return f"it was checked with seed {seed}, and the run has seed {answers.seed}."
    return answers.keep(exercise, answer, right=right)


def every_exercise(seed: int = DEFAULT_SEED) -> dict[str, Exercise]:
    """Return every exercise by its id, in the order of the labs, with the numbers of a seed."""
    return {name: one.of(name, seed) for name, one in _declared().items()}


@cache
def _declared() -> Mapping[str, Exercise | Varied]:
    package = __name__.rpartition(".")[0]
    folder = import_module(package).__path__
    names = sorted(found.name for found in iter_modules(folder) if found.name.startswith("phase"))
    return {
        f"p{name.removeprefix('phase')}-{number}": exercise
        for name in names
        for number, exercise in enumerate(import_module(f"{package}.{name}").EXERCISES, 1)
    }


def exercises_of(phase: str, seed: int) -> dict[str, Exercise]:
    """Return the exercises of a phase such as `phase0` by their ids, with the numbers of a seed."""
    begin = f"p{phase.removeprefix('phase')}-"
    return {name: one for name, one in every_exercise(seed).items() if name.startswith(begin)}


def of(phase: str, *, seed: int | None = None) -> pd.DataFrame:
    """Return the exercises of a phase such as `phase0` by id: titles, levels, answers they take, and your numbers.

    Args:
        phase: The phase.
        seed: Chooses the numbers of some exercises; default: the seed of the run.
    """
    rows = {
        name: {
            "exercise": one.title,
            "your numbers": one.numbers,
            "level": one.level.value,
            "answer": one.answer,
        }
        for name, one in exercises_of(phase, _seed(seed)).items()
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
    except OverflowError:
        raise OddAnswer("this number is too large.") from None
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


def word(count: int) -> str:
    """Return a whole number up to twenty as a word."""
    return WORDS[count]


def _kind(answer: Any) -> str:
    if answer is None or answer is ...:
        return "no answer"
    return {"str": "a text", "dict": "a dictionary", "bool": "a truth value"}.get(
        type(answer).__name__, f"a {type(answer).__name__}"
    )
