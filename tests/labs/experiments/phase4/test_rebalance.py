"""Rebalance: which orders wait, for how long, and that none is lost."""

import pandas as pd
import pytest

from labs.experiments.phase4 import rebalance
from labs.experiments.phase4.rebalance import DIES, JOINS, LEAVES
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import rebalance_prediction, rebalance_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return rebalance.judge(samples, rebalance_prediction())


def test_only_a_death_waits_for_the_session_timeout() -> None:
    table = rebalance.predict(seconds=1, session=10).set_index("change")
    assert table["gap"][DIES] == 15
    assert table["gap"][JOINS] == table["gap"][LEAVES] < 10
    assert set(table["lost"]) == {0}


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(rebalance_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    waits = {row["change"]: row["waited"] for row in verdict.details["changes"]}
    assert waits[DIES] == pytest.approx(7, abs=0.2)
    assert waits[JOINS] < 0.1


def test_one_lost_order_fails() -> None:
    lost = rebalance_samples()
    lost.loc[int(8.8 * 15), "paid"] = None
    assert judge(lost).reasons == ("a member dies: an order was lost",)
    unpublished = rebalance_samples().assign(placed=10_000)
    assert judge(unpublished).reasons == ("an order that was accepted was never published",)


def test_a_group_that_misses_a_member_too_late_fails() -> None:
    verdict = judge(rebalance_samples(missed=12))
    assert verdict.reasons == ("a member dies: an order waited longer than predicted",)


def test_a_death_without_effect_and_few_orders_are_inconclusive() -> None:
    assert judge(rebalance_samples(missed=0)).outcome is Outcome.INCONCLUSIVE
    few = rebalance_samples().iloc[::15].assign(placed=21)
    assert judge(few).outcome is Outcome.INCONCLUSIVE


def test_the_figure_names_each_change() -> None:
    (ax,) = rebalance.plot(rebalance_samples(), rebalance_prediction()).axes
    assert {f"a member {name}" for name in (JOINS, LEAVES, DIES)} == {
        text.get_text() for text in ax.texts
    }
