"""Each service against its own OpenAPI document: no undocumented answer, and never a 5xx."""

from contextlib import suppress
from typing import Any

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
