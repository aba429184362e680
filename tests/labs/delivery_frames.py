"""Synthetic samples of phase 4's deliveries, replays and deaths: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.dual_write import GAP, OFF, predict_dual_write
from labs.experiments.duplicates import predict_duplicates
from labs.experiments.replay import AFTER, BEFORE, EMPTY, FIELDS, predict_replay


def duplicates_prediction() -> pd.DataFrame:
    return predict_duplicates()


def duplicates() -> pd.DataFrame:
    """Two orders for each number of deliveries, charged as predicted."""
    predicted = duplicates_prediction()
    rows = predicted.loc[predicted.index.repeat(2)].reset_index(drop=True)
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        delivered=rows["deliveries"],
        drained=True,
        runtime="process",
        attempt=1,
    )


def replay_prediction() -> pd.DataFrame:
    return predict_replay()


def replay() -> pd.DataFrame:
    """The same numbers before and after; in between those of a view without events."""
    views = {
        BEFORE: (12.0, 12.0, 0.0, 239.88, 1.0, 12.0),
        EMPTY: (0.0, 0.0, 0.0, 0.0, np.nan, 0.0),
        AFTER: (12.0, 12.0, 0.0, 239.88, 1.0, 12.0),
    }
    rows = [
        {"moment": moment, "field": field, "value": value, "drained": True}
        for moment, view in views.items()
        for field, value in zip(FIELDS, view, strict=True)
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def dual_write_prediction() -> pd.DataFrame:
    return predict_dual_write()


def dual_write() -> pd.DataFrame:
    """Three orders of each moment; without the outbox those in the gap are never told of."""
    predicted = dual_write_prediction()
    rows = predicted.loc[predicted.index.repeat(predicted["orders"])].reset_index(drop=True)
    lost = (rows["outbox"] == OFF) & (rows["moment"] == GAP)
    return pd.DataFrame(
        {
            "outbox": rows["outbox"],
            "kill": 1,
            "moment": rows["moment"],
            "order": [f"order-{n}" for n in rows.index],
            "told": (~lost).astype(int),
            "status": np.where(lost, "pending", "completed"),
            "settled": True,
            "runtime": "process",
            "attempt": 1,
        }
    )
