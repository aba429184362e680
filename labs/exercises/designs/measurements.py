"""What a good measurement has: a control, cases in turn, an open loop, enough samples, and what follows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from labs.exercises.designs.intervals import Interval
from labs.exercises.designs.reading import Conclusion
from labs.load.schedule import load_report

LAG_LIMIT = 0.1
"""Seconds of a load's lag p99, as where the experiments compare cases that take turns."""

PARTS = 4
"""Parts of a measurement, in each of which every case must have its share."""

DEVIATIONS = 4
"""Standard deviations by which a number that chance decides may miss the fair one: seldom by more than these."""

ALIKE = 0.8
"""Share of the larger number of samples from which on two cases count as sent at one rate."""

CORRELATED = 0.8
"""Correlation of latencies with the times until the next start, from which on a load counts as a closed loop."""

AS_WIDE = (0.4, 2.5)
"""By which factor the student's interval may be narrower or wider than that of the check: there are several methods."""


def without_control(samples: pd.DataFrame, by: str, cases: Collection[str]) -> str | None:
    """Return the advice on samples that lack a case, or that have one more."""
    given = set(samples[by])
    if set(cases) - given:
        return (
            f"Something to compare with is missing. The column `{by}` has to hold each case of the "
            "task, by the name that the task gives it."
        )
    if given - set(cases):
        return f"The column `{by}` holds more than the task compares: hand in these cases alone."
    return None


def unequal_rates(samples: pd.DataFrame, by: str) -> str | None:
    """Return the advice on cases of which one has clearly more samples: something else than the case differs."""
    counts = samples[by].value_counts()
    if counts.min() >= ALIKE * counts.max():
        return None
    return "More than one thing differs: the cases were not sent at the same rate."


def not_in_turn(
    samples: pd.DataFrame, by: str, moment: str, *, by_chance: bool = False
) -> str | None:
    """Return the advice on cases that were measured one after the other.

    In each quarter of the measurement every case needs half of its fair number. Where chance decides the case of each
    sample, the number is binomial, and needs to be no more than four standard deviations below the fair one.
    """
    ordered = samples.sort_values(moment, kind="stable")[by].to_numpy()
    shares = samples[by].value_counts(normalize=True)
    for part in np.array_split(ordered, PARTS):
        fair = shares * len(part)
        least = fair - DEVIATIONS * np.sqrt(fair * (1 - shares)) if by_chance else 0.5 * fair
        if any((part == case).sum() < least[case] for case in shares.index):
            return (
                "The cases did not take turns. What else on this machine may have changed between "
                "the first one and the last one?"
            )
    return None


def no_open_loop(samples: pd.DataFrame, by: str = "stream") -> str | None:
    """Return the advice on a load that waits for its responses, or that was late."""
    if _closed(samples, by):
        return (
            "Each request was sent when the one before had its response, a closed loop. "
            "Fix the moments of the requests before the run."
        )
    report = load_report(samples, lag_limit=LAG_LIMIT)
    if report.kept_schedule:
        return None
    return f"The load was not sent on its schedule ({report}), so it shaped what it measured."


def _closed(samples: pd.DataFrame, by: str) -> bool:
    """Return whether no two requests overlap, and each case's next request follows its latency."""
    ordered = samples.sort_values("intended", kind="stable")
    gaps = ordered["intended"].diff().shift(-1)
    rows = ordered.assign(gap=gaps, early=gaps - ordered["latency"]).iloc[:-1]
    if len(rows) < PARTS or (rows["early"] < 0).any():
        return False
    return all(_follows(part["gap"], part["latency"]) for _, part in rows.groupby(by))


def _follows(gaps: pd.Series[float], latencies: pd.Series[float]) -> bool:
    if gaps.std() < 0.1 * latencies.std() or not latencies.std() > 0:
        return False
    return bool(np.corrcoef(gaps, latencies)[0, 1] > CORRELATED)


def too_wide(interval: Interval, widest: float) -> str | None:
    """Return the advice on samples that do not give the precision that the task asks for."""
    if interval.width <= widest:
        return None
    return (
        "The interval that your samples give is wider than the task allows. With how many times as "
        "many samples is it half as wide?"
    )


def other_than_samples(given: Conclusion, interval: Interval, *, up_to: float = 0.0) -> str | None:
    """Return the advice on a conclusion that does not follow from its samples.

    The interval handed in has to enclose the samples' own value and be about as wide as theirs, and the prediction
    holds when it lies in it. Any width up to `up_to` is taken, and an end that misses the value by a quarter of that:
    of few values both depend much on how each was computed.
    """
    least, most = (factor * interval.width for factor in AS_WIDE)
    if up_to:
        least, most = 0.0, max(most, up_to)
    if not given.low - up_to / 4 <= interval.value <= given.high + up_to / 4:
        return "`found` does not enclose what these samples show. Which statistic does the task ask for?"
    if not least <= given.high - given.low <= most:
        return (
            "`found` encloses the right value, and is not the 95 % interval of these samples: it is "
            "much wider or much narrower."
        )
    inside = given.low <= given.predicted <= given.high
    if given.holds != inside:
        return "`holds` contradicts the rest. When does an interval contradict a prediction?"
    return None
