"""The same tools where the broker is a container."""

from collections.abc import Iterator

import httpx
import pytest

from environment import Environment
from environment.waiting import wait_until
from tests.environment.kafka_tools.conftest import (
    SECONDS,
    Joined,
    check_odd_records,
    letter,
)
from tests.residue import nothing_left

pytestmark = [pytest.mark.kafka, pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    environment = Environment("phase4", runtime="docker", only=["kafka"]).start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def test_messages_lag_and_dead_letters_are_the_same_there(
    env: Environment, topic: str, group: str, joined: Joined
) -> None:
    kafka = env.kafka
    kafka.create(f"{topic}-dlq")
    kafka.produce(topic, {"orderId": "o-1"}, key="o-1", partition=0)
    with joined(topic) as consumer:
        assert kafka.lag(group).lag.sum() == 1
        consumer.commit(message=consumer.poll(10), asynchronous=False)
        assert kafka.lag(group).lag.sum() == 0
    moved = kafka.reset(group, topic, to="earliest")
    assert (moved.before[0], moved.after[0]) == (1, 0)
    letter(kafka, topic, b"poison \xff")
    assert kafka.redrive(topic).outcome.tolist() == ["sent"]
    assert kafka.redrive(topic).empty
    assert set(kafka.read(topic).value) == {'{"orderId": "o-1"}', "poison \\xff"}


def test_headers_that_cannot_be_read_are_shown_there_too(env: Environment, topic: str) -> None:
    check_odd_records(env.kafka, topic)


def test_a_container_that_is_killed_is_found_again(env: Environment, topic: str) -> None:
    env.kafka.produce(topic, "before")
    with env["kafka"].killed():
        pass
    assert env.kafka.read(topic).value.tolist() == ["before"]
    env.kafka.groups()


def test_the_page_shows_it_from_this_machine(env: Environment, topic: str) -> None:
    def shown() -> bool:
        seen = httpx.get(f"{env.kafka.ui().url}api/overview", timeout=SECONDS).json()
        return topic in [row["topic"] for row in seen.get("topics", [])]

    assert wait_until(shown, timeout=SECONDS, every=0.5), "as the page does, which asks again"
