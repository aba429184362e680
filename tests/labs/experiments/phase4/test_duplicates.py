"""Duplicates: once with the inbox, d times without; an event that was not delivered so often is not judged."""

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


def test_a_second_payment_with_the_inbox_fails_although_a_key_refused_the_charge() -> None:
    verdict = judge(changed(ON, 2, payments=2))
    assert verdict.reasons == (
        "INBOX=on, delivered 2 times: the payment was published more than once",
    )


@pytest.mark.parametrize(("inbox", "charges"), [(ON, 0), (OFF, 1)])
def test_fewer_charges_than_predicted_fail_once_all_is_read(inbox: str, charges: int) -> None:
    assert judge(changed(inbox, 4, charges=charges)).outcome is Outcome.FAIL
    unread = judge(changed(inbox, 4, charges=charges, drained=False))
    assert unread.outcome is Outcome.INCONCLUSIVE


def test_events_that_were_not_delivered_again_prove_nothing() -> None:
    verdict = judge(changed(ON, 4, delivered=1))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("INBOX=on, delivered 4 times: not measured",)


def test_a_further_delivery_without_the_inbox_is_no_failure() -> None:
    assert judge(changed(OFF, 4, charges=5)).outcome is Outcome.INCONCLUSIVE


def test_events_that_were_not_read_yet_are_set_aside() -> None:
    half = changed(ON, 4, charges=0)
    half.loc[half.index[half["charges"] == 0][0], ["drained", "charges"]] = [False, 0]
    verdict = judge(half)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    (case,) = (
        row for row in verdict.details["cases"] if row["case"].startswith("INBOX=on, delivered 4")
    )
    assert case["counted"].startswith("1 of 2 counted (set aside: events that payment-service")


def test_the_title_has_what_the_most_deliveries_cost() -> None:
    figure = duplicates.plot(frames.duplicates_samples(), PREDICTION)
    assert figure.texts[0].get_text() == (
        "Delivered 4 times, charged 4 times without the inbox, 1 time with it"
    )
