"""Events are read as strictly as requests, and a version is understood or refused, never guessed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from microservices.kit.events.envelope import BadEvent, Cause, Event, read_event, write_event
from microservices.kit.events.event_types import OrderConfirmed, OrderCreated
from microservices.kit.items import Item
from microservices.kit.wire import Id

ITEM = Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})
ORDER: dict[str, Any] = {"order_id": "order-1", "user_id": "user-1", "items": [ITEM]}
CREATED = OrderCreated.new(**ORDER, total_cents=3998)


class OrderCreated2(OrderCreated):
    """The next version: one more field."""

    version = 2
    coupon: Id


OrderCreated2.__name__ = "OrderCreated"


def value(**changes: Any) -> bytes:
    event = json.loads(write_event(CREATED, Cause("click", None, "")))
    data = {name: changes.pop(name) for name in list(changes) if name in event["data"]}
    return json.dumps(event | changes | {"data": event["data"] | data}).encode()


def read(value: bytes | None, key: bytes | None = b"order-1") -> Event:
    return read_event({"OrderCreated": OrderCreated}, key=key, value=value, traceparent="trace")


def test_an_event_is_read_as_it_was_written() -> None:
    found = read(value())
    assert found.data == CREATED
    assert found.cause == Cause("click", found.event_id, "trace")


def test_amounts_are_decimals_on_the_wire_and_cents_inside() -> None:
    assert json.loads(value())["data"]["total"] == 39.98
    assert json.loads(value())["data"]["items"] == [
        {"productId": "prod-1", "quantity": 2, "price": 19.99}
    ]


LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"[]", "valid dictionary"),
        (value().replace(b"39.98", b"NaN"), "not JSON"),
        (value().replace(b"39.98", b"1e999"), "not JSON|between"),
        (value().replace(b"user-1", b"\xff"), "not JSON"),
        (value().replace(b"user-1", b"\\ud800"), "not JSON"),
        (value().replace(b'"user-1"', b"[" * 9000 + b"]" * 9000), "not JSON"),
        (value().replace(b"user-1", b"u" * 100_000), "longer than"),
        (value(eventType="OrderConfirmed"), "none of OrderCreated"),
        (value(version=2), "version 2; this consumer reads version 1"),
        (value(version="1"), "version"),
        (value(timestamp=LATER), "future"),
        (value(timestamp="2026-11-22"), "timestamp"),
        (value(timestamp="2026-13-45T99:00:00Z"), "timestamp"),
        (value(more=1), "more"),
        (value(userId=7), "userId"),
        (value(total=39.981), "two decimals"),
        (value(total=True), "number"),
        (value(items=[]), "items"),
        (value(orderId="order-2"), "the key is not the order id"),
    ],
)
def test_a_message_that_is_no_event_is_refused_with_the_reason(
    bad: bytes | None, reason: str
) -> None:
    with pytest.raises(BadEvent, match=reason):
        read(bad)


@pytest.mark.parametrize("key", [None, b"", b"order-2"])
def test_an_event_without_its_key_is_refused(key: bytes | None) -> None:
    with pytest.raises(BadEvent, match="key"):
        read(value(), key)


def test_the_reason_never_quotes_what_was_sent() -> None:
    with pytest.raises(BadEvent) as refused:
        read(value(userId="secret words"))
    assert "secret" not in str(refused.value)


def test_a_consumer_of_version_1_refuses_version_2() -> None:
    newer_event = OrderCreated2.new(**ORDER, total_cents=3998, coupon="winter")
    sent = write_event(newer_event, Cause("click", None, ""))
    with pytest.raises(BadEvent, match="version 2; this consumer reads version 1"):
        read(sent)
    newer = {"OrderCreated": OrderCreated2}
    assert read_event(newer, key=b"order-1", value=sent, traceparent="").data == newer_event


def test_data_without_fields_of_its_own_carries_the_order() -> None:
    sent = json.loads(write_event(OrderConfirmed.new(order_id="order-1"), Cause("c", "e", "")))
    assert sent["data"] == {"orderId": "order-1"}
    assert sent["causationId"] == "e"
