"""The load generator's own report: whether it kept the schedule of its requests."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

LAG_LIMIT = 0.005
"""Seconds: a generator whose lag p99 exceeds this has lagged (performance target)."""

KEPT_UP = 0.98
"""Share of the offered rate below which a generator has lagged (performance target)."""


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
        return self.achieved >= KEPT_UP * self.offered and self.lag_p99 <= self.lag_limit

    def __str__(self) -> str:
        outcome = "kept up" if self.kept_schedule else "lagged"
        return (
            f"load generator {outcome}: {self.achieved:,.1f} of {self.offered:,.1f} requests/s, "
            f"lag p99 {1000 * self.lag_p99:.1f} ms"
        )


def load_report(samples: pd.DataFrame, *, lag_limit: float = LAG_LIMIT) -> LoadReport:
    """Return achieved against offered rate and the lag p99, from the samples alone.

    Both rates count the same requests: offered over the span of their intended starts, achieved
    over the span of the starts they really had. `lag_limit` (seconds) may be wider where an
    experiment judges no latency.
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
