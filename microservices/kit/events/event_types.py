"""Events: what has happened, told to whoever wants to know. Every name on the wire stands here, once.

An event is read as strictly as a request: exact types, no unknown fields, a version we know. What
cannot be read is not half-understood, but set aside (``dead_letters.py``).

A change of an event's fields is a new version. Its readers learn it before its writers: a reader
that does not know a version sets the event aside, with its bytes, until it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints, ValidationError

from microservices.kit.ids import new_id
from microservices.kit.items import Items
from microservices.kit.wire import Amount, Id, Text, WireModel, encode, from_cents, read_json

PARTITIONS = 6
"""Of every topic: up to six replicas of a service share its events."""

MAX_BYTES = 100_000
"""Longest event: several times what the largest order needs."""

AHEAD = timedelta(seconds=60)
"""How far the clocks of two machines may be apart: an event from a later future is refused."""

Money = Annotated[Amount, PlainSerializer(from_cents, return_type=float)]
CorrelationId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
"""What ``X-Correlation-Id`` may hold."""


class Data(WireModel):
    """What an event says. Its class is the event's type; ``version`` is that of its fields."""

    version: ClassVar[int] = 1
    topic: ClassVar[str]

    order_id: Id

    @classmethod
    def new(cls, **fields: Any) -> Self:
        """Return data to send, from values of our own: amounts in cents, names as Python has them."""
        return cls.model_construct(**fields)


class OrderCreated(Data):
    """A customer has ordered; nothing is paid yet."""

    topic = "order-created"
    user_id: Id
    items: Items
    total_cents: Money = Field(alias="total")


class PaymentCompleted(Data):
    """The order's total was charged."""

    topic = "payment-completed"
    payment_id: Id
    amount_cents: Money = Field(alias="amount")
    items: Items


class PaymentFailed(Data):
    """Nothing was charged, and nothing will be."""

    topic = "payment-failed"
    payment_id: Id
    amount_cents: Money = Field(alias="amount")
    reason: Text


class PaymentRefunded(Data):
    """What the order was charged went back."""

    topic = "payment-refunded"
    payment_id: Id
    amount_cents: Money = Field(alias="amount")


class InventoryReserved(Data):
    """The order's items are set aside."""

    topic = "inventory-reserved"
    reservation_id: Id
    items: Items


class InventoryFailed(Data):
    """The order's items cannot be had."""

    topic = "inventory-failed"
    reason: Text
    items: Items


class OrderConfirmed(Data):
    """The order ended well."""

    topic = "order-confirmed"


class OrderCancelled(Data):
    """The order ended without a sale."""

    topic = "order-cancelled"
    reason: Text


class NotificationRequested(Data):
    """The customer is to be told how the order ended."""

    topic = "notification-requested"
    user_id: Id
    template: Id


EVENTS: tuple[type[Data], ...] = (
    *(OrderCreated, PaymentCompleted, PaymentFailed, InventoryReserved, InventoryFailed),
    *(OrderConfirmed, OrderCancelled, PaymentRefunded, NotificationRequested),
)


def dead_letter_topic(topic: str) -> str:
    """Return where the events of ``topic`` go that nobody could use."""
    return f"{topic}-dlq"


TIMESTAMP = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"


def _past(value: str) -> str:
    if datetime.fromisoformat(value) > datetime.now(UTC) + AHEAD:
        raise ValueError("lies in the future")
    return value


class Envelope(WireModel):
    """What every event carries around its data."""

    event_type: Id
    event_id: Id
    timestamp: Annotated[str, StringConstraints(pattern=TIMESTAMP), AfterValidator(_past)]
    correlation_id: CorrelationId
    causation_id: Id | None
    version: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """Where an event comes from: the customer's click, the event before it, the trace."""

    correlation_id: str
    event_id: str | None
    traceparent: str


@dataclass(frozen=True)
class Event:
    """One event that was read. ``timestamp`` is when it happened, in UTC, as ISO 8601."""

    event_id: str
    timestamp: str
    data: Data
    cause: Cause
    """What the events have in common that follow from this one."""


@dataclass(frozen=True)
class Record:
    """What goes into a topic: an event, or a dead letter, in bytes."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class BadEvent(Exception):
    """A message nobody can read, now or later. Says what is wrong, and never quotes the input."""


def write_event(data: Data, cause: Cause) -> bytes:
    """Return the value of a new event."""
    envelope = {
        "eventType": type(data).__name__,
        "eventId": new_id(),
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "correlationId": cause.correlation_id,
        "causationId": cause.event_id,
        "version": data.version,
        "data": data.model_dump(by_alias=True),
    }
    return encode(envelope)


def read_event(
    kinds: dict[str, type[Data]], *, key: bytes | None, value: bytes | None, traceparent: str
) -> Event:
    """Read a message that should be one of ``kinds``, by their names.

    Raises:
        BadEvent: when it is none of them, in every detail.
    """
    if value is None:
        raise BadEvent("no value")
    if len(value) > MAX_BYTES:
        raise BadEvent(f"longer than {MAX_BYTES} bytes")
    try:
        envelope = Envelope.model_validate(read_json(value))
        kind = kinds.get(envelope.event_type)
        if kind is None:
            raise BadEvent(f"the event type is none of {', '.join(kinds)}")
        if envelope.version != kind.version:
            raise BadEvent(f"version {envelope.version}; this reader knows {kind.version}")
        data = kind.model_validate(envelope.data)
    except ValidationError as error:
        raise BadEvent(_explained(error)) from None
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from None
    if key != data.order_id.encode():
        raise BadEvent("the key is not the order id: events of one order would lose their order")
    cause = Cause(envelope.correlation_id, envelope.event_id, traceparent)
    return Event(envelope.event_id, envelope.timestamp, data, cause)


def _explained(error: ValidationError) -> str:
    faults = [f"/{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
    return "; ".join(faults)[:500]


def schema(kind: type[Data]) -> dict[str, Any]:
    """Return the JSON Schema of a whole event of this kind, without references."""
    document = Envelope.model_json_schema(by_alias=True)
    data = kind.model_json_schema(by_alias=True)
    document |= {"title": kind.__name__, "description": kind.__doc__}
    document["properties"] |= {
        "eventType": {"const": kind.__name__},
        "version": {"const": kind.version},
        "data": data,
    }
    whole: dict[str, Any] = _inlined(document, data.pop("$defs", {}))
    return whole


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(each, definitions) for name, each in node.items()}
