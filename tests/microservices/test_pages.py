"""Lists that are longer than any answer may be, read page by page: every row once, and the totals of all."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from labs.pages import read_all
from microservices.kit.http.pages import MAX_BYTES, MAX_ROWS
from tests.microservices.conftest import NO_KAFKA
from tests.microservices.running import Running

COUNT = 45_000
"""Rows of each table. The orders of them have many items, so that their pages end by their size."""

ITEMS = json.dumps(
    [{"productId": f"product-{n}", "quantity": 1, "price": 0.5} for n in range(10)],
    separators=(",", ":"),
)
NO_NUMBERS = ("-1", "1.5", "x", "", " 1", "1e3", "1_0", "٣", "9" * 40)

ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "user-service": ("users", ("id", "name")),
    "order-service": (
        "orders",
        ("id", "user_id", "items", "total_cents", "status", "created_at"),
    ),
    "payment-service": ("charges", ("order_id", "payment_id", "amount_cents")),
    "notification-service": ("notifications", ("order_id", "user_id", "template", "requested_at")),
}
"""The table of each service, and its columns."""

VALUES: dict[str, Any] = {
    "name": "N" * 200,
    "user_id": "user-1",
    "items": ITEMS,
    "total_cents": 500,
    "status": "completed",
    "created_at": "2026-01-01T00:00:00.000Z",
    "payment_id": "p",
    "template": "order-completed",
    "requested_at": "2026-01-01T00:00:00.000Z",
    "amount_cents": 100_000_000_000_000,
}

PATHS = {
    "user-service": "/users",
    "order-service": "/orders",
    "payment-service": "/ledger",
    "notification-service": "/notifications",
}


def fill(data: Path, service: str) -> None:
    """Insert COUNT rows with the ids `row-0`, `row-1`, and so on."""
    table, columns = ROWS[service]
    rows = ([VALUES.get(name, f"row-{number}") for name in columns] for number in range(COUNT))
    database = sqlite3.connect(data / f"{service}.db", timeout=10)
    with database:
        marks = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
    database.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Every service that lists something, with long tables, and a gateway."""
    data = tmp_path_factory.mktemp("long")
    services = {
        name: Running(name, data=data, KAFKA_BOOTSTRAP=NO_KAFKA, PAYMENT_SECONDS=0) for name in ROWS
    }
    urls = {f"{name.split('-')[0].upper()}_SERVICE_URL": it.url for name, it in services.items()}
    urls.pop("NOTIFICATION_SERVICE_URL")
    services["api-gateway"] = Running("api-gateway", data=data, **urls)  # type: ignore[arg-type]
    try:
        for name, service in services.items():
            service.wait_ready("/health" if name == "notification-service" else "/ready")
        for name in ROWS:
            fill(data, name)
        yield services
    finally:
        for service in services.values():
            service.close()


def ids(content: Any) -> list[str]:
    """Return the ids of the rows that were inserted."""
    rows = content["charges"] if isinstance(content, dict) else content
    found = [row.get("orderId") or row["id"] for row in rows]
    return [id for id in found if id.startswith("row-")]


@pytest.mark.parametrize("service", ROWS)
def test_the_pages_of_a_list_hold_every_row_once(system: dict[str, Running], service: str) -> None:
    content = read_all(system[service].http, PATHS[service])
    assert ids(content) == [f"row-{number}" for number in range(COUNT)]


@pytest.mark.parametrize("service", ROWS)
def test_no_page_is_longer_than_its_limits(system: dict[str, Running], service: str) -> None:
    response = system[service].http.get(PATHS[service])
    rows = len(ids(response.json()))
    assert len(response.content) <= MAX_BYTES + 1000
    assert 0 < rows <= MAX_ROWS
    assert response.links["next"]["rel"] == "next"
    assert len(ids(system[service].http.get(f"{PATHS[service]}?limit=7").json())) in (4, 7)


@pytest.mark.parametrize("path", ["/api/users", "/api/orders"])
def test_links_lead_through_the_gateway_too(system: dict[str, Running], path: str) -> None:
    gateway = system["api-gateway"].http
    assert ids(read_all(gateway, path)) == [f"row-{number}" for number in range(COUNT)]


def test_balances_are_those_of_all_charges_on_each_page(system: dict[str, Running]) -> None:
    payment = system["payment-service"].http
    total = COUNT * 1_000_000_000_000.0  # more cents together than 64 bits hold twice over
    for query in ("", "?limit=1", f"?limit=5&cursor={COUNT}"):
        balances = payment.get(f"/ledger{query}").json()["balances"]
        assert balances == {"customers": -total, "shop": total, "owed": 0}


def test_rows_that_arrive_meanwhile_are_shown_once(system: dict[str, Running]) -> None:
    users = system["user-service"].http
    first = users.get("/users", params={"limit": COUNT // 3})
    created = users.post("/users", json={"name": "Barbara Liskov"}).json()
    rest = read_all(users, str(first.url.join(first.links["next"]["url"])))
    shown = [user["id"] for user in first.json() + rest]
    assert shown[-1] == created["id"]
    assert len(shown) == len(set(shown)) == COUNT + 4


def test_a_cursor_behind_the_last_row_is_an_empty_page(order: Running) -> None:
    response = order.http.get("/orders?cursor=999999999999999999")
    assert (response.status_code, response.json(), response.links) == (200, [], {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in (*NO_NUMBERS, "0", str(MAX_ROWS + 1))),
        *(("cursor", value) for value in NO_NUMBERS),
    ],
)
def test_a_wrong_limit_or_cursor_is_a_problem(order: Running, name: str, value: str) -> None:
    response = order.http.get("/orders", params={name: value})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["pointer"] == f"/query/{name}"


def test_two_limits_in_one_request_are_a_problem(order: Running) -> None:
    assert order.http.get("/orders?limit=1&limit=2").status_code == 422


def test_the_dashboard_shows_first_pages_and_that_more_follow(system: dict[str, Running]) -> None:
    gateway = system["api-gateway"].http
    dashboard = gateway.get("/api/dashboard").json()
    orders = gateway.get("/api/orders")
    assert dashboard["orders"] == orders.json()
    assert (dashboard["partial"], dashboard["unavailable"]) == (True, [])
    rest = httpx.URL(f"{gateway.base_url}{dashboard['next']['orders']}")
    assert rest == orders.url.join(orders.links["next"]["url"])
