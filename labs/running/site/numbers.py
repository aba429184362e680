"""The measured numbers of the prose: where each comes from, how exact it is, and in which range its sentences hold.

`handbook/numbers/*.yaml` defines the quantities. Each is a statistic of an experiment's samples, computed from this
machine's newest record; on a machine without one, from `handbook/numbers/reference.json`, which `lab handbook
--record` writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from environment.errors import LabError
from labs.experiment import modules
from labs.records import Record, write_whole

RESAMPLES = 1000
SEED = 7
INTERVAL = (5, 95)
"""Percentiles of the bootstrap: a 90 % interval."""

_CHUNK = 2_000_000  # numbers that one step of the bootstrap holds in memory

Values = np.ndarray[Any, np.dtype[np.float64]]
Statistic = Callable[..., Any]

STATISTICS: dict[str, Statistic] = {
    "median": np.median,
    "mean": np.mean,
    "min": np.min,
    "max": np.max,
    **{f"p{rank}": partial(np.percentile, q=rank) for rank in (5, 10, 25, 75, 90, 95, 99)},
    "sum": np.sum,
    "share": np.mean,
    "count": np.sum,  # of ones: a draw has as many rows as the sample, so a count has no interval
}


class QuantityError(LabError):
    """Raised for a quantity that is defined wrongly, or that its record cannot give."""


@dataclass(frozen=True)
class Quantity:
    """One measured number of the prose; CONTRIBUTING.md describes the keys of its definition."""

    name: str
    experiment: str
    statistic: str
    holds: tuple[float, float]
    column: str = ""
    rows: str = ""
    minus: Mapping[str, str] | None = None
    over: Mapping[str, str] | None = None
    scale: float = 1
    unit: str = ""
    digits: int = 1

    @classmethod
    def read(cls, name: str, entry: Mapping[str, Any]) -> Quantity:
        """Return the quantity of an entry in a YAML file.

        Raises:
            QuantityError: A key is unknown or missing, or names something that does not exist.
        """
        if not isinstance(entry, Mapping):
            raise QuantityError(f"{name} is no list of keys and values")
        known = {field.name for field in fields(cls)} - {"name"}
        required = {"experiment", "statistic", "holds"}
        for key in [*(set(entry) - known), *(required - set(entry))]:
            fault = "has an unknown key" if key in entry else "lacks the key"
            raise QuantityError(f"{name} {fault} {key!r}; the keys are: {', '.join(sorted(known))}")
        least, most = (float(number) for number in entry["holds"])
        quantity = cls(name=name, **{**entry, "holds": (least, most)})
        if quantity.experiment not in modules():
            raise QuantityError(f"{name} names an unknown experiment {quantity.experiment!r}")
        if quantity.statistic not in STATISTICS:
            names = ", ".join(STATISTICS)
            raise QuantityError(
                f"{name} names an unknown statistic {quantity.statistic!r}; there are: {names}"
            )
        if not quantity.column and quantity.statistic != "count":
            raise QuantityError(f"{name} names no column")
        return quantity

    def shown(self, value: float) -> str:
        """Return a value as the prose shows it, without its unit."""
        text = f"{value:,.{self.digits}f}"
        return text.removeprefix("-") if not float(text.replace(",", "")) else text


@dataclass(frozen=True)
class Measured:
    """The value of a quantity, its 90 % bootstrap interval, and where it was measured."""

    value: float
    low: float
    high: float
    samples: int
    cpu: str
    cores: int
    runtime: str
    profile: str
    started: str


def load_quantities(folder: Path) -> tuple[dict[str, Quantity], list[str]]:
    """Return all quantities of the YAML files in a folder, and a sentence for each wrong definition."""
    quantities: dict[str, Quantity] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as problem:
            faults.append(f"{path.name} is no YAML: {problem}")
            continue
        for name, entry in entries.items():
            if name in quantities:
                faults.append(f"{path.name}: {name} is defined a second time")
                continue
            try:
                quantities[name] = Quantity.read(name, entry)
            except QuantityError as problem:
                faults.append(f"{path.name}: {problem}")
    return quantities, faults


def measure(quantity: Quantity, record: Record) -> Measured:
    """Compute a quantity from a record.

    Raises:
        QuantityError: The samples lack the column or have no such row.
    """
    try:
        samples = record.samples(quantity.experiment)
    except (OSError, ValueError) as problem:
        raise QuantityError(f"{quantity.name}: {record.path} cannot be read ({problem})") from None
    values = _values(quantity, samples, quantity.rows, quantity.column)
    value = _statistic(quantity, values)
    draws = _bootstrap(quantity, values)
    for combine, other in ((np.subtract, quantity.minus), (np.divide, quantity.over)):
        if other is None:
            continue
        more = _values(
            quantity, samples, other.get("rows", ""), other.get("column", quantity.column)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(combine(value, _statistic(quantity, more)))
            draws = combine(draws, _bootstrap(quantity, more))
    if not np.isfinite(value):
        raise QuantityError(f"{quantity.name} is {value}: it divides by zero")
    low, high = np.percentile(draws[np.isfinite(draws)], INTERVAL) * quantity.scale
    machine = record.facts["machine"]
    return Measured(
        value=value * quantity.scale,
        low=float(low),
        high=float(high),
        samples=len(values),
        cpu=machine["cpu"],
        cores=machine["cores"],
        runtime=record.facts["runtime"],
        profile=record.facts["profile"],
        started=record.facts["started"],
    )


def _values(quantity: Quantity, samples: pd.DataFrame, rows: str, column: str) -> Values:
    try:
        chosen = samples.query(rows, engine="python") if rows else samples
        if quantity.statistic == "count":
            return np.ones(len(chosen))
        values = chosen.eval(column, engine="python")
    except Exception as problem:  # pandas raises whatever the expression leads to
        columns = ", ".join(samples.columns)
        raise QuantityError(
            f"{quantity.name} cannot be computed from {quantity.experiment} ({problem}); "
            f"its samples have the columns: {columns}"
        ) from None
    found = pd.Series(values).dropna().to_numpy(dtype=float)
    if not len(found):
        raise QuantityError(
            f"{quantity.name} finds no rows in {quantity.experiment}: {rows or column}"
        )
    return found


def _statistic(quantity: Quantity, values: Values) -> float:
    return float(STATISTICS[quantity.statistic](values))


def _bootstrap(quantity: Quantity, values: Values) -> Values:
    """Return the statistic of samples that are drawn again, each as large as the first."""
    if quantity.statistic == "count":
        return np.full(
            RESAMPLES, float(len(values))
        )  # of no rows as well, from which none can be drawn
    random = np.random.default_rng(SEED)
    draws = list(_draws(random, values, STATISTICS[quantity.statistic]))
    return np.concatenate(draws)


def _draws(random: np.random.Generator, values: Values, statistic: Statistic) -> Iterator[Values]:
    step = max(1, _CHUNK // len(values))
    for begin in range(0, RESAMPLES, step):
        size = (min(step, RESAMPLES - begin), len(values))
        yield statistic(values[random.integers(0, len(values), size)], axis=1)


class Reference(dict[str, Measured]):
    """The committed values, for machines without a record of their own."""

    @classmethod
    def read(cls, path: Path) -> Reference:
        """Return the values of a file; none if it does not exist."""
        texts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return cls({name: Measured(**entry) for name, entry in texts.items()})

    def write(self, path: Path) -> None:
        """Write the values to a file, ordered by name, so that a change is easy to read."""
        text = json.dumps({name: asdict(self[name]) for name in sorted(self)}, indent=1) + "\n"
        path.parent.mkdir(exist_ok=True)
        write_whole(path, partial(Path.write_text, data=text, encoding="utf-8"))
