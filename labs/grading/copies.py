"""Finds samples that two students share: the same numbers, also in another order, rounded, or with rows left out.

Two honest runs have hardly a measured number in common: a duration has digits to the nanosecond. So a column is
compared as a set of numbers, at the coarser resolution of the two. It counts only where honest runs would not meet by
chance.

Let p be the share of a column's numbers that have a neighbour at the next place of that resolution. A number of another
honest run lies on one of the column's numbers with a chance of about p. By Chernoff's bound, a share s of n numbers
does so with a chance of at most exp(-n D), D = s ln(s / p) + (1 - s) ln((1 - s) / (1 - p)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

SHARED = 0.9
"""Two columns are a copy when they share this part of the smaller one's numbers."""

SURE = 21.0
"""n D from which on a coincidence is excluded: below one in a billion."""

MOST_DECIMALS = 9


Places = npt.NDArray[np.int64]
"""Numbers as multiples of a resolution, sorted, each once."""


@dataclass(frozen=True)
class Column:
    """The different numbers of one measured column, sorted, and the decimals with which they are written."""

    numbers: npt.NDArray[np.float64]
    decimals: int
    rounded: dict[int, Places] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, values: pd.Series[Any]) -> Column | None:
        """Return a column of samples; None when most of its numbers are repeated, or they can be no evidence."""
        known = values.to_numpy(float)
        known = known[np.isfinite(known) & (np.abs(known) < 1e10)]
        numbers = np.unique(known)
        if len(numbers) < 2 or len(numbers) < len(known) / 2:
            return None
        column = cls(numbers, _decimals(numbers))
        return column if _is_evidence(column.at(column.decimals)) else None

    def at(self, decimals: int) -> Places:
        """Return the numbers as whole multiples of a resolution, each once."""
        if decimals not in self.rounded:
            scaled = np.round(self.numbers * 10.0**decimals).astype(np.int64)
            self.rounded[decimals] = np.unique(scaled)
        return self.rounded[decimals]

    def is_copy_of(self, other: Column) -> bool:
        """Return whether two columns share nearly all numbers of the smaller one."""
        if self.numbers[-1] < other.numbers[0] or other.numbers[-1] < self.numbers[0]:
            return False
        decimals = min(self.decimals, other.decimals)
        fewer, more = sorted((self.at(decimals), other.at(decimals)), key=len)
        shared = np.intersect1d(fewer, more, assume_unique=True)
        return len(shared) >= SHARED * len(fewer) and _is_evidence(fewer) and _is_evidence(more)


def _is_evidence(places: Places) -> bool:
    """Return whether another honest run would not share most of these numbers by chance."""
    n = len(places)
    p = max(1, int(np.count_nonzero(np.diff(places) == 1))) / n
    if p >= SHARED:
        return False
    s = SHARED
    return bool(n * (s * math.log(s / p) + (1 - s) * math.log((1 - s) / (1 - p))) > SURE)


def _decimals(numbers: npt.NDArray[np.float64]) -> int:
    """Return with how many decimals the numbers are written."""
    exact = 4 * np.finfo(float).eps * np.maximum(1.0, np.abs(numbers))
    for decimals in range(MOST_DECIMALS):
        if (np.abs(numbers - np.round(numbers, decimals)) <= exact).all():
            return decimals
    return 6 if np.abs(numbers).max() > 1e9 else MOST_DECIMALS


Columns = dict[str, Column]
"""The measured columns of one experiment, by their names."""


def columns_of(samples: pd.DataFrame) -> Columns:
    """Return the columns of samples that show whether they are copied; none for what was not measured.

    An experiment on a model, or with a simulation, states so in its runtime, and is the same for every student.
    """
    if "runtime" in samples and samples["runtime"].astype(str).str.startswith("none").any():
        return {}
    floats = samples.select_dtypes("float64")
    found = {str(name): Column.of(values) for name, values in floats.items()}
    return {name: column for name, column in found.items() if column}


@dataclass(frozen=True)
class Handed:
    """What is compared of one bundle: its student, its phase, its run, and the columns of each experiment."""

    student: str
    phase: str
    run: tuple[str, ...]
    experiments: Mapping[str, Columns]

    @cached_property
    def names(self) -> frozenset[str]:
        """The experiments that can be compared."""
        return frozenset(name for name, columns in self.experiments.items() if columns)


def find_copies(bundles: Sequence[Handed]) -> Iterator[tuple[int, int, str]]:
    """Yield pairs of bundles of two students that share samples or their run, and what they share."""
    for (i, one), (j, other) in combinations(enumerate(bundles), 2):
        if one.phase != other.phase or (one.student and one.student == other.student):
            continue
        shared = sorted(name for name in one.names & other.names if _shares(one, other, name))
        if shared:
            more = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
            yield i, j, f"the samples of {', '.join(shared[:3])}{more}"
        elif one.run and one.run == other.run:
            yield i, j, "the run (its id or its start and length) with other samples"


def _shares(one: Handed, other: Handed, name: str) -> bool:
    """Return whether two bundles share a measured column of an experiment."""
    columns = other.experiments[name]
    return any(
        column.is_copy_of(columns[key])
        for key, column in one.experiments[name].items()
        if key in columns
    )
