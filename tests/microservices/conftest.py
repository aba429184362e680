"""Fixtures: services that run for one test, and services that a whole session shares."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine

from microservices.checker.model import TABLES
from microservices.kit.saga import Step
from tests.microservices.running import TOKEN, Running, free_port
from tests.postgresql import PostgreSQL

Start = Callable[..., Running]
OwnTable = dict[tuple[str, str], Step]
NO_KAFKA = "127.0.0.1:9"
"""An address without a Kafka: services that exchange events answer HTTP all the same."""


@pytest.fixture
def tables() -> Iterator[Mapping[str, OwnTable]]:
    """The participants' own tables, to be changed in place; afterwards each has its cells again, in their order."""
    own = {name: table for name, table in TABLES.items() if isinstance(table, dict)}
    before = {name: dict(table) for name, table in own.items()}
    yield own
    for name, table in own.items():
        table.clear()
        table.update(before[name])


DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="package")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """One server for all tests of this process."""
    server = PostgreSQL(tmp_path_factory.mktemp("postgresql") / "data", free_port())
    yield server
    server.close()


@pytest.fixture(params=DATABASES)
def each_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Run a test on SQLite, and again on PostgreSQL: what it opens, and what it starts, uses one empty database."""
    if request.param == "sqlite":
        return None
    server: PostgreSQL = request.getfixturevalue("postgresql")
    monkeypatch.setenv("DATABASE_URL", url := server.new_schema())
    return url


@pytest.fixture(params=DATABASES)
def transaction(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A transaction on an empty database, on SQLite and on PostgreSQL; nothing of it stays."""
    if request.param == "sqlite":
        with create_engine("sqlite://").begin() as connection:
            yield connection
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    with server.undone() as connection:
        yield connection


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start services for one test, on one data folder by default."""
    started: list[Running] = []

    def start(
        service: str, *, ready: bool = True, data: Path = tmp_path, **given: object
    ) -> Running:
        running = Running(service, data=data, **given)  # type: ignore[arg-type]
        started.append(running)
        return running.wait_ready() if ready else running

    yield start
    for running in started:
        running.close()


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """All services, faults on and no work time, for tests that leave nothing behind."""
    data = tmp_path_factory.mktemp("shared")
    faults = {"FAULTS": "on", "CONTROL_TOKEN": TOKEN}
    payment = Running("payment-service", data=data, PAYMENT_SECONDS=0, **faults)
    order = Running("order-service", data=data, PAYMENT_SERVICE_URL=payment.url, **faults)
    users = Running("user-service", data=data, **faults)
    users2 = Running("user-service", data=data, version="2", **faults)
    addresses = {"PAYMENT_SERVICE_URL": payment.url, "ORDER_SERVICE_URL": order.url}
    gateway = Running("api-gateway", data=data, USER_SERVICE_URL=users.url, **addresses, **faults)
    services = {"payment": payment, "order": order, "user": users, "user2": users2}
    services["gateway"] = gateway
    without_kafka = {"KAFKA_BOOTSTRAP": NO_KAFKA, "FAULTS": "on", "CONTROL_TOKEN": TOKEN}
    event_services = {
        "order2": Running("order-service", data=data / "order2", version="2", **without_kafka),
        "payment2": Running(
            "payment-service",
            data=data / "payment2",
            version="2",
            PAYMENT_SECONDS=0,
            **without_kafka,
        ),
        "analytics2": Running(
            "analytics-service", data=data / "analytics2", version="2", **without_kafka
        ),
    }
    try:
        for service in services.values():
            service.wait_ready()
        for service in event_services.values():
            service.wait_ready("/health")
        yield services | event_services
    finally:
        for service in (services | event_services).values():
            service.close()


@pytest.fixture(scope="package")
def order(shared: dict[str, Running]) -> Running:
    return shared["order"]


@pytest.fixture(scope="package")
def payment(shared: dict[str, Running]) -> Running:
    return shared["payment"]


@pytest.fixture(scope="package")
def gateway(shared: dict[str, Running]) -> Running:
    return shared["gateway"]


@pytest.fixture(scope="package")
def user(shared: dict[str, Running]) -> Running:
    return shared["user"]
