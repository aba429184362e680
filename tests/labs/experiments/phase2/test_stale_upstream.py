"""A stale upstream: each request against what it tried; a list that is not stale, and a lost request, fail."""

import http.client
import socket

import pandas as pd
import pytest

from environment.nginx import Balance
from labs.experiments.phase2 import stale_upstream
from labs.experiments.phase2.stale_upstream import (
    CONNECT_TIMEOUT,
    REFUSES,
    RELOADED,
    SILENT,
    SPAN,
    silent_listener,
    suspects,
)
from labs.verdicts import Outcome, Verdict

PREDICTION = stale_upstream.predict(runtime="process")
TRIED = (0, 2, 0, 0, 1, 1)


def samples(*, wait: float = CONNECT_TIMEOUT, idle: float = 1.5) -> pd.DataFrame:
    """Six requests for each kind of address, which wait that long for each silent one."""
    rows = [
        {
            "address": address,
            "number": number,
            "latency": 0.004 + (wait * tried if address == SILENT else 0.0),
            "status": 200,
            "tried": 0.0 if address == RELOADED else float(tried),
        }
        for address in (RELOADED, REFUSES, SILENT)
        for number, tried in enumerate(TRIED, 1)
    ]
    return pd.DataFrame(rows).assign(idle=idle, runtime="process", attempt=1)


def judge(frame: pd.DataFrame) -> Verdict:
    return stale_upstream.judge(frame, PREDICTION)


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.assign(attempt=2)], ignore_index=True)


def test_only_silent_addresses_cost_timeouts() -> None:
    longest = PREDICTION.set_index("address")["longest"]
    assert longest[RELOADED] == longest[REFUSES] == 0
    assert longest[SILENT] == pytest.approx(0.6)
    assert list(stale_upstream.predict(runtime="docker")["address"]) == [RELOADED, SILENT]


def test_the_requests_outlast_the_time_for_which_nginx_passes_over_a_dead_address() -> None:
    tick = 1  # nginx compares whole seconds
    assert Balance().fail_timeout + tick < SPAN


def test_requests_that_wait_for_what_they_tried_pass() -> None:
    verdict = judge(samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize("idle", [1.5, 0.0])
@pytest.mark.parametrize("address", [REFUSES, SILENT])
def test_a_list_that_was_reloaded_fails_on_any_machine(address: str, idle: float) -> None:
    frame = samples(idle=idle)
    frame.loc[frame["address"] == address, ["tried", "latency"]] = [0.0, 0.004]
    verdict = judge(frame)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{address}: nginx tried no dead address: its list is not stale",)


def test_a_dead_address_that_is_tried_after_a_reload_fails() -> None:
    frame = samples()
    frame.loc[1, "tried"] = 1.0
    assert "nginx tried an address that is not in its list" in judge(frame).reasons[0]


def test_a_shorter_timeout_fails_and_a_longer_one_when_seen_twice() -> None:
    assert judge(samples(wait=0.2)).outcome is Outcome.FAIL
    assert judge(samples(wait=0.6)).outcome is Outcome.INCONCLUSIVE
    assert judge(twice(samples(wait=0.6))).outcome is Outcome.FAIL
    assert judge(twice(samples(wait=0.6, idle=0.0))).outcome is Outcome.INCONCLUSIVE


def test_a_lost_request_fails_and_an_unknown_one_is_no_evidence() -> None:
    lost, unknown = samples(), samples()
    lost.loc[3, "status"] = 502
    unknown.loc[3, "tried"] = float("nan")
    assert judge(lost).outcome is Outcome.FAIL
    assert judge(unknown).outcome is Outcome.INCONCLUSIVE


def test_no_suspect_alone_predicts_what_was_printed() -> None:
    seconds = suspects(unloaded=0.004).set_index("suspect")["seconds"]
    script = [value for name, value in seconds.items() if "fitted" not in str(name)]
    assert all(abs(value - stale_upstream.PRINTED) > 5 for value in script)


def test_a_full_queue_is_silent_and_a_closed_port_refuses() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with silent_listener("127.0.0.1", port), pytest.raises(TimeoutError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=0.3).connect()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=0.3).connect()


def test_the_figure_holds_every_suspect_against_what_was_printed() -> None:
    figure = stale_upstream.plot(samples(), PREDICTION)
    _, below = figure.axes
    assert len(below.get_yticklabels()) == len(suspects(unloaded=0.0))
    texts = [text.get_text() for text in below.texts]
    assert {"printed: 53.364 s", "60.0 s", "54.0 s"} <= set(texts)
    assert "0.60 s silent" in figure.texts[0].get_text()
