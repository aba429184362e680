"""Duplicates: once with the inbox, d times without; nothing is said of events that were not delivered so often."""

import pandas as pd
import pytest

from labs.experiments.phase4 import duplicates
from labs.experiments.phase4.duplicates import OFF, ON
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4 import delivery_frames as frames

PREDICTION = frames.duplicates_prediction()


def changed(inbox: str, deliveries: int, **values: object) -> pd.DataFrame:
    samples = frames.duplicates_samples()
    rows = samples.index[(samples["inbox"] == inbox) & (samples["deliveries"] == deliveries)]
    for name, value in values.items():
        samples.loc[rows, name] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return duplicates.judge(samples, PREDICTION)


def test_the_inbox_makes_one_of_any_number_of_deliveries() -> None:
    rows = duplicates.predict((1, 3))
    assert rows.set_index(["inbox", "deliveries"])["charges"].to_dict() == {
        (OFF, 1): 1,
        (OFF, 3): 3,
        (ON, 1): 1,
        (ON, 3): 1,
    }


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.duplicates_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("drained", [True, False])
def test_two_charges_with_the_inbox_fail_at_any_moment(drained: bool) -> None:
    verdict = judge(changed(ON, 2, charges=2, drained=drained))
    assert verdict.reasons == ("INBOX=on, delivered 2 times: charged more than once",)
    assert verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize(("inbox", "charges"), [(ON, 0), (OFF, 1)])
def test_fewer_charges_than_predicted_fail_once_all_is_read(inbox: str, charges: int) -> None:
    assert judge(changed(inbox, 4, charges=charges)).outcome is Outcome.FAIL
    unread = judge(changed(inbox, 4, charges=charges, drained=False))
    assert unread.outcome is Outcome.INCONCLUSIVE


def test_events_that_were_not_delivered_again_prove_nothing() -> None:
    verdict = judge(changed(ON, 4, delivered=1))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("INBOX=on, delivered 4 times: not measured",)


def test_a_delivery_of_the_group_s_own_is_no_failure_where_nothing_protects() -> None:
    assert judge(changed(OFF, 4, charges=5)).outcome is Outcome.INCONCLUSIVE


def test_the_figure_has_units() -> None:
    (axes,) = duplicates.plot(frames.duplicates_samples(), PREDICTION).axes
    assert axes.get_ylabel().endswith("(count)")
