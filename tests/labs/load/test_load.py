"""The load generator keeps its schedule, reports whether it did, and never outlives its caller."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from environment.waiting import wait_until
from labs.load.open_loop import Load, LoadError, Stream, run_load
from labs.load.worker import arrivals, fill, schedule
from tests.labs.servers import UNAVAILABLE, Server, serving

NO_SERVER = "http://127.0.0.1:1/"


def plan(arrival: str, rate: float = 100.0) -> dict[str, object]:
    return {"name": "a", "rate": rate, "arrivals": arrival, "begins": 0.0, "ends": None}


def test_even_arrivals_are_evenly_spaced() -> None:
    assert list(arrivals(plan("even", rate=4), 1.0, seed=1)) == [0.0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_have_their_rate_and_follow_the_seed() -> None:
    first, again, other = (list(arrivals(plan("poisson"), 100, seed=s)) for s in (1, 1, 2))
    assert first == again != other
    assert len(first) == pytest.approx(10_000, rel=0.05)
    assert max(first) < 100


def test_streams_of_equal_rates_do_not_fire_in_the_same_instant() -> None:
    due = schedule({"streams": [plan("even"), plan("even")], "seconds": 1, "seed": 1})
    assert len({offset for offset, _, _ in due}) == len(due) == 200


def test_a_stream_may_begin_later_and_end_earlier_than_the_schedule() -> None:
    late = plan("even", rate=4) | {"begins": 1.0, "ends": 1.75}
    due = schedule({"streams": [late], "seconds": 3, "seed": 1})
    assert [offset for offset, _, _ in due] == [1.0, 1.25, 1.5]
    assert schedule({"streams": [late], "seconds": 0.5, "seed": 1}) == []


def test_a_template_is_filled_at_any_depth() -> None:
    template = {"user": "u-{number}", "items": [{"key": "{key}", "price": 1.5}], "none": None}
    assert fill(template, "k", 3) == {
        "user": "u-3",
        "items": [{"key": "k", "price": 1.5}],
        "none": None,
    }


def test_one_row_per_request_and_a_unique_key_in_each() -> None:
    with serving(Server()) as server:
        samples = run_load(
            Stream("read", server.url, rate=20),
            Stream("write", server.url, rate=10, method="POST", body={"key": "{key}"}),
            seconds=1,
        )
    assert samples.groupby("stream").size().to_dict() == {"read": 20, "write": 10}
    assert samples["ok"].all()
    assert samples["intended"].is_monotonic_increasing
    assert (samples["lag"] >= 0).all()
    assert (samples["latency"] > samples["lag"]).all()
    bodies = {request.partition(b"\r\n\r\n")[2] for request in server.requests} - {b""}
    assert len(bodies) == 10


def test_a_refused_connection_and_an_error_status_differ() -> None:
    with serving(Server(UNAVAILABLE)) as server:
        busy = run_load(Stream("busy", server.url, rate=5), seconds=1)
    gone = run_load(Stream("gone", NO_SERVER, rate=5), seconds=1)
    assert not busy["ok"].any()
    assert not gone["ok"].any()
    assert set(busy["status"]) == {503}
    assert set(busy["error"]) == {"busy"}
    assert set(gone["status"]) == {0}
    assert gone["error"].str.contains("ClientConnectorError").all()


def test_a_stalling_server_shows_its_true_p99() -> None:
    """A closed loop would send one request into the stall, and report a p99 of a few ms."""
    with serving(Server()) as server, Load(Stream("a", server.url, rate=100), seconds=3) as load:
        load.until(1)
        server.stall(1.0)
    assert load.samples["latency"].quantile(0.99) > 0.8
    waited = load.samples["latency"] > 0.1
    assert waited.sum() == pytest.approx(90, abs=15)
    assert load.samples["lag"].quantile(0.99) < 0.1


def test_a_request_over_its_timeout_ends_with_an_error() -> None:
    server = Server()
    server.stall(1.0)
    with serving(server):
        samples = run_load(Stream("a", server.url, rate=10, timeout=0.3), seconds=0.2)
    assert not samples["ok"].any()
    assert set(samples["error"]) == {"timed out after 0.3 s"}


def test_a_starved_generator_reports_that_it_lagged() -> None:
    with serving(Server()) as server, Load(Stream("a", server.url, rate=200), seconds=2) as load:
        load.until(0.5)
        assert load.pid
        os.kill(load.pid, signal.SIGSTOP)
        load.until(1.2)
        os.kill(load.pid, signal.SIGCONT)
    assert not load.load_report.kept_schedule
    assert load.load_report.lag_p99 > 0.3
    assert len(load.samples) == 400


def send_for_a_minute(meanwhile: Callable[[Load, int], None]) -> Load:
    load = Load(Stream("a", NO_SERVER, rate=5), seconds=60)
    with load:
        assert load.pid
        meanwhile(load, load.pid)
    return load


def test_an_interrupt_of_the_caller_ends_the_load() -> None:
    children = []

    def interrupt(load: Load, pid: int) -> None:
        children.append(psutil.Process(pid))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_for_a_minute(interrupt)
    assert not children[0].is_running()


def test_a_load_can_end_earlier_than_planned() -> None:
    with serving(Server()) as server, Load(Stream("a", server.url, rate=50), seconds=60) as load:
        load.until(0.5)
        load.end_in(0.5)
    assert 45 <= len(load.samples) <= 70
    assert load.samples["ok"].all()


def test_a_load_that_still_runs_has_no_samples() -> None:
    with (
        Load(Stream("a", NO_SERVER, rate=5), seconds=0.2) as load,
        pytest.raises(LoadError, match="has not ended"),
    ):
        _ = load.samples
    assert len(load.samples) == 1


def test_a_crash_of_the_generator_is_an_error() -> None:
    with pytest.raises(LoadError, match="crashed"):
        send_for_a_minute(lambda load, pid: os.kill(pid, signal.SIGKILL))


def test_a_crash_while_the_caller_waits_is_an_error_at_once() -> None:
    def crash_and_wait(load: Load, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        load.until(30)

    with pytest.raises(LoadError, match="ended before its schedule did"):
        send_for_a_minute(crash_and_wait)


def test_the_output_of_a_crashed_generator_is_in_the_error() -> None:
    """The worker is the first to use the rate as a number."""
    stream = Stream("a", NO_SERVER, rate=5)
    object.__setattr__(stream, "rate", "many")
    with pytest.raises(LoadError, match="could not convert string to float"):
        run_load(stream, seconds=1)


PARENT = """
from labs.load.open_loop import Load, Stream
with Load(Stream("a", "http://127.0.0.1:1/", rate=5), seconds=600) as load:
    print(load.pid, flush=True)
    load.until(600)
"""


def test_the_generator_dies_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert wait_until(lambda: not child.is_running(), timeout=5)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 1, "arrivals": "bursts"}])
def test_a_stream_that_cannot_be_sent_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="stream 'a'"):
        Stream("a", NO_SERVER, **wrong)  # type: ignore[arg-type]
