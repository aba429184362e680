"""Synthetic samples of phase 3's releases: frames as a judge gets them, without a system."""

from collections.abc import Sequence

import pandas as pd

from labs.experiments.phase3 import blue_green, canary, rolling_replacement, sampling_plan
from labs.experiments.phase3.releases import RATE

BEGAN = 1.7e9
Part = tuple[str, int, Sequence[tuple[str, str]]]
"""A step, its number of requests, and the replicas that serve them in turn, with their versions."""


def rolling_replacement_prediction() -> pd.DataFrame:
    return rolling_replacement.predict(replicas=3)


def rolling_replacement_samples() -> pd.DataFrame:
    """Three replicas, of which each is away for 80 requests while it is replaced."""
    return _released(
        ("version 1", 60, _replicas("111")),
        ("rolling", 80, _replicas("-11")),
        ("rolling", 80, _replicas("2-1")),
        ("rolling", 80, _replicas("22-")),
        ("version 2", 60, _replicas("222")),
    )


def blue_green_prediction() -> pd.DataFrame:
    return blue_green.predict()


def blue_green_samples() -> pd.DataFrame:
    """Two blue replicas and two green ones; each switch takes some requests of both."""
    blue, green = _replicas("11--"), _replicas("--22")
    return _released(
        ("blue", 40, blue),
        ("switch", 4, blue),
        ("switch", 4, green),
        ("green", 40, green),
        ("back", 4, green),
        ("back", 4, blue),
        ("blue again", 40, blue),
    )


def canary_prediction() -> pd.DataFrame:
    return canary.predict()


def canary_release(*, every: int = 2) -> pd.DataFrame:
    """Both versions as predicted; the bad one fails every second request that meets it."""
    parts = []
    for case, outcome, errors in (
        ("bad", sampling_plan.WITHDRAWN, 20 // every),
        ("good", sampling_plan.PROMOTED, 0),
    ):
        others = "11-" if case == "bad" else "222"
        samples = _released(
            (canary.BEFORE, 40, _replicas("11-")),
            (canary.CANARY, 300, _replicas("11112", (1, 2, 1, 2, 3))),
            (canary.DECIDED, 60, _replicas("11-" if case == "bad" else "-12")),
            (canary.AFTER, 40, _replicas(others)),
        )
        new = samples["version"] == "2"
        if errors:
            samples.loc[samples[new].index[::every], ["ok", "status", "created"]] = [False, 500, 0]
        parts.append(samples.assign(case=case, decision=outcome, answers=20, errors=errors))
    return pd.concat(parts, ignore_index=True)


def _replicas(versions: str, numbers: Sequence[int] = (1, 2, 3, 4)) -> list[tuple[str, str]]:
    """Return the replicas that take turns, with their versions; those without one are left out."""
    pairs = zip(numbers, versions, strict=False)
    return [(f"user-service-{number}", version) for number, version in pairs if version != "-"]


def _released(*parts: Part) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for step, requests, replicas in parts:
        for number in range(requests):
            replica, version = replicas[number % len(replicas)]
            sent = BEGAN + len(rows) / RATE
            rows.append({"intended": sent, "sent": sent + 0.0005, "replica": replica})
            rows[-1] |= {"version": version, "step": step}
    samples = pd.DataFrame(rows).assign(lag=0.0005, latency=0.51, status=201, error="", ok=True)
    return samples.assign(created=1, runtime="process", attempt=1)
