"""Duration: work and hops add up, whatever a hop takes; work in series, or a slow hop, fails."""

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase5 import duration
from labs.experiments.phase5.names import COMPLETED, INVENTORY_FAILED
from labs.verdicts import Outcome, Verdict
from tests.labs.events import BEGAN, chain, event, frame
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.duration_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return duration.judge(samples, PREDICTION)


def twice(samples: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([samples, samples.assign(attempt=2)], ignore_index=True)


def later(seconds: float, *outcomes: str) -> pd.DataFrame:
    """Orders with these outcomes take so much longer."""
    samples = frames.duration_samples()
    samples.loc[samples["outcome"].isin(outcomes), "duration"] += seconds
    return samples


@pytest.mark.parametrize("hop", [0.005, 0.02, 0.1, 0.24])
def test_any_time_of_a_hop_passes(hop: float) -> None:
    verdict = judge(frames.duration_samples(hop))
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["hop"] == pytest.approx(hop, abs=0.001)


@pytest.mark.parametrize("seconds", [0.2, 0.1])
def test_work_in_series_fails_when_seen_twice(seconds: float) -> None:
    samples = later(seconds, COMPLETED, INVENTORY_FAILED)
    assert judge(samples).outcome is Outcome.INCONCLUSIVE
    verdict = judge(twice(samples))
    assert verdict.outcome is Outcome.FAIL
    assert any(reason.startswith(f"{COMPLETED}: ") for reason in verdict.reasons)


def test_a_saga_shorter_than_its_work_fails_at_once() -> None:
    samples = later(-0.07, INVENTORY_FAILED)
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("inventory failed: a saga was shorter than the work in it",)


@pytest.mark.parametrize(
    "samples",
    [
        frames.duration_samples(hop=0.3),
        frames.duration_samples(orders=6),
        frames.duration_samples().assign(overdue=True),
        frames.duration_samples().replace(
            {"duration": {frames.duration_samples()["duration"][0]: np.nan}}
        ),
    ],
    ids=["slow hops", "few orders", "deadline", "no end"],
)
def test_what_shows_the_machine_is_inconclusive(samples: pd.DataFrame) -> None:
    assert judge(twice(samples)).outcome is Outcome.INCONCLUSIVE


def test_durations_are_read_from_the_first_event_to_the_end() -> None:
    rows = chain(["OrderCreated", "PaymentFailed", "OrderCancelled"])
    other = event("OrderCreated", None, event="e", order="o-2", data={"userId": "eve"})
    found = duration.durations(frame([*rows, other]), "ada")
    assert found["order"].tolist() == ["o-1"]
    assert found["duration"].tolist() == [pytest.approx(0.02)]
    assert not found["overdue"].any()


def test_an_order_without_an_end_and_one_of_a_deadline_are_marked() -> None:
    pending = duration.durations(frame(chain(["OrderCreated"])), "ada")
    assert pending["duration"].isna().all()
    late = event("OrderCancelled", "ordercreated", at=BEGAN + 30)
    found = duration.durations(frame(chain(["OrderCreated"], late)), "ada")
    assert found["overdue"].all()
