"""Synthetic samples of phase 5: what a judge sees, without a system."""

import pandas as pd

from labs.experiments.phase5 import interleavings, money, outcomes
from labs.experiments.phase5.names import COMPLETED, INVENTORY_FAILED, OUTCOMES

ENDS = {COMPLETED: ("completed", 1, 0), INVENTORY_FAILED: ("cancelled", 1, 1)}
"""The status, charges and refunds of an order by its outcome; of any other one nothing is charged."""

PRICE = 1999


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
        runtime="process",
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
        acknowledged=len(rows),
        resting=True,
        runtime="process",
        attempt=1,
    )
