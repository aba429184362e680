"""Vertical against horizontal: equal rates, and 0 and 2 of 3 after a kill; anything else fails or is in doubt."""

import pandas as pd
import pytest

from labs.experiments.phase2 import workers
from labs.experiments.phase2.workers import DURING, HORIZONTAL, VERTICAL, summarise
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import scaling_frames as frames

PREDICTION = frames.workers_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return workers.judge(samples, PREDICTION)


def part(samples: pd.DataFrame, shape: str, when: str) -> pd.Series:  # type: ignore[type-arg]
    return (samples["shape"] == shape) & (samples["when"] == when)


def test_a_kill_is_predicted_to_take_a_whole_replica() -> None:
    rows = workers.predict(seconds=0.1, cores=8, workers=4).set_index("shape")
    assert rows["achieved"].to_dict() == pytest.approx({VERTICAL: 40, HORIZONTAL: 40})
    assert rows["survivors"].to_dict() == {VERTICAL: 0, HORIZONTAL: 3}
    assert set(workers.predict(seconds=0.1, cores=2)["achieved"]) == {20}


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.workers_samples()).outcome is Outcome.PASS


def test_what_is_counted_of_a_shape() -> None:
    samples = frames.workers_samples()
    row = summarise(samples[samples["shape"] == HORIZONTAL])
    assert row["achieved"] == pytest.approx(40)
    assert (row["workers"], row["survivors"]) == (3, 2)


def test_workers_that_survive_their_replica_fail() -> None:
    samples = frames.workers_samples()
    revived = samples[part(samples, VERTICAL, DURING)].index[0]
    samples.loc[revived, ["status", "worker"]] = [200, "api-gateway-1, process 1"]
    verdict = judge(samples)
    assert verdict.reasons == (f"{VERTICAL}: more survived the kill than predicted",)


def test_replicas_that_die_together_fail() -> None:
    samples = frames.workers_samples()
    samples.loc[part(samples, HORIZONTAL, DURING), ["status", "worker"]] = [502, ""]
    verdict = judge(samples)
    assert verdict.reasons == (f"{HORIZONTAL}: fewer survived the kill than predicted",)


def test_a_worker_never_met_before_the_kill_is_in_doubt() -> None:
    samples = frames.workers_samples()
    before = part(samples, VERTICAL, "before")
    samples.loc[before, "worker"] = "api-gateway-1, process 1"
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    both = pd.concat([samples, frames.workers_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_too_low_a_rate_fails_on_idle_cores_only() -> None:
    low = frames.workers_samples(rate=20, idle=1)
    assert judge(low).outcome is Outcome.INCONCLUSIVE, "it has to be seen twice"
    twice = pd.concat([low, low.assign(attempt=2)], ignore_index=True)
    assert judge(twice).outcome is Outcome.FAIL
    assert judge(frames.workers_samples(rate=60)).outcome is Outcome.FAIL


def test_on_busy_cores_both_shapes_have_to_carry_the_same() -> None:
    slow, fast = frames.workers_samples(rate=20), frames.workers_samples(rate=30)
    assert judge(slow).outcome is Outcome.PASS
    pair = [slow[slow["shape"] == VERTICAL], fast[fast["shape"] == HORIZONTAL]]
    verdict = judge(pd.concat(pair, ignore_index=True))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert [reason.partition(": ")[2] for reason in verdict.reasons] == [
        "other programs kept the cores busy"
    ] * 2


def test_each_shape_is_settled_by_an_attempt_of_its_own() -> None:
    slow, right = frames.workers_samples(rate=20), frames.workers_samples()
    first = [slow[slow["shape"] == VERTICAL], right[right["shape"] == HORIZONTAL]]
    second = [right[right["shape"] == VERTICAL], slow[slow["shape"] == HORIZONTAL]]
    both = [*first, *(part.assign(attempt=2) for part in second)]
    assert judge(pd.concat(first, ignore_index=True)).outcome is Outcome.INCONCLUSIVE
    assert judge(pd.concat(both, ignore_index=True)).outcome is Outcome.PASS


def test_a_shape_that_was_not_measured_is_in_doubt() -> None:
    samples = frames.workers_samples()
    assert judge(samples[samples["shape"] == VERTICAL]).outcome is Outcome.INCONCLUSIVE


def test_a_request_lost_before_the_kill_fails() -> None:
    samples = frames.workers_samples()
    samples.loc[samples[part(samples, HORIZONTAL, "before")].index[3], "status"] = 502
    assert judge(samples).outcome is Outcome.FAIL


def test_the_figure_has_both_shapes() -> None:
    figure = workers.plot(frames.workers_samples(), PREDICTION)
    for axes in figure.axes:
        labels = [text.get_text() for text in axes.get_yticklabels()]
        assert labels == [f"3 {VERTICAL}", f"3 {HORIZONTAL}"]
    assert figure.texts[0].get_text().endswith("a kill left 0 and 2 workers")
