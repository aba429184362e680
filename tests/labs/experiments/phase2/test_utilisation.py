"""Utilisation: what waits on one server passes; other arrivals than named, and other servers, fail."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase2 import utilisation
from labs.experiments.phase2.queues import waits
from labs.experiments.phase2.utilisation import CLOSED, EVEN, HIDDEN, POISSON
from labs.verdicts import Outcome, Verdict

SERVICE, LEVELS = 0.026, (0.5, 0.9)
PREDICTION = utilisation.predict(LEVELS, service=SERVICE)


def samples(
    *,
    idle: float = 1.5,
    poisson: str = POISSON,
    servers: int = 1,
    more: float = 0.0,
    slowed: float = 1.0,
) -> pd.DataFrame:
    """Three kinds of arrivals at a replica that serves one at a time, `more` seconds late."""
    chance, parts = np.random.default_rng(7), []
    for rho in LEVELS:
        rate = rho / SERVICE
        even = np.arange(round(3 * rate)) / rate
        random = np.cumsum(chance.exponential(1 / rate, len(even)))
        due_of = {EVEN: even, POISSON: random if poisson == POISSON else even}
        for kind in (EVEN, POISSON, CLOSED):
            due = due_of[EVEN if kind == EVEN else POISSON]
            queued = waits(due, service=slowed * SERVICE) if servers == 1 else 0 * due
            ended = due + queued + slowed * SERVICE + more
            sent = due + queued if kind == CLOSED else due
            part = pd.DataFrame({"due": due, "sent": sent, "ended": ended, "ok": True})
            parts.append(part.assign(arrivals=kind, utilisation=rho, idle=idle))
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)


def judge(frame: pd.DataFrame) -> Verdict:
    return utilisation.judge(frame, PREDICTION)


def test_poisson_arrivals_wait_below_full_utilisation_and_even_ones_do_not() -> None:
    rows = PREDICTION.set_index(["arrivals", "utilisation"])["latency"]
    assert rows[EVEN, 0.9] == rows[CLOSED, 0.9] == pytest.approx(SERVICE)
    assert rows[POISSON, 0.9] == pytest.approx(SERVICE * (1 + 4.5))
    assert rows[HIDDEN, 0.9] == rows[POISSON, 0.9]


def test_a_replica_that_serves_one_at_a_time_passes() -> None:
    verdict = judge(samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize("idle", [1.5, 0.0])
def test_a_replica_that_others_slow_is_compared_with_a_slower_one(idle: float) -> None:
    assert judge(samples(slowed=1.05, idle=idle)).outcome is Outcome.PASS


@pytest.mark.parametrize("idle", [1.5, 0.0])
def test_arrivals_that_are_secretly_even_fail_on_any_machine(idle: float) -> None:
    verdict = judge(samples(poisson=EVEN, idle=idle))
    assert verdict.outcome is Outcome.FAIL
    assert f"{POISSON} at 0.9: the arrivals are of another kind than their name" in verdict.reasons


def test_a_server_of_many_requests_at_a_time_fails() -> None:
    verdict = judge(samples(servers=9))
    assert verdict.outcome is Outcome.FAIL
    assert f"{POISSON} at 0.9: the replica served several requests at a time" in verdict.reasons


def test_a_delay_that_no_schedule_explains_fails_on_idle_cores_alone() -> None:
    assert judge(samples(more=0.1)).outcome is Outcome.FAIL
    assert judge(samples(more=0.1, idle=0.1)).outcome is Outcome.INCONCLUSIVE


def test_a_request_without_an_answer_fails() -> None:
    frame = samples()
    frame.loc[3, "ok"] = False
    assert judge(frame).outcome is Outcome.FAIL


def test_the_figure_holds_the_closed_loop_against_the_open_one() -> None:
    figure = utilisation.plot(samples(), PREDICTION)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"even", "Poisson", "Poisson, one caller", "its delay too", "predicted"} <= set(labels)
    assert "1.0 for one caller" in figure.texts[0].get_text()
