"""Two cases compared, in labs 0, 1 and 5: by how much one of them takes longer than the other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from labs.exercises.checking import first_found
from labs.exercises.designs.intervals import Interval, of_difference, of_median
from labs.exercises.designs.measurements import (
    no_open_loop,
    not_in_turn,
    other_than_samples,
    too_wide,
    unequal_rates,
    without_control,
)
from labs.exercises.designs.reading import conclusion, fields, load, table

ORDER, PAYMENT = "order", "payment"
"""The streams of lab 0."""

ORDER_WIDEST = 0.01
"""Seconds: the widest interval that lab 0 takes. What is compared takes two seconds."""

DASHBOARD, PARTS = "dashboard", ("users", "orders")
"""The streams of lab 1."""

DASHBOARD_WIDEST = 0.002
"""Seconds: the widest interval that lab 1 takes."""

REFUNDED, COMPLETED = "refunded", "completed"
"""The outcomes of lab 5."""

REFUND_WIDEST = 0.04
"""Seconds: the widest interval that lab 5 takes."""

KEYS = ("samples", "predicted", "found", "holds")


def order_and_payment(answer: Any) -> str | None:
    """Return the advice on how much longer than its payment an order takes."""
    given = fields(answer, *KEYS)
    samples = load(given["samples"])
    return first_found(
        lambda: without_control(samples, "stream", (ORDER, PAYMENT)),
        lambda: _bad_load(samples),
        lambda: _without_the_work(samples),
        lambda: too_wide(_difference(samples, ORDER, PAYMENT), ORDER_WIDEST),
        lambda: other_than_samples(conclusion(given), _difference(samples, ORDER, PAYMENT)),
    )


def dashboard_and_part(answer: Any) -> str | None:
    """Return the advice on how much longer than its slower part the dashboard takes."""
    given = fields(answer, *KEYS)
    samples = load(given["samples"])
    return first_found(
        lambda: without_control(samples, "stream", (DASHBOARD, *PARTS)),
        lambda: _bad_load(samples),
        lambda: too_wide(_beyond_slower(samples), DASHBOARD_WIDEST),
        lambda: other_than_samples(conclusion(given), _beyond_slower(samples)),
    )


def refund_and_confirmation(answer: Any) -> str | None:
    """Return the advice on how much later than a confirmation a refund comes."""
    given = fields(answer, *KEYS)
    samples = table(
        given["samples"], "samples", texts=("order", "outcome"), values=("paid", "ended")
    )
    samples = samples.assign(latency=samples["ended"] - samples["paid"])
    difference = _difference(samples, REFUNDED, COMPLETED, by="outcome")
    return first_found(
        lambda: without_control(samples, "outcome", (REFUNDED, COMPLETED)),
        lambda: _counted_twice(samples),
        lambda: not_in_turn(samples, "outcome", "paid", by_chance=True),
        lambda: too_wide(difference, REFUND_WIDEST),
        lambda: other_than_samples(conclusion(given), difference),
    )


def _bad_load(samples: pd.DataFrame) -> str | None:
    return first_found(
        lambda: unequal_rates(samples, "stream"),
        lambda: not_in_turn(samples, "stream", "intended"),
        lambda: no_open_loop(samples),
        lambda: _lost(samples),
    )


def _lost(samples: pd.DataFrame) -> str | None:
    if samples["ok"].all():
        return None
    return "Some of these requests failed. A failure has no time to compare: find its cause first."


def _without_the_work(samples: pd.DataFrame) -> str | None:
    medians = samples.groupby("stream")["latency"].median()
    if medians[PAYMENT] >= 1:
        return None
    return "A payment took less than a second here. Which request makes one, and which service works two seconds on it?"


def _counted_twice(samples: pd.DataFrame) -> str | None:
    if samples["order"].duplicated().any():
        return "Some orders are in the table twice. Each of them is charged once, and ends once."
    if (samples["latency"] < 0).any():
        return "Some orders ended before they were paid. Which two events belong to one order?"
    return None


def _difference(samples: pd.DataFrame, case: str, control: str, *, by: str = "stream") -> Interval:
    of_case = samples.groupby(by)["latency"]
    return of_difference(*(_latencies(of_case, each) for each in (case, control)))


def _latencies(groups: Any, case: str) -> pd.Series[float]:
    return pd.Series(groups.get_group(case)) if case in groups.groups else pd.Series(dtype=float)


def _beyond_slower(samples: pd.DataFrame) -> Interval:
    groups = samples.groupby("stream")["latency"]
    slower = max(PARTS, key=lambda part: of_median(_latencies(groups, part)).value)
    return _difference(samples, DASHBOARD, slower)
