"""Each service against its own OpenAPI document: no undocumented answer, and never a 5xx."""

import json
from contextlib import suppress
from typing import Any

import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.microservices.running import Running

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
KAFKALESS = ["order2", "payment2"]
PASSED_OVER = (
    "/faults",  # it would break the service we ask
    *("/api/blocking", "/api/non-blocking", "/api/cpu-bound"),  # the request sets their duration
)


@pytest.mark.parametrize("name", [*SERVICES, *KAFKALESS])
def test_the_document_is_valid_and_defines_a_problem_once(
    shared: dict[str, Running], name: str
) -> None:
    document = shared[name].http.get("/openapi.json").json()
    openapi_spec_validator.validate(document)
    problems = [
        media["schema"]
        for path in document["paths"].values()
        for operation in path.values()
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


def test_a_problem_that_breaks_its_schema_is_found(front_of_wrong_problems: Scripted) -> None:
    schema = schemathesis.openapi.from_url(f"{front_of_wrong_problems.url}/openapi.json")
    (operation,) = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    with pytest.raises(schemathesis.errors.FailureGroup, match="detail"):
        operation.Case().call_and_validate(checks=[response_schema_conformance])


def operations(running: Running) -> list[Any]:
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
