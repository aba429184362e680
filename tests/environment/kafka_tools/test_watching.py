"""Lag while a cell runs: sampled beside it, without disturbing it, and shown in a real kernel."""

import threading

import nbformat
import pytest
from confluent_kafka import TopicPartition
from nbclient import NotebookClient

from environment import Environment, LabError
from environment.kafka.tools import Kafka
from environment.waiting import wait_until
from tests.environment.kafka_tools.conftest import Joined

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def test_lag_is_sampled_as_it_grows_and_falls(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    with joined(topic) as consumer:

        def seen(lag: int) -> bool:
            sums = watch.samples.groupby("time").lag.sum()
            return len(sums) > 0 and sums.iloc[-1] == lag

        with kafka.watch_lag(group, every=0.05) as watch:
            assert wait_until(lambda: seen(0), timeout=10)
            for _ in range(3):
                kafka.produce(topic, "x", partition=1)
            assert wait_until(lambda: seen(3), timeout=10)
            for _ in range(3):
                consumer.commit(message=consumer.poll(10), asynchronous=False)
            assert wait_until(lambda: seen(0), timeout=10)
    sums = watch.samples.groupby("seconds").lag.sum()
    assert sums.max() == 3
    assert (sums.iloc[0], sums.iloc[-1]) == (0, 0)
    assert sums.index.is_monotonic_increasing
    assert set(watch.samples.member.dropna()) == {"payment-service-1"}
    assert topic in watch._repr_html_()


def test_the_end_of_the_block_is_the_last_sample(
    kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    with joined(topic), kafka.watch_lag(group, every=30) as watch:
        assert wait_until(lambda: len(watch.samples), timeout=10)
        kafka.produce(topic, "x")
    assert watch.samples.groupby("time").lag.sum().tolist() == [0, 1]
    assert watch._thread is not None
    assert not watch._thread.is_alive()


def test_a_dead_broker_leaves_a_gap_and_errors_propagate(
    env: Environment, kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    with joined(topic) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    watch = kafka.watch_lag(group, every=0.05)

    def cell() -> None:
        with watch:
            with env["kafka"].killed():
                pass
            before = len(watch.samples)
            assert wait_until(lambda: len(watch.samples) > before, timeout=40)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cell()
    assert watch._thread not in threading.enumerate()


def test_wrong_words_are_explained_before_the_block_begins(kafka: Kafka) -> None:
    for every in (0, 61, "fast"):
        with pytest.raises(LabError, match=r"every 0\.05 to 60 seconds"):
            kafka.watch_lag(every=every)  # type: ignore[arg-type]


CELL = """
from environment import Environment
kafka = Environment.attach({session!r}).kafka
with kafka.watch_lag({group!r}, every=0.1) as watch:
    for _ in range(8):
        kafka.produce({topic!r}, "<b>x</b>")
"""


def test_a_notebook_shows_it_below_the_cell_as_it_changes(
    env: Environment, kafka: Kafka, topic: str, group: str, joined: Joined
) -> None:
    with joined(topic):
        source = CELL.format(session=env.session, group=group, topic=topic)
        cell = nbformat.v4.new_code_cell(source)
        client = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=60)
        updates: list[str] = []
        heard = client.process_message

        def hear(message, *words):  # type: ignore[no-untyped-def]
            if message["header"]["msg_type"] == "update_display_data":
                updates.append(message["content"]["data"]["text/html"])
            return heard(message, *words)

        client.process_message = hear  # type: ignore[method-assign]
        client.execute()
    shown = [output for output in cell.outputs if "lab-lag" in str(output)]
    assert len(shown) == 1
    assert "<strong>8</strong>" in shown[0]["data"]["text/html"]
    assert len({html for html in updates if "lab-lag" in html}) > 1, "it changed while it ran"
