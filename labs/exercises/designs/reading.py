"""What a student hands in of a measurement: a table of samples, a prediction, and a conclusion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from labs.exercises.checking import OddAnswer, number, numbers

LOAD = ("stream", "intended", "lag", "latency", "ok")
"""Columns of `Load.samples` from which a load is judged; the first one holds texts, and the others numbers."""

PLAN_WORDS = 8
"""Fewest words of a plan; a person reads it."""


MOST_ROWS = 20_000
"""Rows of a table: many more than a measurement of a lab has."""


@dataclass(frozen=True)
class Conclusion:
    """What a student concludes: the prediction, the 95 % interval that was measured, and whether they agree."""

    predicted: float
    low: float
    high: float
    holds: bool


def fields(answer: Any, *names: str) -> dict[str, Any]:
    """Return an answer that has to be a dictionary with a plan and these names."""
    if not isinstance(answer, Mapping):
        raise OddAnswer("this is no dictionary.")
    if missing := [name for name in ("plan", *names) if name not in answer]:
        raise OddAnswer(f"this has no {_listed(missing)}.")
    if not isinstance(answer["plan"], str) or len(answer["plan"].split()) < PLAN_WORDS:
        raise OddAnswer(
            "`plan` is too short, or no text: write what varies, what you hold, and how many samples."
        )
    for name in names:
        value = answer[name]
        if value is None or (isinstance(value, list) and any(each is None for each in value)):
            raise OddAnswer(f"`{name}` is empty, or has an empty or infinite number.")
    return {name: answer[name] for name in names}


def table(
    rows: Any, name: str, *, texts: Sequence[str] = (), values: Iterable[str]
) -> pd.DataFrame:
    """Return a table of an answer: its columns of texts, and those of finite numbers.

    Args:
        rows: A DataFrame, or its rows as a list of dictionaries, or its columns as a dictionary of lists.
        name: What the answer names it.
        texts: The columns of texts that it needs.
        values: The columns of numbers or truth values that it needs.
    """
    frame = _frame(rows, name)
    columns = [*texts, *(values := list(values))]
    if missing := [column for column in columns if column not in frame]:
        raise OddAnswer(f"`{name}` has no column {_listed(missing)}.")
    if frame.empty:
        raise OddAnswer(f"`{name}` has no rows.")
    if len(frame) > MOST_ROWS:
        raise OddAnswer(
            f"`{name}` has more than {MOST_ROWS:,} rows: a shorter measurement is enough."
        )
    frame = frame[columns].reset_index(drop=True)
    if not all(isinstance(each, str) for text in texts for each in frame[text]):
        raise OddAnswer(f"`{name}` has something other than a text in a column of texts.")
    try:
        numeric = frame[values].astype(float)
    except (TypeError, ValueError):
        raise OddAnswer(f"`{name}` has a text in a column of numbers.") from None
    if not np.isfinite(numeric.to_numpy()).all():
        raise OddAnswer(
            f"`{name}` has empty or infinite numbers: leave these rows out, and say why."
        )
    frame[values] = numeric
    return frame


def _frame(rows: Any, name: str) -> pd.DataFrame:
    try:
        if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
            raise TypeError
        return pd.DataFrame(rows if isinstance(rows, pd.DataFrame | Mapping) else list(rows))
    except (TypeError, ValueError):
        raise OddAnswer(f"`{name}` is no table.") from None


def load(rows: Any, *more: str) -> pd.DataFrame:
    """Return the samples of a load, in the order of their intended starts; `more` are further columns of numbers."""
    samples = table(rows, "samples", texts=LOAD[:1], values=[*LOAD[1:], *more])
    return samples.sort_values("intended", ignore_index=True, kind="stable")


def conclusion(answer: Mapping[str, Any]) -> Conclusion:
    """Return the conclusion of an answer: its `predicted`, `found` and `holds`."""
    low, high = sorted(numbers(answer["found"], 2))
    return Conclusion(number(answer["predicted"]), low, high, truth(answer["holds"]))


def truth(value: Any) -> bool:
    """Return a value that has to be True or False."""
    if not isinstance(value, bool | np.bool_):
        raise OddAnswer("`holds` is neither True nor False.")
    return bool(value)


def _listed(names: Iterable[str]) -> str:
    return " and no ".join(f"`{name}`" for name in names)
