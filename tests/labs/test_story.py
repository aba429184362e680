"""The story of an order: events below their causes, whatever their times, and what is still to be read."""

import json
from typing import Any

import pandas as pd
import pytest

from labs import story
from labs.experiments.phase5.space_time import draw
from labs.published import event_of, publisher_of, topic_of
from tests.labs.events import BEGAN, COMPLETED, SOLD_OUT, chain, event, frame

NOTIFIED = event("NotificationRequested", "inventoryreserved", at=BEGAN + 0.03)
REFUNDED = event("PaymentRefunded", "inventoryfailed", at=BEGAN + 0.05)


def told(*more: dict[str, Any], kinds: Any = COMPLETED) -> pd.DataFrame:
    return story.tree(frame(chain(kinds, *more)))


def depths(tale: pd.DataFrame) -> dict[str, int]:
    return dict(zip(tale["type"], tale["depth"], strict=True))


def test_each_event_stands_below_its_cause() -> None:
    assert depths(told(NOTIFIED)) == {
        "OrderCreated": 0,
        "PaymentCompleted": 1,
        "InventoryReserved": 2,
        "NotificationRequested": 3,
        "OrderConfirmed": 3,
    }


def test_times_make_no_arrows() -> None:
    rows = chain(COMPLETED)
    for number, row in enumerate(rows):
        row["at"] = BEGAN - number  # a clock that runs backwards
    assert story.tree(frame(rows))["type"].tolist() == list(COMPLETED)


def test_an_event_whose_cause_is_missing_is_a_root() -> None:
    tale = told(event("PaymentFailed", "nowhere"))
    assert depths(tale)["PaymentFailed"] == 0


def test_a_ring_of_causes_and_a_long_chain_end() -> None:
    ring = [event("OrderConfirmed", "ordercancelled"), event("OrderCancelled", "orderconfirmed")]
    assert len(story.tree(frame(ring))) == 2
    long = [event("OrderConfirmed", str(number - 1), event=str(number)) for number in range(3000)]
    assert story.tree(frame(long))["depth"].max() == 2999


def test_the_diagram_draws_an_arrow_from_the_cause() -> None:
    assert story.diagram(told(kinds=COMPLETED[:3])).splitlines() == [
        "          order-service         payment-service       inventory-service",
        "    0 ms  *                     |                     |                     OrderCreated",
        "   10 ms  o-------------------->*                     |                     PaymentCompleted",
        "   20 ms  |                     o-------------------->*                     InventoryReserved",
    ]


def test_an_arrow_to_the_left_points_there() -> None:
    line = story.diagram(told()).splitlines()[-1]
    assert line.split()[2] == "*<------------------------------------------o"


def readings(tale: pd.DataFrame, state: str, **values: Any) -> pd.DataFrame:
    reader = {"service": "payment-service", "member": "payment-service-1", "behind": 3, "error": ""}
    return tale[["event", "type", "place"]].assign(**(reader | values), state=state)


@pytest.mark.parametrize(
    ("state", "values", "sentence"),
    [
        (
            story.UNREAD,
            {},
            "payment-service has not read OrderCreated at order-created/0@0; "
            "payment-service-1 is 3 messages behind there",
        ),
        (
            story.UNREAD,
            {"member": None},
            "payment-service has not read OrderCreated at order-created/0@0, "
            "and no replica of it has the partition",
        ),
        (
            story.DEAD_LETTER,
            {"error": "version 2"},
            "OrderCreated at order-created/0@0 is a dead letter of payment-service: version 2",
        ),
        (
            story.READ,
            {},
            "every service has read every event: the order waits for its deadline, "
            "or for an event in an outbox",
        ),
    ],
)
def test_an_order_that_has_not_ended_shows_where_it_is_stuck(
    state: str, values: dict[str, Any], sentence: str
) -> None:
    tale = told(kinds=COMPLETED[:1])
    assert story.remaining(tale, readings(tale, state, **values)) == [sentence]


def test_nothing_remains_of_an_order_that_ended_and_was_read() -> None:
    assert story.remaining(told(), readings(told(), story.READ)) == []


def test_a_story_is_a_trace_in_which_reading_comes_before_publishing() -> None:
    tale = told(REFUNDED, kinds=SOLD_OUT)
    assert story.trace_of(
        tale, readings(tale, story.READ).iloc[-1:].assign(service="inventory-service")
    ) == [
        "publish OrderCreated",
        "payment reads OrderCreated",
        "publish PaymentCompleted",
        "inventory reads PaymentCompleted",
        "publish InventoryFailed",
        "order reads InventoryFailed",
        "publish OrderCancelled",
        "payment reads InventoryFailed",
        "publish PaymentRefunded",
        "inventory reads PaymentRefunded",
    ]


def test_a_message_is_an_event_of_its_own_topic_only() -> None:
    envelope = {
        "eventType": "OrderCancelled",
        "eventId": "e",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "correlationId": "c",
        "causationId": None,
        "version": 1,
        "data": {"orderId": "o-1", "reason": "none"},
    }
    place = {"topic": "order-cancelled", "partition": 1, "offset": 2}
    header = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    read = event_of({"value": json.dumps(envelope), "headers": header, **place})
    assert (read["order"], read["trace"]) == ("o-1", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert event_of({"value": json.dumps(envelope), "headers": None, **place})["trace"] == ""
    wrong_topic = {
        "value": json.dumps(envelope),
        "headers": None,
        **place,
        "topic": "order-created",
    }
    assert event_of(wrong_topic) == {}
    for value in (None, "", "not json", "[]", "1", json.dumps(envelope | {"data": []})):
        assert event_of({"value": value, "headers": None, **place}) == {}
    timeless = json.dumps(envelope | {"timestamp": "soon"})
    assert event_of({"value": timeless, "headers": None, **place}) == {}


@pytest.mark.parametrize(
    ("kind", "topic", "service"),
    [
        ("OrderCreated", "order-created", "order-service"),
        ("PaymentRefunded", "payment-refunded", "payment-service"),
        ("InventoryFailed", "inventory-failed", "inventory-service"),
        ("NotificationRequested", "notification-requested", "order-service"),
    ],
)
def test_topic_and_publisher_follow_from_the_type(kind: str, topic: str, service: str) -> None:
    assert (topic_of(kind), publisher_of(kind)) == (topic, service)


def test_the_diagram_of_a_model_draws_a_real_story() -> None:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    draw(ax, story.trace_of(told(), readings(told(), story.READ)))
    plt.close(figure)
    assert len(ax.texts) > len(COMPLETED)
