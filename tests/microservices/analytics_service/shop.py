"""A log of events for analytics-service, and what a batch over it counts."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from microservices.analytics_service import panes, v2, watermark
from microservices.kit.events.envelope import Cause, Event, EventPlace
from microservices.kit.events.event_types import (
    Data,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentRefunded,
)
from microservices.kit.items import Item

BEGAN = 1_700_000_000.0
CAUSE = Cause("click", None, "")
ITEMS = [Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})]
USER = "user-1"


def created(order: str, cents: int = 3998, user: str = USER) -> Data:
    return OrderCreated.new(order_id=order, user_id=user, items=ITEMS, total_cents=cents)


def paid(order: str, cents: int = 3998) -> Data:
    return PaymentCompleted.new(order_id=order, payment_id="p", amount_cents=cents, items=ITEMS)


def refunded(order: str, cents: int = 3998) -> Data:
    return PaymentRefunded.new(order_id=order, payment_id="p", amount_cents=cents)


def confirmed(order: str) -> Data:
    return OrderConfirmed.new(order_id=order)


def cancelled(order: str) -> Data:
    return OrderCancelled.new(order_id=order, reason="none left")


def at(seconds: float, data: Data, *, offset: int = 0, partition: int = 0) -> Event:
    """Return an event that happened so many seconds after the shop opened."""
    moment = datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat(timespec="milliseconds")
    place = EventPlace(data.topic, partition, offset)
    return Event(f"{data.order_id}-{seconds}", moment.replace("+00:00", "Z"), data, CAUSE, place)


@contextmanager
def new_view() -> Iterator[Connection]:
    """Yield an empty view; the tables are made once."""
    with engine().begin() as connection:
        yield connection
        connection.rollback()


@cache
def engine() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        v2.create_tables(connection)
    return engine


def pass_watermark(connection: Connection, seconds: float) -> None:
    """Move the watermark to so many seconds after the shop opened."""
    connection.execute(watermark.marks.delete())
    connection.execute(watermark.marks.insert().values(id=1, at=BEGAN + seconds))


def windows(connection: Connection, size: int = 10, step: int = 10) -> list[panes.Window]:
    mark = watermark.find(connection)
    return panes.windows(connection, size=size, step=step, pane=1, watermark=mark)


def batch(events: Iterable[Event], *, size: int) -> dict[int, dict[str, int]]:
    """Return the sums of each window of `size` seconds, counted by pandas from a whole log.

    Of several events of one type for one order the earliest counts, and of several ends the first one.
    """
    rows = [
        {
            "order": event.data.order_id,
            "type": type(event.data).__name__,
            "time": event.time,
            "cents": getattr(event.data, "amount_cents", 0),
        }
        for event in events
    ]
    log = pd.DataFrame(rows).sort_values(["time", "cents"])
    log = log.drop_duplicates(["order", "type"])
    ends = log[log["type"].isin(["OrderConfirmed", "OrderCancelled"])]
    ends = ends.sort_values(["time", "type"])  # of two at the same moment the cancel
    second = ends[ends.duplicated("order")]
    log = log.drop(second.index)
    charged = log[log["type"] == "PaymentCompleted"].set_index("order")["cents"]
    unpaid = (log["type"] == "PaymentRefunded") & ~log["order"].isin(charged.index)
    log = log[~unpaid]
    window = (log["time"] // size * size).astype(int)
    sums: dict[int, dict[str, int]] = {}
    for begin, part in log.groupby(window):
        count = part["type"].value_counts()
        income = part.loc[part["type"] == "PaymentCompleted", "cents"].sum()
        back = part[part["type"] == "PaymentRefunded"]
        returned = sum(min(row.cents, int(charged[row.order])) for row in back.itertuples())
        sums[int(str(begin))] = {
            "orders": int(count.get("OrderCreated", 0)),
            "successful": int(count.get("OrderConfirmed", 0)),
            "failed": int(count.get("OrderCancelled", 0)),
            "revenue_cents": int(income - returned),
        }
    return sums


def now(connection: Connection, size: int) -> Mapping[int, Any]:
    return {each.start: each.now for each in windows(connection, size, size)}
