"""Dual write: exactly the orders in the gap are lost without the outbox, and none with it."""

import pandas as pd
import pytest

from labs.experiments.phase4 import dual_write
from labs.experiments.phase4.dual_write import AFTER, BEFORE, GAP, OFF, ON
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4 import delivery_frames as frames

PREDICTION = frames.dual_write_prediction()
LOST = {"published": 0, "status": "pending"}
DONE = {"published": 1, "status": "completed"}


def changed(outbox: str, moment: str, number: int = 1, **values: object) -> pd.DataFrame:
    samples = frames.dual_write_samples()
    rows = samples.index[(samples["outbox"] == outbox) & (samples["moment"] == moment)][:number]
    for name, value in values.items():
        samples.loc[rows, name] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return dual_write.judge(samples, PREDICTION)


def test_each_kill_costs_orders_only_without_the_outbox() -> None:
    rows = dual_write.predict(kills=2, orders=3)
    assert rows["orders"].eq(6).all()
    assert rows[rows["stuck"] > 0][["outbox", "moment", "stuck"]].to_numpy().tolist() == [
        [OFF, GAP, 6]
    ]


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.dual_write_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("moment", [BEFORE, GAP, AFTER])
def test_one_lost_order_with_the_outbox_fails(moment: str) -> None:
    verdict = judge(changed(ON, moment, **LOST))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        f"OUTBOX=on, {moment}: events were never published, and their orders stay pending",
    )


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
def test_a_lost_order_outside_of_the_gap_fails(moment: str) -> None:
    assert judge(changed(OFF, moment, **LOST)).outcome is Outcome.FAIL


@pytest.mark.parametrize("number", [1, 3])
def test_a_kill_that_missed_the_gap_proves_nothing(number: int) -> None:
    assert judge(changed(OFF, GAP, number, **DONE)).outcome is Outcome.INCONCLUSIVE


def test_a_later_attempt_whose_kill_did_not_miss_settles_it() -> None:
    first = changed(OFF, GAP, 3, **DONE)
    both = pd.concat([first, frames.dual_write_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_published_orders_that_are_not_done_are_in_doubt() -> None:
    assert judge(changed(ON, GAP, status="pending")).outcome is Outcome.INCONCLUSIVE
    unsettled = changed(ON, GAP, settled=False, **LOST)
    assert judge(unsettled).outcome is Outcome.INCONCLUSIVE


def test_an_accepted_order_that_is_not_there_fails() -> None:
    assert judge(changed(ON, GAP, published=0, status="missing")).outcome is Outcome.FAIL


def test_the_title_counts_the_orders_in_the_gap() -> None:
    figure = dual_write.plot(frames.dual_write_samples(), PREDICTION)
    assert figure.texts[0].get_text() == (
        "Of 3 orders in the gap 3 stay pending without the outbox, 0 with it"
    )
