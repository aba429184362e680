"""The events as documents: a JSON Schema of each, and AsyncAPI 3 documents of the services and their topics.

One document is that of the services as they are, the other that of the services with an orchestrator.

After a change of an event:

    python -m microservices.asyncapi handbook/events
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from microservices.kit.events import trace
from microservices.kit.events.envelope import schema
from microservices.kit.events.event_types import EVENTS, Data, dead_letter_topic

PACKAGE = Path(__file__).parent
DRAFT = "https://json-schema.org/draft/2020-12/schema"


ORCHESTRATED = {"order-service": 4, "payment-service": 4, "inventory-service": 2}
"""The versions that take part in an orchestrated saga: the twin of the newest ones."""


def services(*, orchestrated: bool = False) -> dict[str, ModuleType]:
    """Return the newest version of each service that exchanges events: it declares what it `CONSUMES`.

    With `orchestrated`, the participants of a saga are those that an orchestrator asks.
    """
    versions = sorted(PACKAGE.glob("*_service/v*.py"), key=_number)
    if not orchestrated:
        versions = [path for path in versions if _number(path) != ORCHESTRATED.get(_service(path))]
    newest = {path.parent.name: _number(path) for path in versions}  # the last one of each service
    modules = {
        name.replace("_", "-"): import_module(f"microservices.{name}.v{number}")
        for name, number in sorted(newest.items())
    }
    return {name: module for name, module in modules.items() if hasattr(module, "CONSUMES")}


def _service(version: Path) -> str:
    return version.parent.name.replace("_", "-")


def _number(version: Path) -> int:
    return int(version.stem.removeprefix("v"))


def documents() -> dict[str, dict[str, Any]]:
    """Return every document by its file name."""
    schemas = {f"{kind.__name__}.json": {"$schema": DRAFT} | schema(kind) for kind in EVENTS}
    twin = asyncapi(orchestrated=True)
    return schemas | {"asyncapi.json": asyncapi(), "asyncapi-orchestration.json": twin}


def asyncapi(*, orchestrated: bool = False) -> dict[str, Any]:
    """Return the AsyncAPI document of the services, or of those with an orchestrator."""
    modules = services(orchestrated=orchestrated)
    kinds = _exchanged(modules)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Microservices Lab: events",
            "version": "1",
            "description": "Keys are order ids. A message that cannot be used goes to <topic>-dlq, as it came.",
        },
        "defaultContentType": "application/json",
        "channels": {kind.topic: channel(kind) for kind in kinds},
        "operations": operations(modules),
        "components": {"messages": {kind.__name__: message(kind) for kind in kinds}},
    }


def _exchanged(modules: Mapping[str, ModuleType]) -> list[type[Data]]:
    """Return the events that a service of these publishes or consumes, in the order of `EVENTS`."""
    used = {
        kind
        for module in modules.values()
        for kind in (*getattr(module, "PUBLISHES", ()), *module.CONSUMES)
    }
    return [kind for kind in EVENTS if kind in used]


def channel(kind: type[Data]) -> dict[str, Any]:
    """Return the topic of an event."""
    name = kind.__name__
    return {
        "address": kind.topic,
        "description": f"Dead letters: {dead_letter_topic(kind.topic)}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def message(kind: type[Data]) -> dict[str, Any]:
    """Return an event as a message: its headers and its value."""
    headers = {"type": "object", "properties": {trace.HEADER: {"type": "string"}}}
    return {
        "name": kind.__name__,
        "summary": kind.__doc__,
        "headers": headers,
        "payload": schema(kind),
        "bindings": {"kafka": {"key": {"type": "string", "description": "the order id"}}},
    }


def operations(modules: Mapping[str, ModuleType]) -> dict[str, Any]:
    """Return what each service publishes and consumes."""
    document: dict[str, Any] = {}
    for service, module in modules.items():
        document |= _operations(service, "send", getattr(module, "PUBLISHES", ()))
        document |= _operations(service, "receive", module.CONSUMES)
    return document


def _operations(service: str, action: str, kinds: Iterable[type[Data]]) -> dict[str, Any]:
    return {
        f"{service}-{action}s-{kind.topic}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{kind.topic}"},
            "messages": [{"$ref": f"#/channels/{kind.topic}/messages/{kind.__name__}"}],
            "tags": [{"name": service}],
        }
        for kind in kinds
    }


def write(folder: Path) -> None:
    """Write every document."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents().items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")


def main(arguments: Sequence[str]) -> None:
    """Write the documents into the folder that the command line names."""
    (folder,) = arguments
    write(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
