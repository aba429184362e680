"""A session without a service that another one waits for: refused before anything starts."""

from collections.abc import Mapping
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest

from environment.compose import read_description
from environment.errors import LabError
from environment.phases import read_phase
from environment.specification import Specification
from environment.supervisor.needs import missing
from environment.supervisor.plan import Plan
from microservices.api_gateway.settings import GatewaySettings

SHARED = {"api-gateway": {"COUNTER_STORE": "incr"}}
SERVICES = read_description(variables=read_phase("phase5")).services


def plan(phase: str, *only: str, **words: object) -> Plan:
    return Plan(Specification.checked(phase=phase, only=only, **words), token="")


@pytest.mark.parametrize(
    ("phase", "only", "words", "sentence"),
    [
        (
            "phase4",
            ("order-service",),
            {},
            "Without kafka this session would never be ready: order-service 2 needs kafka. "
            'Name it as well: only=["kafka", "order-service"].',
        ),
        (
            "phase5",
            ("payment-service", "inventory-service"),
            {},
            "Without kafka this session would never be ready: payment-service 3 needs kafka, "
            "inventory-service 1 needs kafka. "
            'Name it as well: only=["kafka", "payment-service", "inventory-service"].',
        ),
        (
            "phase2",
            ("api-gateway",),
            {"settings": SHARED},
            "Without valkey this session would never be ready: api-gateway 1 needs valkey. "
            'Name it as well: only=["valkey", "api-gateway"].',
        ),
        (
            "phase4",
            ("api-gateway", "analytics-service"),
            {"settings": SHARED},
            "Without kafka and valkey this session would never be ready: api-gateway 1 needs valkey, "
            "analytics-service 1 needs kafka. "
            'Name them as well: only=["kafka", "valkey", "api-gateway", "analytics-service"].',
        ),
        (
            "phase0",
            (),
            {
                "versions": {"order-service": "2"},
                "settings": {"order-service": {"KAFKA_BOOTSTRAP": "kafka:9092"}},
            },
            "Without kafka this session would never be ready: order-service 2 needs kafka. "
            "phase0 has no kafka; these have one: phase4, phase5.",
        ),
    ],
)
def test_what_is_missing_is_named_at_once(
    phase: str, only: tuple[str, ...], words: Mapping[str, object], sentence: str
) -> None:
    with pytest.raises(LabError) as raised:
        plan(phase, *only, **words)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("phase", "only", "words"),
    [
        ("phase4", ("kafka", "order-service"), {}),
        ("phase4", ("user-service",), {}),
        ("phase4", ("order-service",), {"versions": {"order-service": "1"}}),
        (
            "phase4",
            ("order-service",),
            {"settings": {"order-service": {"KAFKA_BOOTSTRAP": "10.0.0.5:9092"}}},
        ),
        (
            "phase2",
            ("api-gateway",),
            {
                "settings": {
                    "api-gateway": {"LIMIT_STORE": "valkey", "VALKEY_URL": "valkey://10.0.0.5:6379"}
                }
            },
        ),
        ("phase2", ("nginx", "api-gateway", "user-service"), {}),
        ("phase2", ("valkey", "api-gateway"), {"settings": SHARED}),
    ],
)
def test_what_answers_without_the_others_may_be_alone(
    phase: str, only: tuple[str, ...], words: Mapping[str, object]
) -> None:
    assert set(plan(phase, *only, **words).services) == set(only)


def test_a_running_session_is_not_changed_into_one_that_waits() -> None:
    alone = plan("phase4", "order-service", "api-gateway", versions={"order-service": "1"})
    with pytest.raises(LabError, match="order-service 2 needs kafka"):
        alone.check_needs("order-service", "2", {})
    with pytest.raises(LabError, match="api-gateway 1 needs valkey"):
        alone.check_needs("api-gateway", "1", {"LIMIT_STORE": "valkey"})


def test_what_each_version_needs_is_described() -> None:
    """A version that consumes events is not ready without Kafka, and no other one needs it."""
    for name, service in SERVICES.items():
        folder = Path("microservices") / name.replace("-", "_")
        for path in folder.glob("v*.py"):
            module = import_module(".".join(path.with_suffix("").parts))
            needed = missing(service, version=path.stem[1:], settings={}, present=())
            assert ("kafka" in needed) == hasattr(module, "CONSUMES"), path


def test_what_the_gateway_shares_needs_valkey() -> None:
    for counter, limit in product(("memory", "getset", "incr"), ("memory", "valkey")):
        stores = {"COUNTER_STORE": counter, "LIMIT_STORE": limit}
        needed = missing(SERVICES["api-gateway"], version="1", settings=stores, present=())
        settings = GatewaySettings(
            port=3000,
            valkey_url="valkey://valkey:6379",
            counter_store=counter,  # type: ignore[arg-type]
            limit_store=limit,  # type: ignore[arg-type]
        )
        assert (needed == ["valkey"]) is settings.shares_state, stores
