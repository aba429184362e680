"""What the judge of the two designs of a view accepts, refuses, and leaves open; and two programs with two rules."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase5 import lambda_kappa
from labs.experiments.phase5.stream_log import COLUMNS
from labs.verdicts import Outcome
from tests.labs.experiments.phase5.frames import lambda_kappa_prediction, lambda_kappa_samples

MINUTE = 60.0


def outcome(samples: pd.DataFrame) -> Outcome:
    return lambda_kappa.judge(samples, lambda_kappa_prediction()).outcome


def log() -> pd.DataFrame:
    """Sixty charges, one each two seconds; each third one is refunded two minutes later."""
    charges = [(2.0 * n, "revenue", 1999, f"order-{n}") for n in range(60)]
    refunds = [(at + 120, "revenue", -1999, order) for at, _, _, order in charges[::3]]
    rows = pd.DataFrame([*charges, *refunds], columns=["at", "sum", "value", "order"])
    return rows.sort_values("at").reset_index(drop=True)


def test_what_is_predicted_passes() -> None:
    assert outcome(lambda_kappa_samples()) is Outcome.PASS


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [("batch", "jumped", 1.0), ("view", "differing", 1.0), ("view", "read", 8000.0)],
)
def test_another_number_fails(kind: str, column: str, value: float) -> None:
    samples = lambda_kappa_samples()
    samples.loc[samples["kind"] == kind, column] = value
    assert outcome(samples) is Outcome.FAIL


@pytest.mark.parametrize("change", [{"resting": False}, {"emptied": False}, {"log": 100}])
def test_what_shows_nothing_is_inconclusive(change: dict[str, object]) -> None:
    assert outcome(lambda_kappa_samples().assign(**change)) is Outcome.INCONCLUSIVE


def test_batch_and_stream_have_the_same_sums() -> None:
    rows = lambda_kappa.keep_as_lambda(log(), batches=4)
    assert [row["events"] for row in rows] == [20, 40, 60, 80]
    assert rows[-1]["read"] == 80 + 20 + 40 + 60 + 80
    assert {row["jumped"] for row in rows} == {0}


def test_two_rules_for_a_refund_change_the_view_at_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch books a refund when the order was charged, the stream when it was refunded."""
    right = lambda_kappa.batch

    def at_the_charge(events: pd.DataFrame) -> object:
        charged = events[events["value"] > 0].groupby("order")["at"].min()
        moved = np.where(events["value"] < 0, events["order"].map(charged), events["at"])
        return right(events.assign(at=moved))

    monkeypatch.setattr(lambda_kappa, "batch", at_the_charge)
    jumps = [row["jumped"] for row in lambda_kappa.keep_as_lambda(log(), batches=4)]
    events = log()
    expected = []
    for end, begin in zip((20, 40, 60, 80), (0, 20, 40, 60), strict=True):
        new = events.iloc[begin:end]
        refunded = new[new["value"] < 0]
        windows = {at // MINUTE for at in refunded["at"]}
        expected.append(len(windows) > 0)
    assert [jump > 0 for jump in jumps] == expected
    assert any(expected)
    assert set(COLUMNS) >= {"revenue"}
