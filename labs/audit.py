"""The audit: what the services and the topics record of each order, side by side, and what contradicts what.

It is not a part of the system. It reads the topics by itself, and asks each service only for what that service owns:
order-service for the orders, payment-service for the ledger, inventory-service for the shelf.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from environment.errors import LabError, NotReady
from environment.waiting import wait_until
from labs.client import new_client
from labs.contradictions import Event, Records, always, at_rest, money
from labs.pages import read_all
from labs.published import read_published, read_unread

if TYPE_CHECKING:
    from environment import Environment

ORDERS, PAYMENTS, INVENTORY = "order-service", "payment-service", "inventory-service"
PARTICIPANTS = (ORDERS, PAYMENTS, INVENTORY)

COLUMNS = [
    *("order", "status", "total", "charged", "refunded", "refund_seconds", "stock"),
    *("events", "correlations", "contradicts", "verdict"),
]

LATE_SECONDS = 10.0
"""A refund that comes later than this after the first reason for it is late."""

RESPONSE_SECONDS = 10.0

AGAIN_SECONDS = 1.0
"""The time between two readings. A contradiction counts when both have it: one alone may be of two moments."""


@dataclass(frozen=True)
class Reading:
    """One reading of everything."""

    records: Mapping[str, Records]
    unread: Mapping[str, str]
    """What is still to be read of an order, as a sentence."""
    letters: Mapping[str, list[str]]
    """The dead letters of each order, as sentences."""
    unpublished: float
    """Events in the outboxes."""
    balances: Mapping[str, float]
    reserved: Mapping[str, int]
    """What the shelf holds for orders, by product."""
    at: float


def audit(env: Environment) -> pd.DataFrame:
    """Compare the records of every order.

    An order is *under way* while it is pending, while a service has not read one of its events, while an outbox holds
    events, and while its refund is owed. Everything else has to agree: the money of an order, its charges minus its
    refunds, is its total when it is completed, and zero otherwise.

    Returns:
        One row per order, the oldest first. Columns: `order`, `status` (empty for an order that order-service never
        took), `total`, `charged`, `refunded` (cents), `refund_seconds` (from the first reason for a refund to the
        refund), `stock` (reserved, sold, released, failed or empty, by the events), `events` and `correlations` (the
        types, and the ids), `contradicts` (whether records exclude each other), `verdict` (a sentence). What is wrong
        with the books as a whole is in `attrs["books"]`, a list of sentences.

    Raises:
        LabError: The session has no saga.
        NotReady: A service does not answer, and so its records cannot be read.
    """
    if missing := [service for service in PARTICIPANTS if service not in env.services]:
        raise LabError(
            f"The audit compares the records of a saga, and this session has no {' and no '.join(missing)}. "
            "`lab up phase5` starts one."
        )
    reading = _read(env)
    wrong = contradictions(reading)
    books = wrong_books(reading)
    if wrong or books:
        again = time.monotonic() + AGAIN_SECONDS
        wait_until(lambda: time.monotonic() >= again, timeout=AGAIN_SECONDS)
        reading = _read(env)
        later = contradictions(reading)
        wrong = {
            order: [each for each in wrong[order] if each in later[order]]
            for order in wrong.keys() & later.keys()
        }
        books = [each for each in books if each in wrong_books(reading)]
    table = pd.DataFrame(
        [
            _row(records, wrong.get(order, []), reading)
            for order, records in reading.records.items()
        ],
        columns=COLUMNS,
    )
    table.attrs["books"] = books
    return table


def _read(env: Environment) -> Reading:
    # How far the services have read comes first: an event that comes later counts as unread.
    lags, letters = read_unread(env), env.kafka.dead_letters()
    published = read_published(env)
    with new_client(RESPONSE_SECONDS) as client:
        ledger = _get(client, env, PAYMENTS, "/ledger")
        orders = _get(client, env, ORDERS, "/orders")
        stock = _get(client, env, INVENTORY, "/stock")
        unpublished = sum(_outbox(client, env, service) for service in PARTICIPANTS)
    return Reading(
        records=records_of(orders, ledger, published),
        unread=_unread(published, lags),
        letters=_letters(letters),
        unpublished=unpublished,
        balances=ledger["balances"],
        reserved={product: shelf["reserved"] for product, shelf in stock.items()},
        at=time.time(),
    )


def _get(client: httpx.Client, env: Environment, service: str, path: str) -> Any:
    try:
        return read_all(client, env[service].url + path)
    except httpx.HTTPError as error:
        raise NotReady(
            f"{service} does not show its records ({error}), so that nothing can be compared. "
            f"`lab ps` shows whether it runs, `lab logs {service}` what it logged."
        ) from error


def _outbox(client: httpx.Client, env: Environment, service: str) -> float:
    text = client.get(f"{env[service].url}/metrics").text
    lines = [line.split() for line in text.splitlines() if line.startswith("outbox_events ")]
    return sum(float(line[1]) for line in lines)


def records_of(
    orders: list[dict[str, Any]], ledger: Mapping[str, Any], published: pd.DataFrame
) -> dict[str, Records]:
    """Return the records of each order, by its id: those that order-service lists first, in its order."""
    events: dict[str, list[Event]] = defaultdict(list)
    for event in _dicts(published.sort_values("at", kind="stable")):
        events[event["order"]].append(event)
    entries = {kind: _entries(ledger[kind]) for kind in ("charges", "refunds")}
    known = {order["id"]: order for order in orders}
    every = dict.fromkeys([*known, *entries["charges"], *entries["refunds"], *events])
    return {id: _records(id, known.get(id, {}), entries, events[id]) for id in every}


def _records(
    id: str, order: Mapping[str, Any], entries: Mapping[str, Any], events: list[Event]
) -> Records:
    return Records(
        order=id,
        status=order.get("status", ""),
        user=order.get("userId", ""),
        total=round(100 * order.get("total", 0)),
        items=order.get("items"),
        charges=entries["charges"].get(id, ()),
        refunds=entries["refunds"].get(id, ()),
        events=events,
    )


def _entries(rows: list[dict[str, Any]]) -> dict[str, list[int]]:
    amounts: dict[str, list[int]] = {}
    for row in rows:
        amounts.setdefault(row["orderId"], []).append(round(100 * row["amount"]))
    return amounts


def _unread(published: pd.DataFrame, lags: pd.DataFrame) -> dict[str, str]:
    """Return for each order an event that a participant has not read, as a sentence."""
    readers = lags[lags["service"].isin(PARTICIPANTS)]
    both = published.merge(readers, on=["topic", "partition"])
    late = both[both["offset"] >= both["committed"]]
    return {row["order"]: f"{row['service']} has not read {row['type']}" for row in _dicts(late)}


def _letters(letters: pd.DataFrame) -> dict[str, list[str]]:
    """Return the dead letters of each order that are still there, as sentences."""
    sentences: dict[str, list[str]] = defaultdict(list)
    for letter in _dicts(letters[~letters["redriven"].astype(bool)]):
        sentences[str(letter["key"])].append(
            f"a dead letter of {letter['group']} came from {letter['origin']}"
        )
    return sentences


def _dicts(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    yield from frame.to_dict("records")  # type: ignore[misc]


def under_way(records: Records, reading: Reading) -> str:
    """Return what an order is waiting for, as a sentence; empty when it waits for nothing."""
    if records.order in reading.unread:
        return reading.unread[records.order]
    if records.status == "pending":
        return f"pending{_since(records, reading)}"
    if reading.unpublished:
        return "events wait in an outbox"
    if records.status == "cancelled" and records.net > 0 and reading.balances.get("owed", 0) > 0:
        return f"its refund is owed{_since(records, reading)}"
    return ""


def _since(records: Records, reading: Reading) -> str:
    times = [event["at"] for event in records.events]
    return f" for {reading.at - max(times):.0f} s" if times else ""


def contradictions(reading: Reading) -> dict[str, list[str]]:
    """Return what contradicts what in one reading, by the order."""
    wrong = {}
    for order, records in reading.records.items():
        sentences = list(always(records))
        if not under_way(records, reading):
            sentences += at_rest(records)
        if sentences:
            wrong[order] = list(dict.fromkeys(sentences))
    return wrong


def wrong_books(reading: Reading) -> list[str]:
    """Return what is wrong with the sums over all orders, as sentences."""
    wrong = []
    balance = round(100 * sum(reading.balances.values()))
    if balance:
        wrong.append(f"the balances of the ledger add up to {money(balance)}")
    if any(under_way(records, reading) for records in reading.records.values()):
        return wrong
    if owed := round(100 * reading.balances.get("owed", 0)):
        wrong.append(f"{money(owed)} is owed, and no order waits for it")
    for product, number in reading.reserved.items():
        if number:
            wrong.append(f"{number} of {product} are reserved, and no order waits for them")
    return wrong


def refund_seconds(records: Records) -> float | None:
    """Return the seconds from the first reason for a refund to the refund; None without one."""
    reasons = [
        event["at"] for event in records.of("InventoryFailed") + records.of("OrderCancelled")
    ]
    paid = [event["at"] for event in records.of("PaymentRefunded")]
    return max(0.0, min(paid) - min(reasons)) if paid and reasons else None


def _row(records: Records, wrong: list[str], reading: Reading) -> dict[str, Any]:
    return {
        "order": records.order,
        "status": records.status,
        "total": records.total,
        "charged": sum(records.charges),
        "refunded": sum(records.refunds),
        "refund_seconds": refund_seconds(records),
        "stock": records.stock,
        "events": ", ".join(Counter(event["type"] for event in records.events)),
        "correlations": ", ".join(dict.fromkeys(event["correlation"] for event in records.events)),
        "contradicts": bool(wrong),
        "verdict": verdict_of(records, wrong, reading),
    }


def verdict_of(records: Records, wrong: list[str], reading: Reading) -> str:
    """Return the verdict on one order, as a sentence."""
    late = refund_seconds(records) or 0.0
    waits = under_way(records, reading)
    if wrong:
        text = "contradiction: " + "; ".join(wrong)
    elif waits:
        text = f"under way: {waits}"
    elif late > LATE_SECONDS:
        text = f"right; its refund came {late:.0f} s after the first reason for it"
    else:
        return "right"
    return "; ".join([text, *reading.letters.get(records.order, [])])
