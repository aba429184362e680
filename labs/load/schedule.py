"""The load generator's report about itself: whether it kept the schedule of its requests."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

LAG_LIMIT = 0.005
"""A generator whose lag p99 exceeds this (seconds) has lagged."""

ACHIEVED_SHARE = 0.98
"""A generator that achieved less than this share of the offered rate has lagged."""


@dataclass(frozen=True)
class LoadReport:
    """How well the generator kept its schedule. Rates are per second, the lag is in seconds."""

    offered: float
    achieved: float
    lag_p99: float
    lag_limit: float = LAG_LIMIT

    @property
    def kept_schedule(self) -> bool:
        """Whether the server alone, and not the generator, shaped what was measured."""
        return self.achieved >= ACHIEVED_SHARE * self.offered and self.lag_p99 <= self.lag_limit

    def __str__(self) -> str:
        outcome = "kept up" if self.kept_schedule else "lagged"
        return (
            f"load generator {outcome}: {self.achieved:,.1f} of {self.offered:,.1f} requests/s, "
            f"lag p99 {1000 * self.lag_p99:.1f} ms"
        )


def load_report(samples: pd.DataFrame, *, lag_limit: float = LAG_LIMIT) -> LoadReport:
    """Return the report on the generator of these samples.

    Both rates count the same requests: the offered rate over the span of their intended starts, the achieved rate over
    the span of their actual starts.

    Args:
        samples: The samples of one generator, as `Load.samples` returns them.
        lag_limit: The largest lag p99 (seconds); it may be wider where an experiment judges no latency.
    """
    if len(samples) < 2:
        lag = float(samples["lag"].max()) if len(samples) else 0.0
        return LoadReport(offered=0.0, achieved=0.0, lag_p99=lag, lag_limit=lag_limit)
    sent = samples["intended"] + samples["lag"]
    intervals = len(samples) - 1
    return LoadReport(
        offered=intervals / _span(samples["intended"]),
        achieved=intervals / _span(sent),
        lag_p99=float(samples["lag"].quantile(0.99)),
        lag_limit=lag_limit,
    )


def _span(times: pd.Series[float]) -> float:
    return max(float(times.max() - times.min()), 1e-9)
