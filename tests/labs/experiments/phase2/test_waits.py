"""Waits: rates as predicted pass; copies that help awaited work fail, and so do waits that do not wait."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase2 import waits
from labs.experiments.phase2.waits import AWAITED, BLOCKING, CALLERS
from labs.verdicts import Outcome, Verdict

PREDICTION = waits.predict()


def samples(*, idle: float = 1.5, **carried: float) -> pd.DataFrame:
    """Both kinds of work on one and three replicas, which carry `carried` of what is predicted."""
    parts = []
    for case in PREDICTION.to_dict("records"):
        rate = case["rate"] * carried.get(f"{case['work']}_{case['replicas']}", 1.0)
        ended = 1.7e9 + 0.1 + np.arange(150) / rate
        part = pd.DataFrame({"sent": ended - CALLERS / rate, "ended": ended, "status": 200})
        parts.append(part.assign(work=case["work"], replicas=case["replicas"], idle=idle))
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)


def judge(frame: pd.DataFrame) -> Verdict:
    return waits.judge(frame, PREDICTION)


def test_copies_help_blocking_waits_alone() -> None:
    rate = waits.predict(seconds=0.2, replicas=(1, 3)).set_index(["work", "replicas"])["rate"]
    assert rate[AWAITED, 1] == rate[AWAITED, 3] == pytest.approx(60)
    assert rate[BLOCKING, 1] == pytest.approx(5)
    assert rate[BLOCKING, 3] == pytest.approx(15)


def test_the_rates_as_predicted_pass() -> None:
    verdict = judge(samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize("idle", [1.5, 0.0])
def test_awaited_work_that_is_served_alone_fails_on_any_machine(idle: float) -> None:
    verdict = judge(samples(awaited_1=1 / CALLERS, awaited_3=3 / CALLERS, idle=idle))
    assert verdict.outcome is Outcome.FAIL
    alike = "awaited waits were served as slowly as blocking ones"
    assert verdict.reasons == (f"awaited, 1 replica: {alike}", f"awaited, 3 replicas: {alike}")


def test_blocking_waits_that_do_not_block_fail_on_any_machine() -> None:
    verdict = judge(samples(blocking_1=3, idle=0.0))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("blocking, 1 replica: carried more than predicted",)


def test_too_little_is_in_doubt_without_an_idle_core() -> None:
    assert judge(samples(awaited_3=0.6, idle=0.1)).outcome is Outcome.INCONCLUSIVE
    assert judge(samples(awaited_3=0.6)).outcome is Outcome.FAIL


def test_a_request_that_was_not_answered_fails() -> None:
    frame = samples()
    frame.loc[3, "status"] = 502
    assert judge(frame).outcome is Outcome.FAIL


def test_the_figure_states_both_gains() -> None:
    title = waits.plot(samples(), PREDICTION).texts[0].get_text()
    assert title == "3 replicas carried 1.0 times as much awaited work, 3.0 times blocking"
