"""Folders with names that other languages read as syntax: nothing is written outside, and all of it is removed.

A properties file is Latin-1 with backslash escapes, `log.dirs` a list with commas, a class path a list with colons and
wildcards; a URL has ? % and #, nginx's file ; { } and $, and a shell quotes, spaces and newlines.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import platformdirs
import pytest

from environment import Environment, LabError
from environment.client import doctor
from environment.compose import read_description
from environment.folders import home, new_folder
from environment.identity import Identity
from environment.phases import read_phase
from environment.runtimes import Launch
from environment.runtimes.process import ProcessRuntime
from environment.supervisor.ports import PortBlock
from environment.waiting import wait_until
from microservices.kit.database import open_database
from microservices.kit.settings import Settings
from tests.residue import nothing_left

ODD = "ä 'q\" \\t, $d ${e} %41?x=1 #f; {g}: [h]* &i\nj"

SERVICES = ("nginx", "valkey", "kafka", "api-gateway", "order-service", "payment-service")


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder with a short path, in which everything odd is made."""
    path = Path(tempfile.mkdtemp(prefix="lab-odd-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def order(env: Environment) -> str:
    """Place an order and return its last status."""
    with httpx.Client(base_url=env["api-gateway"].url, trust_env=False, timeout=10) as client:
        item = {"productId": "prod-1", "quantity": 1, "price": 5}
        placed = client.post("/api/orders", json={"userId": "user-1", "items": [item]}).json()
        path = f"/api/orders/{placed['id']}"
        wait_until(lambda: client.get(path).json()["status"] != "pending", timeout=30, every=0.1)
        return str(client.get(path).json()["status"])


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_a_session_in_an_odd_folder_works_and_writes_nowhere_else(
    base: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars = platformdirs.user_cache_path("microservices-lab")
    cache = base / "cache" / ODD
    cache.mkdir(parents=True)
    (cache / "microservices-lab").symlink_to(jars)
    (state := base / "state" / ODD).mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LAB_STATE", str(state))
    monkeypatch.setenv("LANG", "C")  # Java then takes a path for ASCII
    settings = {"payment-service": {"PAYMENT_SECONDS": 0}}
    env = Environment("phase4", runtime=runtime, only=SERVICES, settings=settings).start()  # type: ignore[arg-type]
    session, statuses = str(env.session), []
    try:
        folder, broker = Path(env.state()["data"]), env["kafka"].replicas[0].pid
        assert list(Path("/tmp").glob(f"hsperfdata_*/{broker}")) == []
        statuses.append(order(env))
        env.restart("kafka")
        statuses.append(order(env))
        env.restart("order-service", "payment-service", "nginx", "valkey")
        statuses.append(order(env))
    finally:
        env.stop()
    assert statuses == ["completed"] * 3
    assert folder == state / session
    assert nothing_left(session, seconds=0) == []
    assert list(state.iterdir()) == []
    assert [path.name for path in state.parent.iterdir()] == [ODD]


@pytest.mark.timeout(60)
def test_a_broker_starts_below_a_folder_of_any_name(base: Path) -> None:
    """Read by a Java that only writes down its arguments."""
    (folder := base / ODD).mkdir()
    (jars := base / ODD / "c:ache*").mkdir()
    (jars / "one.jar").touch()
    (data := folder / "data").mkdir()
    java = base / "java"
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> called\n')
    java.chmod(0o700)
    addresses = {"INSIDE": "127.0.0.1:1", "OUTSIDE": "127.0.0.1:2", "CONTROLLER": "127.0.0.1:3"}
    own = {"HOST": "127.0.0.1", "PORT": "2", "DATA_DIR": str(data), **addresses}
    command = [sys.executable, "-m", "environment.kafka", str(java), str(jars)]
    subprocess.run(command, env={**os.environ, **own}, check=True)
    written = (data / "server.properties").read_bytes()
    assert str(base).encode() not in written
    called = (data / "called").read_text()
    assert str(base) not in called
    assert "jars/one.jar" in called.splitlines()
    assert (data / "jars").resolve() == jars.resolve()


def test_a_folder_named_like_an_address_is_left_as_it_is(base: Path) -> None:
    (session := base / "kafka:9092").mkdir()
    ports = PortBlock()
    runtime = ProcessRuntime("abcd", session, Identity.own(), ports)
    services = read_description(variables=read_phase("phase4")).services
    runtime.prepare([services["order-service"]], lambda line: None)
    runtime.reserve(services["kafka"], 1, names=["kafka"])
    runtime.reserve(services["order-service"], 1)
    child = runtime._child(Launch(services["order-service"], 1).id)
    environment = runtime._environment(child, services["order-service"])
    ports.close()
    assert environment["DATA_DIR"] == str(session / "data" / "order-data")
    assert environment["KAFKA_BOOTSTRAP"].startswith("127.0.0.1:")


@pytest.mark.parametrize("depth", [1, 4])
def test_a_long_path_is_replaced_by_a_short_one(
    base: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """First only the state folder's is long, then that of temporary files as well."""
    long = base / "/".join(["ü" * 60] * depth)
    long.mkdir(parents=True)
    monkeypatch.setenv("LAB_STATE", str(long))
    temporary = base if depth == 1 else long
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    expected = Path(base if depth == 1 else "/tmp") / f"microservices-lab-{os.getuid()}"
    stood = expected.exists()
    assert home() == expected
    folder = new_folder()
    finding = doctor._disk()
    folder.rmdir()
    if not stood:
        expected.rmdir()
    assert len(os.fsencode(folder / "socket")) < 104
    assert finding.state == "ok"
    assert str(expected) in finding.result


def test_a_folder_without_a_text_is_refused_before_anything_starts(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_STATE", str(base / os.fsdecode(b"caf\xe9")))
    began = time.monotonic()
    with pytest.raises(LabError, match=r"caf\\udce9.*LAB_STATE"):
        Environment("phase0", runtime="process").start()
    assert time.monotonic() - began < 5
    assert doctor._disk().state == "broken"
    assert list(base.iterdir()) == []


def test_a_database_lies_in_its_folder_whatever_that_is_called(base: Path) -> None:
    (folder := base / ODD).mkdir()
    database = open_database("user-service", Settings(port=1, data_dir=folder))
    with database._engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    database._engine.dispose()
    assert (folder / "user-service.db").exists()
    assert [path.name for path in base.iterdir()] == [ODD]
