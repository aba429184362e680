"""order-service 2 by itself: what it does while there is no Kafka. With one: tests/environment/test_events.py."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.microservices.conftest import NO_KAFKA, Start
from tests.microservices.examples import new_key, new_order
from tests.microservices.running import Running, clean_environment


def outbox(data: Path) -> list[str]:
    with sqlite3.connect(data / "order-service.db") as database:
        rows = database.execute("SELECT key FROM outbox ORDER BY position").fetchall()
    return [key.decode() for (key,) in rows]


def start_2(start: Start, **given: object) -> Running:
    given = {"version": "2", "KAFKA_BOOTSTRAP": NO_KAFKA} | given
    return start("order-service", ready=False, **given).wait_ready("/health")


def test_an_order_is_accepted_without_kafka_and_its_event_waits(
    start: Start, tmp_path: Path
) -> None:
    order = start_2(start)
    answer = order.http.post("/orders", json=new_order())
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert outbox(tmp_path) == [answer.json()["id"]]
    unready = order.http.get("/ready")
    assert (unready.status_code, unready.json()["detail"]) == (503, "Kafka does not answer")


def test_a_repeat_gets_the_first_answer_and_publishes_nothing(start: Start, tmp_path: Path) -> None:
    order, key = start_2(start), new_key()
    first, second = (order.http.post("/orders", json=new_order(), headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    other = order.http.post("/orders", json=new_order(userId="user-1", items=[]), headers=key)
    assert other.status_code == 422
    assert outbox(tmp_path) == [first.json()["id"]]


def test_without_an_outbox_an_event_waits_in_memory_only(start: Start, tmp_path: Path) -> None:
    order = start_2(start, OUTBOX="off")
    assert order.http.post("/orders", json=new_order()).status_code == 201
    assert outbox(tmp_path) == []


def test_it_stops_in_time_while_kafka_is_away(start: Start) -> None:
    order = start_2(start)
    order.http.post("/orders", json=new_order())
    began = time.monotonic()
    order.process.send_signal(signal.SIGTERM)
    assert order.process.wait(10) == 0
    assert time.monotonic() - began < 10
    assert "Traceback" not in order.log()


def test_orders_and_their_events_survive_kill_9(start: Start, tmp_path: Path) -> None:
    order = start_2(start)
    ids = [order.http.post("/orders", json=new_order()).json()["id"] for _ in range(5)]
    order.kill()
    again = start_2(start)
    assert [each["id"] for each in again.http.get("/orders").json()] == ids
    assert outbox(tmp_path) == ids


def test_it_goes_on_with_the_database_of_version_1(start: Start, tmp_path: Path) -> None:
    payment = start("payment-service", PAYMENT_SECONDS=0)
    first = start("order-service", PAYMENT_SERVICE_URL=payment.url)
    made = first.http.post("/orders", json=new_order()).json()
    second = start_2(start)
    assert made in second.http.get("/orders").json()
    assert second.http.post("/orders", json=new_order()).json()["status"] == "pending"
    assert first.http.post("/orders", json=new_order()).json()["status"] == "completed"


def test_without_an_address_of_kafka_it_ends_with_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "microservices.order_service", "2"],
        env=clean_environment(DATA_DIR=tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("order-service: KAFKA_BOOTSTRAP is not set")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("package", ["order_service", "payment_service", "user_service"])
def test_version_1_imports_no_kafka(package: str) -> None:
    code = f"import sys, microservices.{package}.v1; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
