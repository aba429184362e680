"""Synthetic samples of the experiments with a gateway's protections: what a judge sees, without a system."""

import pandas as pd

from labs.experiments.rate_limit import FIXED, MOVING, predict_rate_limit

WINDOW_SECONDS = 2.0
MOVING_ADMITS = {0, 1, 2, 3, 4, 21}
FIXED_ADMITS = {0, 1, 2, 3, 4, 21, 22, 23, 24, 25}
"""Numbers from 21 on are sent after the end of the first window."""


def rate_limit_prediction() -> pd.DataFrame:
    return predict_rate_limit(seconds=WINDOW_SECONDS)


def rate_limit(
    moving: set[int] = MOVING_ADMITS, fixed: set[int] = FIXED_ADMITS, *, late: float = 0.0
) -> pd.DataFrame:
    """Before each window one request at 0 s and forty around its end; those of these numbers get in.

    Each takes 4 ms; the forty come `late` seconds later than planned.
    """
    burst = [WINDOW_SECONDS - 0.4 + 0.02 * number + late for number in range(40)]
    rows = [
        {
            "sent": at,
            "ended": at + 0.004,
            "status": 200 if number in admitted else 429,
            "window": window,
        }
        for window, admitted in ((MOVING, moving), (FIXED, fixed))
        for number, at in enumerate([0.0, *burst])
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)
