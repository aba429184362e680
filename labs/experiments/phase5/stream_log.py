"""The log as a stream: every event that a view of the shop counts, and what a batch over all of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from labs.experiments.phase4.events import MOST, envelope_of
from labs.experiments.phase5.names import CANCELLED, CONFIRMED, CREATED, PAID, REFUNDED
from labs.experiments.phase5.orders import cents

if TYPE_CHECKING:
    from environment import Environment

SUMS = {CREATED: "orders", CONFIRMED: "successful", CANCELLED: "failed", PAID: "revenue"}
"""What an event adds one to, by its topic; a charge adds its amount, and a refund subtracts it."""

TOPICS = (*SUMS, REFUNDED)

COLUMNS = ("orders", "successful", "failed", "revenue")
"""The sums of a window; revenue is in cents."""


def read_log(env: Environment) -> pd.DataFrame:
    """Return every event that counts, once for each order and type: the earliest one.

    Columns: `topic`, `partition`, `order`, `at` (when it happened) and `published` (when Kafka received it; both in
    unix seconds), `sum` (the sum that it adds to), `value`.
    """
    rows = []
    for topic in TOPICS:
        for message in env.kafka.read(topic, limit=MOST).to_dict("records"):
            if not (event := envelope_of(message["value"])):
                continue
            amount = cents(event["data"].get("amount", 0))
            rows.append(
                {
                    "topic": topic,
                    "partition": message["partition"],
                    "order": event["data"]["orderId"],
                    "at": pd.Timestamp(event["timestamp"]).timestamp(),
                    "published": message["time"].timestamp(),
                    "sum": SUMS.get(topic, "revenue"),
                    "value": {PAID: amount, REFUNDED: -amount}.get(topic, 1),
                }
            )
    columns = ["topic", "partition", "order", "at", "published", "sum", "value"]
    log = pd.DataFrame(rows, columns=columns).sort_values(["at", "published"], kind="stable")
    return log.drop_duplicates(["topic", "order"]).reset_index(drop=True)


def count_windows(log: pd.DataFrame, *, size: float) -> pd.DataFrame:
    """Return the sums of each window of `size` seconds in which something happened, by a batch over the log.

    Columns: `start` (unix seconds) and `COLUMNS`.
    """
    sums = log.assign(start=log["at"] // size * size).pivot_table(
        index="start", columns="sum", values="value", aggfunc="sum", fill_value=0
    )
    return sums.reindex(columns=list(COLUMNS), fill_value=0).astype(int).reset_index()
