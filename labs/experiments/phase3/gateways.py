"""The replicas that this phase balances: gateways that answer alone, and nginx's record of which answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from environment import Environment

GATEWAY = "api-gateway"

PATH = "/api/non-blocking"
"""A gateway answers this path at once and without another service; the answer names the replica."""


def logged_requests(env: Environment, *, after: int) -> pd.DataFrame:
    """Return what nginx's access log holds on requests for `PATH` after its first `after` lines.

    Columns: those of `env.access_log()`, and `sent` (unix seconds), by which the rows are in order.
    """
    log = env.access_log().iloc[after:]
    log = log[(log["service"] == GATEWAY) & (log["path"] == PATH)]
    log = log.assign(sent=log["time"] - log["seconds"])
    return log.sort_values("sent", kind="stable", ignore_index=True)
