"""How a run keeps the answers to exercises in its record, so that they are in the bundle that a student hands in.

The newest run of a process keeps them, also after `run.finish()`: a notebook has one run, and its exercises come last.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from numbers import Integral
from typing import Any, ClassVar

import pandas as pd

MOST_CHARACTERS = 400_000
"""Length of an answer as JSON: of some thousand samples, which a designed measurement hands in."""

MOST_ATTEMPTS = 50
"""Attempts at one exercise that a record keeps: the newest."""

NOT_PLAIN = (TypeError, ValueError, OverflowError, RecursionError)
"""What `plain` raises for an answer that JSON cannot hold."""


@dataclass
class Answers:
    """The answers of one run, as they are in its record.

    Attributes:
        phase: The phase of the run.
        seed: The seed of the run.
        kept: The attempts in the order of their times, each with `exercise`, `answer`, `right` and `time`.
        write: Writes the record.
    """

    phase: str
    seed: int
    kept: list[dict[str, Any]]
    write: Callable[[], object]

    newest: ClassVar[Answers | None] = None
    """Those of the newest run of this process."""

    def keep(self, exercise: str, answer: Any, *, right: bool) -> str:
        """Keep one attempt; return why it is not kept, which is empty when it is.

        Args:
            exercise: The id, such as `p1-3`.
            answer: What is kept in its plain form; what has none is kept as its text.
            right: Whether the answer is right.
        """
        value = as_json(answer)
        if len(json.dumps(value)) > MOST_CHARACTERS:
            return "it is too long: hand in only what the exercise asks for."
        before = list(self.kept)
        attempts = [each for each in self.kept if each["exercise"] == exercise]
        for oldest in attempts[: max(0, len(attempts) + 1 - MOST_ATTEMPTS)]:
            self.kept.remove(oldest)
        time = datetime.now().astimezone().isoformat(timespec="seconds")
        self.kept.append({"exercise": exercise, "answer": value, "right": right, "time": time})
        try:
            self.write()
        except OSError as problem:
            self.kept[:] = before
            return f"the run's record cannot be written ({problem.strerror})."
        return ""


def plain(answer: Any, *, inside: bool = False) -> Any:
    """Return an answer as Python reads it from JSON: numbers of NumPy as Python's, and several values as a list.

    A dictionary holds tables, with columns that its exercise does not need. A table is returned as its columns, a
    number that is missing or not finite as None, and everything else that JSON cannot hold as its text.

    Args:
        answer: The answer.
        inside: Whether it is a value of a dictionary.

    Raises:
        TypeError: (or another of `NOT_PLAIN`) It is no number, text or truth value, and does not consist of these.
    """
    if getattr(answer, "ndim", None) == 0 and hasattr(answer, "item"):
        answer = answer.item()
    if inside:
        answer = _value(answer)
    if answer is None or isinstance(answer, str | bool):
        return answer
    if isinstance(answer, Mapping):
        return {str(name): plain(value, inside=True) for name, value in answer.items()}
    if isinstance(answer, Iterable) and not isinstance(answer, bytes | pd.DataFrame):
        return [plain(each, inside=inside) for each in answer]
    if isinstance(answer, Integral):
        return int(answer)
    if hasattr(answer, "__float__"):
        return float(answer)
    raise TypeError(f"{type(answer).__name__} is no JSON")


def _value(value: Any) -> Any:
    """Return a value of a dictionary as one that has a plain form."""
    if isinstance(value, pd.DataFrame):
        return value.to_dict("list")
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, Integral | str) or (
        isinstance(value, Iterable) and not isinstance(value, bytes)
    ):
        return value
    if hasattr(value, "__float__"):
        return value if math.isfinite(value) else None
    return None if value is None else _text(value)


def as_json(answer: Any) -> Any:
    """Return an answer as it can be written as JSON: plain, or else its text."""
    try:
        value = plain(answer)
        json.dumps(value, allow_nan=False)
    except NOT_PLAIN:
        return _text(answer)
    return value


def _text(answer: Any) -> str:
    try:
        return str(answer)
    except Exception:  # whatever a class of the student's own raises
        return type(answer).__name__
