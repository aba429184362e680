"""Ends: when each order ended, by the topics, and what it keeps of its charge."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from labs.experiments.phase4.events import read_events
from labs.experiments.phase4.orders import get
from labs.experiments.phase5 import coin
from labs.experiments.phase5.names import CANCELLED, COMPLETED, CONFIRMED, PAYMENTS
from labs.experiments.phase5.orders import cents, place, read_orders

if TYPE_CHECKING:
    from environment import Environment

USUAL_SECONDS = 30.0
"""The deadline that phase 5 sets."""


def place_good(env: Environment, orders: int) -> list[str]:
    """Place orders of a new user which the coin would let be completed; return those that were acknowledged."""
    user = f"user-{uuid.uuid4().hex[:8]}"
    keys = islice(coin.keys_of(COMPLETED, seed=env.seed, user=user), orders)
    return list(place(env, keys, user=user).values())


def read_ends(env: Environment, placed: Iterable[str]) -> pd.DataFrame:
    """Return what became of these orders.

    Columns: `order`, `status`, `total`, `created` and `ended` (unix seconds; empty when it has not ended), `charged`
    and `refunded` (cents).
    """
    every = read_orders(env)
    orders = every[every["order"].isin(list(placed))].reset_index(drop=True)
    events = pd.concat([read_events(env, topic) for topic in (CANCELLED, CONFIRMED)])
    times = events.groupby("order")["time"].min()
    ledger = get(env, PAYMENTS, "/ledger")
    sums: dict[str, Counter[str]] = {"charges": Counter(), "refunds": Counter()}
    for kind, amounts in sums.items():
        for entry in ledger[kind]:
            amounts[entry["orderId"]] += cents(entry["amount"])
    return orders.assign(
        ended=[times.get(order, np.nan) for order in orders["order"]],
        charged=[sums["charges"][order] for order in orders["order"]],
        refunded=[sums["refunds"][order] for order in orders["order"]],
    )


def has_wrong_net(orders: pd.DataFrame) -> pd.Series[bool]:
    """Return whether an order keeps another amount than its total, when it is completed, or than nothing."""
    kept = orders["total"].where(orders["status"] == COMPLETED, 0)
    return orders["charged"] - orders["refunded"] != kept
