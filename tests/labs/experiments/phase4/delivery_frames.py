"""Synthetic samples of phase 4's deliveries, replays and deaths: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.phase4 import (
    broker_dies,
    dual_write,
    duplicates,
    replay,
    retry_and_dead_letters,
)
from labs.experiments.phase4.dual_write import GAP, OFF
from labs.experiments.phase4.poison import UNKNOWN
from labs.experiments.phase4.replay import AFTER, BEFORE, EMPTY, FIELDS
from labs.experiments.phase4.retry_and_dead_letters import GOOD, POISONED

BEGAN = 1.7e9


def duplicates_prediction() -> pd.DataFrame:
    return duplicates.predict()


def duplicates_samples() -> pd.DataFrame:
    """Two orders for each number of deliveries, charged as predicted."""
    predicted = duplicates_prediction()
    rows = predicted.loc[predicted.index.repeat(2)].reset_index(drop=True)
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        delivered=rows["deliveries"],
        drained=True,
        payments=rows["charges"],
        runtime="process",
        attempt=1,
    )


def replay_prediction() -> pd.DataFrame:
    return replay.predict()


def replay_samples() -> pd.DataFrame:
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
    return pd.DataFrame(rows).assign(events=12, orders=9, runtime="process", attempt=1)


def dual_write_prediction() -> pd.DataFrame:
    return dual_write.predict()


def dual_write_samples() -> pd.DataFrame:
    """Three orders of each moment; without the outbox the events of those in the gap are never published."""
    predicted = dual_write_prediction()
    rows = predicted.loc[predicted.index.repeat(predicted["orders"])].reset_index(drop=True)
    lost = (rows["outbox"] == OFF) & (rows["moment"] == GAP)
    return pd.DataFrame(
        {
            "outbox": rows["outbox"],
            "kill": 1,
            "moment": rows["moment"],
            "order": [f"order-{n}" for n in rows.index],
            "published": (~lost).astype(int),
            "status": np.where(lost, "pending", "completed"),
            "settled": True,
            "runtime": "process",
            "attempt": 1,
        }
    )


def broker_dies_prediction() -> pd.DataFrame:
    return broker_dies.predict()


def broker_dies_samples(*, waits: float = 6.5, removed: bool = True) -> pd.DataFrame:
    """Twenty orders per second; the broker hangs from 1.5 s on, is back at 4 s, and orders are done `waits` later."""
    created = BEGAN + np.arange(0, 5.5, 0.05)
    away = (created > BEGAN + 1.5) & (created < BEGAN + 4 + waits)
    return pd.DataFrame(
        {
            "order": [f"order-{n}" for n in range(len(created))],
            "status": "completed",
            "created": created,
            "published": 1,
            "done": np.where(away, BEGAN + 4 + waits, created + 0.05),
            "asked": len(created),
            "accepted": len(created),
            "refused": 0,
            "began": BEGAN + 1.5,
            "killed": BEGAN + 2.5,
            "ended": BEGAN + 4,
            "removed": removed,
            "runtime": "process",
            "attempt": 1,
        }
    )


def retry_and_dead_letters_prediction() -> pd.DataFrame:
    return retry_and_dead_letters.predict()


def retry_and_dead_letters_samples() -> pd.DataFrame:
    """Four poisoned partitions; in each of the six a good message arrives at 0.1 s."""
    rows = []
    for partition in range(6):
        kind = POISONED.get(partition)
        tried = kind == UNKNOWN
        times = [BEGAN + 0.01, BEGAN + 0.22, BEGAN + 0.64] if tried else [None] * 3
        attempts = {f"attempt_{n}": at for n, at in enumerate(times, start=1)}
        ended_poison = BEGAN + (0.65 if tried else 0.02)
        if kind:
            ends = {"arrived": BEGAN, "ended": ended_poison, "letters": 1}
            rows.append({"kind": kind, "partition": partition, **ends, **attempts})
        ended = max(BEGAN + 0.12, ended_poison + 0.01 if tried else 0)
        ends = {"arrived": BEGAN + 0.1, "ended": ended, "letters": 0}
        rows.append({"kind": GOOD, "partition": partition, **ends})
    samples = pd.DataFrame(rows).assign(idle=1.2, runtime="process", attempt=1)
    return samples.assign(order=[f"order-{n}" for n in samples.index])
