"""The documents of events: current, and true of what is sent."""

import json
from pathlib import Path
from typing import get_type_hints

import jsonschema
import pytest

from microservices.asyncapi import asyncapi, documents, services
from microservices.kit.events.envelope import Cause, read_event, write_event
from microservices.kit.events.event_types import EVENTS, Data, dead_letter_topic
from microservices.kit.items import Item

FOLDER = Path(__file__).parents[2] / "handbook" / "events"
CAUSE = Cause("click", None, "")
ITEMS = [Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})]
VALUES = {
    "order_id": "order-1",
    "user_id": "user-1",
    "items": ITEMS,
    "total_cents": 3998,
    "payment_id": "payment-1",
    "amount_cents": 3998,
    "reason": "no money",
    "reservation_id": "reservation-1",
    "template": "order-completed",
}


def example(kind: type[Data]) -> Data:
    return kind.new(**{name: VALUES[name] for name in kind.model_fields})


def test_the_files_are_what_the_code_says() -> None:
    for name, document in documents().items():
        assert json.loads((FOLDER / name).read_text()) == document, (
            "out of date: python -m microservices.asyncapi handbook/events"
        )
    assert {path.name for path in FOLDER.glob("*.json")} == set(documents())


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_fits_its_schema_and_is_read(kind: type[Data]) -> None:
    value = write_event(example(kind), CAUSE)
    jsonschema.validate(json.loads(value), documents()[f"{kind.__name__}.json"])
    found = read_event({kind.__name__: kind}, key=b"order-1", value=value, traceparent="")
    assert found.data == example(kind)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"eventType": "Nonsense"},
        {"data": {}},
        {"more": 1},
        {"causationId": 7},
        {"timestamp": "yesterday"},
    ],
    ids=str,
)
def test_what_the_schema_refuses_is_not_read(kind: type[Data], change: dict[str, object]) -> None:
    event = json.loads(write_event(example(kind), CAUSE)) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(event, documents()[f"{kind.__name__}.json"])


@pytest.mark.parametrize("orchestrated", [False, True])
def test_every_event_that_is_published_is_consumed(orchestrated: bool) -> None:
    operations = asyncapi(orchestrated=orchestrated)["operations"].values()
    sent = {each["channel"]["$ref"] for each in operations if each["action"] == "send"}
    read = {each["channel"]["$ref"] for each in operations if each["action"] == "receive"}
    assert sent <= read
    assert len(services(orchestrated=orchestrated)) == 5


@pytest.mark.parametrize("orchestrated", [False, True])
@pytest.mark.parametrize("service", services())
def test_a_service_has_the_topics_of_its_document(
    service: str, orchestrated: bool, tmp_path: Path
) -> None:
    module = services(orchestrated=orchestrated)[service]
    settings = get_type_hints(module.build)["settings"]
    app = module.build(settings(port=1, data_dir=tmp_path, kafka_bootstrap="127.0.0.1:9"))
    consumed = {kind.topic for kind in module.CONSUMES}
    published = {kind.topic for kind in getattr(module, "PUBLISHES", ())}
    dead_letters = {dead_letter_topic(topic) for topic in consumed}
    assert set(app.state.topics.names) == consumed | published | dead_letters


def test_an_orchestrator_leaves_fewer_pairs_of_services_that_exchange_events() -> None:
    assert pairs(orchestrated=False) == {
        ("order", "payment"),
        ("order", "inventory"),
        ("payment", "order"),
        ("payment", "inventory"),
        ("inventory", "order"),
        ("inventory", "payment"),
    }
    assert pairs(orchestrated=True) == {
        ("order", "payment"),
        ("order", "inventory"),
        ("payment", "order"),
        ("inventory", "order"),
    }


def pairs(*, orchestrated: bool) -> set[tuple[str, str]]:
    """Of each event between participants of a saga: by which service it is published, and by which consumed."""
    modules = services(orchestrated=orchestrated)
    participants = {name: modules[f"{name}-service"] for name in ("order", "payment", "inventory")}
    return {
        (one, other)
        for one, publisher in participants.items()
        for other, consumer in participants.items()
        if set(publisher.PUBLISHES) & set(consumer.CONSUMES)
    }


@pytest.mark.parametrize("orchestrated", [False, True])
def test_every_reference_leads_somewhere(orchestrated: bool) -> None:
    document = asyncapi(orchestrated=orchestrated)
    text = json.dumps(document)
    for part in text.split('"$ref": "#/')[1:]:
        node = document
        for name in part.partition('"')[0].split("/"):
            node = node[name]
