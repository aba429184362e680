"""The envelope: what every event carries around its data, and how an event is written and read.

An event is read as strictly as a request: exact types, no unknown fields, a version of its type that
this service has. An event that cannot be read has no effect: it becomes a dead letter
(`dead_letters.py`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, StringConstraints, ValidationError
from starlette.requests import Request

from microservices.kit import correlation
from microservices.kit.events import trace
from microservices.kit.events.event_types import Data
from microservices.kit.ids import new_id
from microservices.kit.wire import Id, WireModel, encode, read_json

MAX_BYTES = 100_000
"""Longest event: several times what the largest order needs."""

AHEAD = timedelta(seconds=60)
"""How far the clocks of two machines may be apart: an event with a later timestamp is early."""

CorrelationId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
"""What `X-Correlation-Id` may hold."""

TIMESTAMP = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"


def _moment(value: str) -> str:
    datetime.fromisoformat(value)
    return value


class Envelope(WireModel):
    """What every event carries around its data."""

    event_type: Id
    event_id: Id
    timestamp: Annotated[str, StringConstraints(pattern=TIMESTAMP), AfterValidator(_moment)]
    correlation_id: CorrelationId
    causation_id: Id | None
    version: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """Where an event comes from: the client's request, the event before it, the trace."""

    correlation_id: str
    event_id: str | None
    traceparent: str


class EventPlace(NamedTuple):
    """Where an event was read: each message of a partition has an offset of its own."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Event:
    """One event that was read. `timestamp` is when it happened, in UTC, as ISO 8601."""

    event_id: str
    timestamp: str
    data: Data
    cause: Cause
    """The cause of the events that follow from this one."""
    place: EventPlace | None = None
    """Where it was read; none for an event that came from no topic."""

    @property
    def time(self) -> float:
        """When it happened, in unix seconds."""
        return datetime.fromisoformat(self.timestamp).timestamp()


def cause_of(request: Request) -> Cause:
    """Return the cause of the events that follow from a request."""
    traceparent = trace.next_step(request.headers.get(trace.HEADER))
    return Cause(correlation.current.get(), None, traceparent)


class BadEvent(Exception):
    """A message that can never be read. The text names what is wrong, and never quotes the input."""


class EarlyEvent(BadEvent):
    """An event whose timestamp is ahead of this clock: it can be read `seconds` later."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"/timestamp: {seconds + AHEAD.total_seconds():.0f} s in the future")
        self.seconds = seconds


def write_event(data: Data, cause: Cause, event_id: str | None = None) -> bytes:
    """Return the value of a new event.

    Give `event_id` when the event may be published again: consumers have an inbox, so it has its effect once.
    """
    envelope = {
        "eventType": type(data).__name__,
        "eventId": event_id or new_id(),
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
    """Read a message that should be an event of one of `kinds`, which are given by their names.

    Raises:
        EarlyEvent: the message is such an event, and its time has not come.
        BadEvent: the message is not such an event, in every detail.
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
            raise BadEvent(
                f"version {envelope.version}; this consumer reads version {kind.version}"
            )
        data = kind.model_validate(envelope.data)
    except ValidationError as error:
        raise BadEvent(_explained(error)) from None
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from None
    if key != data.order_id.encode():
        raise BadEvent("the key is not the order id: events of one order would lose their order")
    ahead = datetime.fromisoformat(envelope.timestamp) - datetime.now(UTC) - AHEAD
    if ahead > timedelta(0):
        raise EarlyEvent(ahead.total_seconds())
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
