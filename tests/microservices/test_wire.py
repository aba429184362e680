"""The wire that other people's scripts speak: every route, its method, its defaults, the names in its response."""

from typing import Any

import pytest

from microservices.analytics_service.settings import AnalyticsSettings
from microservices.api_gateway.settings import GatewaySettings
from microservices.kit.settings import Settings
from microservices.order_service.settings import OrderSettings
from microservices.payment_service.settings import PaymentSettings
from tests.microservices.conftest import NO_KAFKA, Start
from tests.microservices.examples import new_order
from tests.microservices.running import Running

ORDER = {"id", "userId", "items", "total", "status", "createdAt"}
PAYMENT = {"paymentId", "orderId", "status", "amount"}
LEDGER = {"charges", "refunds", "balances"}
USER, USER2 = {"id", "name"}, {"id", "name", "email"}
WAITED = {"seconds", "instance", "processId"}
HEALTH = {"status", "service", "version", "instance"}

ROUTES: list[tuple[str, str, str, Any, int, set[str]]] = [
    ("gateway", "GET", "/api/users", None, 200, USER),
    ("gateway", "POST", "/api/orders", new_order(), 201, ORDER),
    ("gateway", "GET", "/api/orders", None, 200, ORDER),
    ("gateway", "POST", "/api/pay", {"amount": 5}, 200, PAYMENT),
    ("gateway", "GET", "/api/dashboard", None, 200, {"users", "orders", "partial", "unavailable"}),
    ("gateway", "GET", "/api/non-blocking", None, 200, WAITED),
    ("gateway", "GET", "/api/blocking?seconds=0", None, 200, WAITED),
    ("gateway", "GET", "/api/cpu-bound?seconds=0", None, 200, WAITED | {"cpuSeconds", "where"}),
    ("gateway", "GET", "/api/count", None, 200, {"count", "instance", "processId"}),
    (
        *("gateway", "GET", "/api/metrics", None, 200),
        {"processId", "instance", "uptime", "memory", "eventLoopDelay", "requests"},
    ),
    ("user", "GET", "/users", None, 200, USER),
    ("user", "POST", "/users", {"name": "Ada"}, 201, USER),
    ("user2", "GET", "/users", None, 200, USER2),
    ("user2", "POST", "/users", {"name": "Ada", "email": "ada@example.com"}, 201, USER2),
    ("user2", "GET", "/users/user-1", None, 200, USER2),
    ("order", "POST", "/orders", new_order(total=39.98), 201, ORDER),
    ("order", "GET", "/orders", None, 200, ORDER),
    ("order2", "POST", "/orders", new_order(), 201, ORDER),
    ("payment", "POST", "/pay", {"orderId": "wire-1", "amount": 5}, 200, PAYMENT),
    ("payment", "GET", "/ledger", None, 200, LEDGER),
    ("payment2", "GET", "/ledger", None, 200, LEDGER),
    *((name, "GET", "/health", None, 200, HEALTH) for name in ("gateway", "user2", "order2")),
]


@pytest.mark.parametrize(("name", "method", "path", "body", "status", "names"), ROUTES)
def test_a_route_answers_with_its_documented_names(
    shared: dict[str, Running],
    name: str,
    method: str,
    path: str,
    body: Any,
    status: int,
    names: set[str],
) -> None:
    response = shared[name].http.request(method, path, json=body)
    content = response.json()
    assert response.status_code == status
    assert set(content[0] if isinstance(content, list) else content) == names


def test_an_order_shows_its_reason_only_by_itself(gateway: Running) -> None:
    made = gateway.http.post("/api/orders", json=new_order()).json()
    assert set(gateway.http.get(f"/api/orders/{made['id']}").json()) == ORDER | {
        "cancellationReason"
    }


def test_the_demo_token_opens_the_secure_route(gateway: Running) -> None:
    token = {"Authorization": "Bearer demo-token"}
    assert gateway.http.get("/api/secure", headers=token).status_code == 200
    assert gateway.http.get("/api/secure").status_code == 401


def test_five_requests_of_ten_seconds_are_admitted(start: Start) -> None:
    gateway = start("api-gateway")
    responses = [gateway.http.get("/api/limited") for _ in range(6)]
    assert [each.status_code for each in responses] == [200] * 5 + [429]
    assert 1 <= int(responses[-1].headers["retry-after"]) <= 10


@pytest.mark.parametrize(
    ("service", "path", "content"),
    [
        ("notification-service", "/notifications", []),
        (
            "analytics-service",
            "/analytics",
            {
                "totalRevenue": 0.0,
                "orderCount": 0,
                "successfulOrders": 0,
                "failedOrders": 0,
                "successRate": None,
                "ordersPerMinute": 0,
            },
        ),
    ],
)
def test_what_events_build_begins_empty(
    start: Start, service: str, path: str, content: object
) -> None:
    running = start(service, ready=False, KAFKA_BOOTSTRAP=NO_KAFKA).wait_ready("/health")
    assert running.http.get(path).json() == content


DEFAULTS: list[tuple[type[Settings], dict[str, object]]] = [
    (Settings, {"workers": 1, "faults": "off"}),
    (
        GatewaySettings,
        {
            "counter_store": "memory",
            "limit_store": "memory",
            "limit_window": "moving",
            "limit_requests": 5,
            "limit_seconds": 10,
            "breaker_failures": 3,
            "breaker_open_seconds": 5,
            "upstream_timeout_seconds": 30,
            "retry_tries": 1,
            "auth_token": "demo-token",
        },
    ),
    (OrderSettings, {"retry_tries": 1, "outbox": "on"}),
    (
        AnalyticsSettings,
        {"window_seconds": 60, "lateness_seconds": 5, "report_seconds": 10, "view_build": 1},
    ),
    (
        PaymentSettings,
        {
            "payment_seconds": 2,
            "payment_slots": 0,
            "inbox": "on",
            "retry_tries": 3,
            "retry_backoff_seconds": 0.2,
        },
    ),
]


@pytest.mark.parametrize(("kind", "defaults"), DEFAULTS)
def test_settings_have_their_documented_defaults(
    kind: type[Settings], defaults: dict[str, object]
) -> None:
    settings = kind(port=1)
    assert {name: getattr(settings, name) for name in defaults} == defaults
