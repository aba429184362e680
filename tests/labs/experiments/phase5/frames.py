"""Synthetic samples of phase 5: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.phase5 import (
    compensation_first,
    deadline,
    duration,
    interleavings,
    money,
    outcomes,
    refunds,
    saga_throughput,
    story,
)
from labs.experiments.phase5.names import COMPLETED, INVENTORY, INVENTORY_FAILED, ORDERS, OUTCOMES

ENDS = {COMPLETED: ("completed", 1, 0), INVENTORY_FAILED: ("cancelled", 1, 1)}
"""The status, charges and refunds of an order by its outcome; of any other one nothing is charged."""

PRICE = 1999

BEGAN = 1.7e9


def interleavings_prediction() -> pd.DataFrame:
    return interleavings.predict()


def interleavings_samples() -> pd.DataFrame:
    """Every walk as predicted; the drawn design breaks its property in the eight steps."""
    trace = [
        "publish OrderCreated",
        "deadline",
        "publish OrderCancelled",
        "payment reads OrderCancelled",
        "payment reads OrderCreated",
        "publish PaymentCompleted",
        "inventory reads OrderCancelled",
        "inventory reads PaymentCompleted",
    ]
    rows = interleavings_prediction().drop(columns=["kind", "arguments"])
    wrong = rows["steps"] > 0
    return rows.assign(
        broken=["a promise" if each else "" for each in wrong],
        trace=["\n".join(trace) if each else "" for each in wrong],
        seconds=0.01,
        runtime="none (a model)",
        attempt=1,
    )


def outcomes_prediction() -> pd.DataFrame:
    return outcomes.predict(orders=200)


def outcomes_samples() -> pd.DataFrame:
    """Every order as the coin says."""
    return outcomes_prediction().assign(shelf=100_000, resting=True, runtime="process", attempt=1)


def money_prediction() -> pd.DataFrame:
    return money.predict()


def money_samples(each: int = 25) -> pd.DataFrame:
    """So many orders of each outcome."""
    rows = []
    for outcome in OUTCOMES:
        status, charges, refunds = ENDS.get(outcome, ("cancelled", 0, 0))
        rows += [
            {
                "order": f"{outcome}-{number}",
                "status": status,
                "total": PRICE,
                "charges": charges,
                "charged": charges * PRICE,
                "refunds": refunds,
                "refunded": refunds * PRICE,
            }
            for number in range(each)
        ]
    kept = each * PRICE
    return pd.DataFrame(rows).assign(
        customers=-kept,
        shop=kept,
        owed=0,
        revenue=kept,
        unordered=0,
        resting=True,
        runtime="process",
        attempt=1,
    )


def deadline_prediction() -> pd.DataFrame:
    return deadline.predict()


def deadline_samples(orders: int = 6) -> pd.DataFrame:
    """Orders that end 4 s after they are placed; inventory-service's were charged, order-service's answers waited."""
    rows = deadline_prediction().drop(columns=["low", "high"])
    rows = rows.loc[rows.index.repeat(orders)].reset_index(drop=True)
    away = rows["silent"] == ORDERS
    charged = away | (rows["silent"] == INVENTORY)
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        total=PRICE,
        created=BEGAN,
        ended=BEGAN + 4 + 2 * away,
        charged=PRICE * charged,
        refunded=PRICE * (charged & ~away),
        began=BEGAN + np.where(away, 1, -1),
        back=BEGAN + 5.0,
        timeout=3.0,
        answered=True,
        resting=True,
        runtime="process",
        attempt=1,
    )


def compensation_first_prediction() -> pd.DataFrame:
    return compensation_first.predict(orders=6)


def compensation_first_samples() -> pd.DataFrame:
    """Six cancelled orders of each reader; inventory-service's were charged and refunded."""
    rows = compensation_first_prediction()[["reader"]]
    rows = rows.loc[rows.index.repeat(6)].reset_index(drop=True)
    charged = PRICE * (rows["reader"] == INVENTORY)
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        status="cancelled",
        total=PRICE,
        created=BEGAN,
        ended=BEGAN + 2,
        charged=charged,
        refunded=charged,
        effects=0,
        cancelled_first=True,
        read_again=6,
        resting=True,
        runtime="process",
        attempt=1,
    )


def refunds_prediction() -> pd.DataFrame:
    return refunds.predict()


def refunds_samples() -> pd.DataFrame:
    """Every refund paid after the predicted attempts."""
    rows = refunds_prediction()
    return rows.drop(columns="attempts").assign(
        charges=1, refunds=1, refused=rows["attempts"] - 1, rate=0.5, runtime="process", attempt=1
    )


def story_prediction() -> pd.DataFrame:
    return story.predict()


def story_samples(orders: int = 4) -> pd.DataFrame:
    """So many orders of each outcome, as predicted; the trace is that of a payment that failed."""
    rows = story_prediction()
    rows = rows.loc[rows.index.repeat(orders)].reset_index(drop=True)
    trace = ("publish OrderCreated", "payment reads OrderCreated", "publish PaymentFailed")
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        roots=1,
        orphans=0,
        correlations=1,
        traces=1,
        own=True,
        reversed=0,
        ended=True,
        trace="\n".join(trace),
        complete=True,
        runtime="process",
        attempt=1,
    )


def duration_prediction() -> pd.DataFrame:
    return duration.predict()


def duration_samples(hop: float = 0.02, orders: int = 10) -> pd.DataFrame:
    """So many orders of each outcome; a hop takes `hop` seconds, and a millisecond more or less."""
    rows = duration_prediction()
    rows = rows.loc[rows.index.repeat(orders)].reset_index(drop=True)
    jitter = np.tile([-0.001, 0.001], len(rows) // 2)
    return pd.DataFrame(
        {
            "order": [f"order-{n}" for n in rows.index],
            "outcome": rows["outcome"],
            "duration": rows["work"] + hop * rows["hops"] + jitter,
            "overdue": False,
            "runtime": "process",
            "attempt": 1,
        }
    )


def saga_throughput_prediction() -> pd.DataFrame:
    return saga_throughput.predict()


def saga_throughput_samples(seconds: float = 0.06, orders: int = 250) -> pd.DataFrame:
    """So many orders on each number of replicas, on time; all but one in fifty take `seconds`, these three times it."""
    parts = []
    for replicas in (1, 3):
        number = np.arange(orders)
        part = {
            "replicas": replicas,
            "intended": BEGAN + 100 * replicas + number / 50,
            "lag": 0.001,
            "latency": 0.01,
            "status": 201,
            "error": "",
            "ok": True,
            "order": [f"order-{replicas}-{n}" for n in number],
            "total": np.where(number % 50 == 0, 3 * seconds, seconds),
            "idle": 1.0,
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)
