"""Finds samples that two students share: the same numbers, also in another order, rounded, or with rows left out.

Two honest runs have no measured number in common: a duration has digits to the nanosecond. So a column is compared as a
set of numbers, at the coarser resolution of the two. A column counts only where that resolution is so fine that the
numbers of two honest runs rarely meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FEWEST = 8
"""A column with fewer different numbers is no evidence."""

SHARED = 0.9
"""Two columns are a copy when they share this part of the smaller one's numbers."""

PLACES_PER_NUMBER = 10
"""A resolution is fine enough when the range of a column has this many places for each of its numbers."""

MOST_DECIMALS = 9


@dataclass(frozen=True)
class Column:
    """The different numbers of one measured column, sorted, and the decimals with which they are written."""

    numbers: npt.NDArray[np.float64]
    decimals: int
    rounded: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, values: pd.Series[Any]) -> Column | None:
        """Return a column of samples; None when it holds too few numbers or can be no evidence."""
        known = values.to_numpy(float)
        known = known[np.isfinite(known) & (np.abs(known) < 1e10)]
        numbers = np.unique(known)
        if len(numbers) < max(FEWEST, len(known) / 2):
            return None
        column = cls(numbers, _decimals(numbers))
        return column if column.at(column.decimals) is not None else None

    def at(self, decimals: int) -> npt.NDArray[np.int64] | None:
        """Return the numbers as whole multiples of a resolution; None when it is too coarse for evidence."""
        if decimals not in self.rounded:
            scaled = np.round(self.numbers * 10.0**decimals).astype(np.int64)
            self.rounded[decimals] = np.unique(scaled)
        places = self.rounded[decimals]
        reach = places[-1] - places[0]
        return places if reach >= PLACES_PER_NUMBER * len(self.numbers) else None

    def is_copy_of(self, other: Column) -> bool:
        """Return whether two columns share nearly all numbers of the smaller one."""
        if self.numbers[-1] < other.numbers[0] or other.numbers[-1] < self.numbers[0]:
            return False
        decimals = min(self.decimals, other.decimals)
        mine, its = self.at(decimals), other.at(decimals)
        if mine is None or its is None or min(len(mine), len(its)) < FEWEST:
            return False
        shared = np.intersect1d(mine, its, assume_unique=True)
        return len(shared) >= SHARED * min(len(mine), len(its))


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
        elif one.run == other.run:
            yield i, j, "the run (its id or its start and length) with other samples"


def _shares(one: Handed, other: Handed, name: str) -> bool:
    """Return whether two bundles share a measured column of an experiment."""
    columns = other.experiments[name]
    return any(
        column.is_copy_of(columns[key])
        for key, column in one.experiments[name].items()
        if key in columns
    )
