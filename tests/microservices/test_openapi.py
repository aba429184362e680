"""Each service against its own OpenAPI document: no undocumented answer, and never a 5xx."""

import json
import socket
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import microservices
from microservices.kit.settings import Settings
from tests.microservices.api_gateway.scripted import Scripted
from tests.microservices.conftest import NO_KAFKA
from tests.microservices.running import TOKEN, Running

PACKAGES = Path(microservices.__file__).parent
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
SERVICES = ["user", "user2", "order", "payment", "gateway"]
KAFKALESS = ["order2", "payment2", "analytics2"]
PASSED_OVER = (
    "/faults",  # it would break the service we ask
    *("/api/blocking", "/api/non-blocking", "/api/cpu-bound"),  # the request sets their duration
)


@pytest.mark.parametrize(
    "path", sorted(PACKAGES.glob("*/v[0-9].py")), ids=lambda path: str(path)[-30:]
)
def test_the_document_is_valid_and_defines_a_problem_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    document = json.loads(json.dumps(built(path, tmp_path, monkeypatch).openapi()))
    openapi_spec_validator.validate(document)
    problems = [
        media["schema"]
        for item in document["paths"].values()
        for operation in item.values()
        for response in operation["responses"].values()
        for kind, media in response.get("content", {}).items()
        if kind == "application/problem+json"
    ]
    assert problems
    assert {json.dumps(each) for each in problems} == {
        '{"$ref": "#/components/schemas/ProblemDocument"}'
    }
    assert document["components"]["schemas"]["ProblemDocument"]["required"] == [
        *("type", "title", "status", "detail")
    ]


def built(path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """Return the application that one version of a service would serve."""
    package = f"microservices.{path.parent.name}"
    settings = Settings
    if (path.parent / "settings.py").exists():
        module = vars(import_module(f"{package}.settings")).values()
        own = [each for each in module if isinstance(each, type) and issubclass(each, Settings)]
        (settings,) = [each for each in own if each is not Settings]
    monkeypatch.setenv("KAFKA_BOOTSTRAP", NO_KAFKA)
    values = settings(port=1, data_dir=data, faults="on", control_token=TOKEN)
    app: FastAPI = import_module(f"{package}.{path.stem}").build(values)
    return app


def test_a_problem_that_breaks_its_schema_is_found(order: Running) -> None:
    document = order.http.get("/openapi.json").json()
    document["paths"] = {"/orders/{id}": document["paths"]["/orders/{id}"]}
    wrong = b'{"type":"about:blank","title":"Not Found","status":404}'

    def behave(sent: bytes, connection: socket.socket) -> None:
        asked_for_document = sent.startswith(b"GET /openapi.json")
        body, status = (json.dumps(document).encode(), 200) if asked_for_document else (wrong, 404)
        kind = b"application/json" if asked_for_document else b"application/problem+json"
        head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % (status, kind, len(body)) + body)

    upstream = Scripted(behave)
    try:
        (operation,) = operations(upstream)
        with pytest.raises(FailureGroup) as raised:
            ask(operation, schemathesis.GenerationMode.POSITIVE)
    finally:
        upstream.close()
    assert "detail" in str(raised.value.exceptions)


def operations(running: Running | Scripted) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    return [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]


MODES = list(schemathesis.GenerationMode)
# What remains of the gateway's own routes takes nothing that could be wrong.
ASKED = [
    (name, mode)
    for name in (*SERVICES, *KAFKALESS)
    for mode in MODES
    if (name, mode) != ("gateway", schemathesis.GenerationMode.NEGATIVE)
]


@pytest.mark.parametrize(("name", "mode"), ASKED)
def test_no_request_gets_an_answer_the_document_does_not_name(
    shared: dict[str, Running], name: str, mode: schemathesis.GenerationMode
) -> None:
    asked = 0
    for operation in operations(shared[name]):
        if operation.path in PASSED_OVER or (operation.path == "/ready" and name in KAFKALESS):
            continue
        asked += ask(operation, mode)
    assert asked


def ask(operation: Any, mode: schemathesis.GenerationMode) -> int:
    """Send generated requests; return how many."""
    sent = 0

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        nonlocal sent
        case.call_and_validate(checks=CHECKS)
        sent += 1

    with suppress(Unsatisfiable):  # a GET without parameters cannot be asked wrongly
        send()
    return sent
