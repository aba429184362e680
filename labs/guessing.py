"""Guesses: what an experiment asks before it is measured, how a run locks the answers, and how good they were.

An experiment declares in `GUESSES` what is worth guessing. A cell `run.guess(hop, overhead_ms=2, sure=0.8)` locks a
guess, with how sure its author is, into the run's record. After the measurement a line below the figure compares the
two, and `run.calibration()` shows how often the author was right.
"""

from __future__ import annotations

import html
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from numbers import Real
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython.core.getipython import get_ipython

from environment.errors import LabError
from labs.calibration import Calibration
from labs.experiment import name_of
from labs.figures import BLUE

if TYPE_CHECKING:
    from labs.experiment import Experiment

EXAMPLE_SURE = 0.8
"""How sure the author of an example is."""

SURE = "0.5 is a coin toss, 1 is certain"


class GuessError(LabError):
    """Raised for a guess that cannot be locked, and for a measurement that waits for one."""


@dataclass(frozen=True)
class Rule:
    """When a guess is right, in words and as a function of the guess and the measured number."""

    text: str
    holds: Callable[[float, float], bool]

    def __str__(self) -> str:
        return self.text


def within_factor(most: float) -> Rule:
    """Return the rule that a guess may be this many times too large or too small."""

    def holds(guessed: float, measured: float) -> bool:
        if guessed <= 0 or measured <= 0:
            return guessed == measured
        return 1 / most <= guessed / measured <= most

    return Rule(f"within a factor of {most:g}", holds)


def within_points(most: float) -> Rule:
    """Return the rule that a guessed percentage may be this many percentage points away."""
    return Rule(
        f"within {most:g} percentage point{'s' * (most != 1)}",
        lambda guessed, measured: abs(guessed - measured) <= most,
    )


EXACT = Rule("exact", lambda guessed, measured: math.isclose(guessed, measured, abs_tol=1e-9))
"""The rule for a count."""


@dataclass(frozen=True)
class Guess:
    """A number that an experiment asks for before it is measured.

    Attributes:
        question: What is asked, so that it can be understood without the cells around it.
        unit: The unit of the number, such as "ms" or "%".
        measured: The number, as a function of the experiment's samples.
        right: When a guess counts as right.
        reference: A guess that is right.
        theory: The number that the prediction gives, as a function of it; None where there is none.
    """

    question: str
    unit: str
    measured: Callable[[pd.DataFrame], float]
    right: Rule
    reference: float
    theory: Callable[[pd.DataFrame], float] | None = None

    def compared(
        self, value: float, samples: pd.DataFrame, prediction: pd.DataFrame
    ) -> dict[str, Any]:
        """Return `theory`, `measured` and `right` for a guessed value; each is None where the frames do not give it."""
        measured = _finite(self.measured, samples)
        return {
            "theory": _finite(self.theory, prediction) if self.theory else None,
            "measured": measured,
            "right": None if measured is None else bool(self.right.holds(value, measured)),
        }


def guesses_of(experiment: object) -> Mapping[str, Guess]:
    """Return what an experiment asks for, by name; nothing for one that declares no `GUESSES`."""
    found: Mapping[str, Guess] = getattr(experiment, "GUESSES", {})
    return found


def asks() -> bool:
    """Return whether a measurement waits for its guesses.

    `LAB_GUESSES=on` or `off` decides. Without it, only a cell that a person runs in a notebook waits: JupyterLab,
    Notebook and VS Code send the cell's id with each request to run it, and papermill, nbval and nbclient send none.

    Raises:
        LabError: `LAB_GUESSES` is neither `on` nor `off`.
    """
    chosen = os.environ.get("LAB_GUESSES")
    if chosen not in (None, "on", "off"):
        raise LabError(f"LAB_GUESSES is {chosen!r}: it should be on or off.")
    return chosen == "on" if chosen else _run_from_a_frontend()


def _run_from_a_frontend() -> bool:
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    request = kernel.get_parent("shell") or {}
    return "cellId" in request.get("metadata", {})


class Guesses:
    """The guesses of one run, as they are in its record: by experiment, then by quantity."""

    def __init__(self, facts: dict[str, dict[str, Any]]) -> None:
        self.facts = facts
        self._measured: set[str] = set()

    def lock(self, experiment: Experiment, values: Mapping[str, object], sure: object) -> Questions:
        """Lock the values that are numbers, and return all questions of `values` with what is locked.

        A value that is still `...` locks nothing. A new guess replaces one of the same quantity, which stays in the
        record.

        Raises:
            GuessError: A name, a number or `sure` is none, or the experiment was measured already.
        """
        declared = _declared(experiment)
        topic = name_of(experiment.__name__)
        for name in values:
            _require_known(name, declared, topic)
        given = {name: value for name, value in values.items() if not _dots(value)}
        numbers = {name: _number(name, value) for name, value in given.items()}
        if numbers:
            confidence = _confidence(sure)
            if topic in self._measured:
                raise GuessError(
                    f"{topic} was measured already in this run, and a guess counts only before. "
                    f"Your next guess is about the next experiment."
                )
            for name, number in numbers.items():
                self._lock_one(topic, name, declared[name], number, confidence)
        shown = {name: declared[name] for name in values or declared}
        return Questions(topic, shown, {**self.facts.get(topic, {})}, frozenset(numbers))

    def _lock_one(self, topic: str, name: str, guess: Guess, number: float, sure: float) -> None:
        before = self.facts.get(topic, {}).get(name)
        earlier = (
            [*before["earlier"], {k: before[k] for k in ("value", "sure", "time")}]
            if before
            else []
        )
        self.facts.setdefault(topic, {})[name] = {
            "question": guess.question,
            "unit": guess.unit,
            "rule": str(guess.right),
            "value": number,
            "sure": sure,
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "earlier": earlier,
            "theory": None,
            "measured": None,
            "right": None,
        }

    def require(self, experiment: Experiment) -> None:
        """Do nothing when each quantity of the experiment has its guess, or none is asked for.

        Raises:
            GuessError: A guess is missing; the message shows the line to write.
        """
        declared, topic = guesses_of(experiment), name_of(experiment.__name__)
        locked = self.facts.get(topic, {})
        missing = {name: guess for name, guess in declared.items() if name not in locked}
        if not missing or topic in self._measured or not asks():
            return
        questions = "\n".join(f"  {guess.question} ({guess.unit})" for guess in missing.values())
        names = ", ".join(f"{name}=..." for name in missing)
        raise GuessError(
            f"Guess before you look.\n{questions}\n"
            f"Run this line in a cell before this one, with a number in place of the dots, and then "
            f"measure. `sure` is how sure you are: {SURE}.\n\n"
            f"    run.guess({topic}, {names}, sure={EXAMPLE_SURE})\n\n"
            f"To measure without guesses, run %env LAB_GUESSES=off in a cell."
        )

    def compare(
        self, experiment: Experiment, samples: pd.DataFrame, prediction: pd.DataFrame
    ) -> Comparison | None:
        """Note what was measured, and return the comparison with the guesses; None when there are none."""
        topic = name_of(experiment.__name__)
        self._measured.add(topic)
        entries = self.facts.get(topic, {})
        for name, entry in entries.items():
            guess = guesses_of(experiment)[name]
            entry.update(guess.compared(entry["value"], samples, prediction))
        return Comparison(topic, entries) if entries else None

    def calibration(self) -> Calibration:
        """Return how good the guesses of this run were."""
        return Calibration.of(self.facts)


def _declared(experiment: object) -> Mapping[str, Guess]:
    declared = guesses_of(experiment)
    if declared:
        return declared
    topic = name_of(str(getattr(experiment, "__name__", "")))
    if not hasattr(experiment, "THEORY"):
        raise GuessError(
            f"{experiment!r} is no experiment: write its name without quotes, such as "
            f"run.guess(hop, overhead_ms=2, sure={EXAMPLE_SURE})."
        )
    raise GuessError(f"{topic} asks for no guess: measure it with run.measure({topic}, ...).")


def _require_known(name: str, declared: Mapping[str, Guess], topic: str) -> None:
    if name not in declared:
        near = get_close_matches(name, declared, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise GuessError(f"{topic} asks for no {name!r}.{hint} It asks for: {', '.join(declared)}.")


def _dots(value: object) -> bool:
    return isinstance(value, EllipsisType)


def _number(name: str, value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise GuessError(f"{name} is {value!r}: write a number, without quotes or a unit: {name}=2.")


def _confidence(sure: object) -> float:
    if _dots(sure):
        raise GuessError(f"How sure are you? Add it to the guess: sure={EXAMPLE_SURE}. ({SURE})")
    number = _number("sure", sure)
    if 0.5 <= number <= 1:
        return number
    if 50 <= number <= 100:
        raise GuessError(f"sure is a share and no percentage: write sure={number / 100:g}.")
    raise GuessError(
        f"sure is {number:g}: it should be from 0.5 to 1. {SURE}. When you are less sure than a coin "
        f"toss, you expect another number: guess that one."
    )


def _finite(function: Callable[[pd.DataFrame], float], frame: pd.DataFrame) -> float | None:
    """Return the function's number; None where the frame does not give one, so that no measurement is lost."""
    try:
        number = float(function(frame))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Questions:
    """What an experiment asks for, and what is locked; displays itself."""

    topic: str
    asked: Mapping[str, Guess]
    locked: Mapping[str, Mapping[str, Any]]
    new: frozenset[str]

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (f"{guess.question} ({guess.unit}; right when {guess.right})", self._state(name, guess))
            for name, guess in self.asked.items()
        ]

    def _state(self, name: str, guess: Guess) -> str:
        entry = self.locked.get(name)
        if entry is None:
            return f"no guess yet: write a number in place of the dots of {name}, and run the cell again"
        replaced = entry["earlier"]
        before = f"; it replaces {_amount(replaced[-1]['value'], guess.unit)}" if replaced else ""
        return f"locked: {_amount(entry['value'], guess.unit)}, {entry['sure']:.0%} sure{before}"

    def __repr__(self) -> str:
        return "\n".join(f"{question}\n  {state}" for question, state in self._rows())

    def _repr_html_(self) -> str:
        rows = (
            f"<div>{html.escape(question)}<br><strong>{html.escape(state)}</strong></div>"
            for question, state in self._rows()
        )
        return f'<div style="border-left:4px solid {BLUE};padding:.3em .8em">{"".join(rows)}</div>'


@dataclass(frozen=True)
class Comparison:
    """What was guessed, predicted and measured in one experiment; displays itself below the figure."""

    topic: str
    entries: Mapping[str, Mapping[str, Any]]

    def _lines(self) -> list[tuple[str, str]]:
        return [(name, _compared(entry)) for name, entry in self.entries.items()]

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {line}" for name, line in self._lines())

    def _repr_html_(self) -> str:
        lines = (
            f"<div><strong>{html.escape(name)}</strong>: {html.escape(line)}</div>"
            for name, line in self._lines()
        )
        return f'<div style="font-size:.9em;padding:.2em .8em">{"".join(lines)}</div>'


def _compared(entry: Mapping[str, Any]) -> str:
    unit = entry["unit"]
    parts = [f"you guessed {_amount(entry['value'], unit)} ({entry['sure']:.0%} sure)"]
    if entry["theory"] is not None:
        parts.append(f"theory {_amount(entry['theory'], unit)}")
    if entry["measured"] is None:
        return " · ".join(
            [*parts, "these samples do not give the number: the guess does not count"]
        )
    outcome = "right" if entry["right"] else "not right"
    parts.append(f"measured {_amount(entry['measured'], unit)}")
    return " · ".join(parts) + f": {outcome} ({entry['rule']})"


def _amount(number: float, unit: str) -> str:
    return f"{number:.3g} {unit}" if abs(number) < 1000 else f"{number:,.0f} {unit}"
