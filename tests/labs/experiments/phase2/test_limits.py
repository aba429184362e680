"""Limits that multiply: exact numbers pass, any other fails, slow bursts and lost answers are in doubt."""

import pandas as pd
import pytest

from labs.experiments.phase2 import limits
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import scaling_frames as frames

PREDICTION = frames.limits_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return limits.judge(samples, PREDICTION)


def burst(samples: pd.DataFrame, store: str, replicas: int) -> pd.Series:  # type: ignore[type-arg]
    return (samples["store"] == store) & (samples["replicas"] == replicas)


def test_memories_multiply_the_limit_and_valkey_does_not() -> None:
    rows = limits.predict(limit=7, replicas=(1, 4)).set_index(["store", "replicas"])
    assert rows["admitted"].to_dict() == {
        ("memory", 1): 7,
        ("memory", 4): 28,
        ("valkey", 1): 7,
        ("valkey", 4): 7,
    }


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.limits_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(("store", "replicas"), [("memory", 3), ("valkey", 1), ("valkey", 3)])
@pytest.mark.parametrize("status", [200, 429])
def test_one_more_or_less_fails(store: str, replicas: int, status: int) -> None:
    samples = frames.limits_samples()
    other = samples[burst(samples, store, replicas) & (samples["status"] != status)]
    samples.loc[other.index[-1], "status"] = status
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert "admitted another number than predicted" in verdict.reasons[0]


def test_memories_that_valkey_replaces_in_name_only_fail() -> None:
    samples = frames.limits_samples()
    memory = samples[samples["store"] == "memory"]
    both = pd.concat([memory, memory.assign(store="valkey")], ignore_index=True)
    assert judge(both).outcome is Outcome.FAIL


def test_a_burst_longer_than_the_window_is_inconclusive() -> None:
    samples = frames.limits_samples()
    slow = burst(samples, "memory", 2)
    samples.loc[samples[slow].index[-1], "ended"] += 5
    samples.loc[samples[slow].index[-1], "status"] = 200
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_a_later_attempt_may_settle_an_unanswered_request() -> None:
    samples = frames.limits_samples()
    samples.loc[samples[burst(samples, "valkey", 2)].index[0], "status"] = 503
    assert judge(samples).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([samples, frames.limits_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS
