"""Event loop delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.bystanders import COMPUTATION, CPU_BOUND, GATEWAY
from labs.experiments.phase2.computations import warm_up
from labs.experiments.phase2.delays import EXPLAINED, stretch
from labs.figures import INK, PALETTE, canvas, legend, predicted_band, styled
from labs.load.burst import Burst
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does a computation look like from inside the replica?"

THEORY = (
    "A timer that is due during a computation fires at its end: one spike of s x f. It was "
    "due up to a tenth of a second after the beginning, since ten are set per second."
)

PERIOD = 0.1
"""Seconds between two samples of a replica's own series (`/api/metrics`)."""

AROUND = 0.4
"""Seconds of the series before the computation and after it."""

SPIKE = 0.5
"""Of a computation: a delay longer than this share of it is a spike. Nothing else takes so long."""

TOLERANCE = 0.1
"""Of the predicted range."""

SERIES_SECONDS = 10.0
"""Longest wait for the samples after a computation."""

JUDGED = (
    "a computation shows as one spike in its own replica's event loop delay, as long as predicted "
    "within 10 %, and in no other replica's"
)
Cases = Sequence[tuple[int, int]]


def predict(cases: Cases, *, seconds: float, cores: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `cases` are pairs of replicas n and computations k <= n, one for each of k replicas; `seconds`
    is s, of CPU time; f is the stretch of k computations on C cores (see `delays.stretch`).
    Columns: `replicas`, `computations`, `seconds`, `low` and `high` (the range of the spike, s).
    """
    rows = []
    for n, k in cases:
        least, most = stretch(k, cores)
        rows.append([n, k, seconds, seconds * least - PERIOD, seconds * most])
    return pd.DataFrame(rows, columns=["replicas", "computations", "seconds", "low", "high"])


def measure(
    env: Environment, *, cases: Cases = ((1, 1), (3, 1), (3, 3)), seconds: float = 1
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time to n replicas in turn, and read every replica's own
    event loop delay. Leaves the last number of replicas.

    One row per sample of a series. Columns: `replicas`, `computations`, `replica`, `time` (unix
    seconds), `delay` (s), `computed` (computations that this replica did), `began` and `ended` (of
    the burst, unix seconds), `others` (CPU seconds that everything else used during it), `answered`
    (whether all were), `runtime`, `attempt`.
    """
    parts = []
    for n, k in cases:
        if len(env[GATEWAY].replicas) != n:
            env.scale(GATEWAY, n)
            warm_up(env)
        parts.append(_trial(env, k, seconds=seconds).assign(replicas=n, computations=k))
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(runtime=env.runtime, attempt=1)


def _trial(env: Environment, computations: int, *, seconds: float) -> pd.DataFrame:
    """Each replica's series around one burst of computations."""
    with Burst(env[GATEWAY].url) as burst:
        burst.send(COMPUTATION, f"{CPU_BOUND}?seconds={seconds}", times=computations)
    done = burst.samples
    began, ended = done["sent"].min(), done["ended"].max()
    parts = []
    for replica in env[GATEWAY].replicas:
        series = _series(replica.url, until=ended + AROUND)
        around = series["time"].between(began - AROUND, ended + AROUND)
        computed = int((done["instance"] == replica.id).sum())
        parts.append(series[around].assign(replica=replica.id, computed=computed))
    return pd.concat(parts).assign(
        began=began,
        ended=ended,
        others=done["others"].iloc[0],
        answered=bool((done["status"] == 200).all()),
    )


def _series(url: str, *, until: float) -> pd.DataFrame:
    """A replica's event loop delay, once it goes on to that time: `time` (unix s), `delay` (s)."""

    def series() -> list[dict[str, float]] | None:
        found: list[dict[str, float]] = httpx.get(f"{url}/api/metrics").json()["eventLoopDelay"]
        return found if found and found[-1]["time"] > until else None

    found = wait_until(series, timeout=SERIES_SECONDS, every=PERIOD) or []
    return pd.DataFrame(found, columns=["time", "seconds"]).rename(columns={"seconds": "delay"})


def summarise(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """One row per replica and attempt of each predicted case: the number of its `spikes`, the
    `highest` delay (s), whether it is as predicted (`right`) or may be the `others'` doing.

    Added are `replicas`, `computations`, `computed` and the predicted `low` and `high`.
    """
    keys = ["attempt", "replicas", "computations", "replica"]
    part = samples.merge(prediction, on=["replicas", "computations"])
    part["spikes"] = part["delay"] > SPIKE * part["seconds"]
    found = part.groupby(keys, as_index=False).agg(
        {"spikes": "sum", "delay": "max"}
        | dict.fromkeys(["computed", "others", "answered", "low", "high"], "first")
    )
    found = found.rename(columns={"delay": "highest"})
    # A replica that did not compute has no spike to have a length.
    most = found["high"].where(found["computed"] > 0, 0.0)
    in_range = found["highest"].between(
        (1 - TOLERANCE) * found["low"], (1 + TOLERANCE) * found["high"]
    )
    found["right"] = (found["spikes"] == found["computed"]) & (in_range | (found["computed"] == 0))
    excess = found["highest"] - most
    found["disturbed"] = ~found["right"] & (excess > 0) & (found["others"] >= EXPLAINED * excess)
    return found


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Each replica that did one computation shows one spike of the predicted length, and each
    other none, in every attempt that others on the machine left alone.
    """
    found = summarise(samples, prediction)
    cases = [
        _case(
            found[
                (found["replicas"] == expected["replicas"])
                & (found["computations"] == expected["computations"])
            ],
            expected,
        )
        for expected in prediction.to_dict("records")
    ]
    return Verdict.of(
        __name__,
        JUDGED,
        failures=[case["failure"] for case in cases if case["failure"]],
        doubts=[case["doubt"] for case in cases if case["doubt"]],
        details={"cases": cases},
    )


def _case(found: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """One predicted case: its numbers, and a `failure` or a `doubt` in words (else empty)."""
    n, k = expected["replicas"], expected["computations"]
    name = f"{k} computation{'s' * (k != 1)}, {n} replica{'s' * (n != 1)}"
    complete = [part for _, part in found.groupby("attempt") if len(part) == n]
    in_turn = [part for part in complete if sorted(part["computed"])[-k:] == [1] * k]
    kept = [part for part in in_turn if not part["disturbed"].any()]
    shown = pd.concat(kept) if kept else found.iloc[:0]
    wrong = shown[~shown["right"]]
    failure = doubt = ""
    if not found["answered"].all():
        failure = f"{name}: not every computation was answered"
    elif (wrong["computed"] == 0).any():
        failure = f"{name}: a replica that did not compute shows a spike"
    elif (wrong["spikes"] != 1).any():
        failure = f"{name}: a computation does not show as one spike"
    elif len(wrong):
        failure = f"{name}: a spike is not as long as predicted"
    elif not in_turn:
        doubt = f"{name}: not every replica told its delays, and had its turn"
    elif not kept:
        doubt = f"{name}: other programs kept the cores busy"
    measured = {"highest": found["highest"].tolist(), "spikes": found["spikes"].tolist()}
    return {**expected, **measured, "failure": failure, "doubt": doubt}


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Each replica's own delay (s) over time; a panel per case, the predicted spike as a band."""
    figure, axes = canvas(
        "A computation, seen from inside the replica",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['seconds'].iloc[0]:g} s each",
        rows=len(prediction),
        height=1.2 + 1.6 * len(prediction),
    )
    last = samples[samples["attempt"] == samples["attempt"].max()]
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        n, k = expected["replicas"], expected["computations"]
        mine = last[(last["replicas"] == n) & (last["computations"] == k)]
        predicted_band(ax, expected["low"], expected["high"], label="predicted spike")
        _draw_series(ax, mine)
        ax.set_title(f"{k} of {n} replica{'s' * (n != 1)} compute{'s' * (k == 1)}", size=10)
        ax.set_ylim(0, 1.15 * max(expected["high"], mine["delay"].max()))
    axes[-1].set_xlabel("time since the computations were sent (s)")
    figure.supylabel("event loop delay (s)", size=10, color=INK)
    legend(figure, axes[-1])
    return figure


def _draw_series(ax: Axes, samples: pd.DataFrame) -> None:
    """A stem per sample, a colour per replica."""
    for index, (name, series) in enumerate(samples.groupby("replica")):
        since, colour = series["time"] - series["began"], PALETTE[index]
        ax.vlines(since, 0, series["delay"], color=colour, linewidth=2)
        ax.plot(since, series["delay"], "o", ms=4, color=colour, label=str(name))
