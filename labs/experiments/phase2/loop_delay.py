"""A computation seen from inside the replica: the delay of its event loop, sampled ten times per second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.bystanders import COMPUTATION, CPU_BOUND, GATEWAY
from labs.experiments.phase2.computations import warm_up
from labs.experiments.phase2.delays import EXPLAINED, fair_stretch, stretch
from labs.figures import INK, PALETTE, PREDICTION, canvas, legend, styled
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    plural,
    verdict,
)
from labs.load.burst import Burst
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does a computation look like from inside the replica?"

THEORY = (
    "A timer that is due during a computation fires at its end: one spike of s x f. It was "
    "due up to a tenth of a second after the beginning, since ten are set per second: half of that "
    "on average. The stretch f of k computations on C cores is k / C, and at least 1; bounds: "
    "floor(k / C) and ceil(k / C)."
)

PERIOD = 0.1
"""Seconds between two samples of a replica's own series (`/api/metrics`)."""

AROUND = 0.4
"""Seconds of the series before the computation and after it."""

SPIKE = 0.5
"""Of a computation: a delay longer than this share of it is a spike. Nothing else takes so long."""

TOLERANCE = 0.1
"""Of the computation's own time, and of the predicted range."""

SERIES_SECONDS = 10.0
"""Longest wait for the samples after a computation."""

JUDGED = (
    "a computation shows as one spike in its own replica's event loop delay, as long as it takes "
    "within 10 %, and in no other replica's; on free cores it takes the predicted time"
)

Cases = Sequence[tuple[int, int]]

GUESSES = {
    "replicas": Guess(
        "One computation is sent to three replicas behind nginx, and each replica records how late "
        "its timer fires. How many replicas record a spike?",
        "replicas",
        measured=lambda samples: _with_a_spike(samples),
        right=EXACT,
        reference=1,
    ),
}


def predict(cases: Cases, *, seconds: float, cores: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `cases` are pairs of replicas n and computations k <= n, one for each of k replicas; `seconds`
    is s, of CPU time; f is the stretch of k computations on C cores. Columns: `replicas`,
    `computations`, `seconds`, `fair` (the spike when the cores are shared equally, s; see
    `delays.fair_stretch`), `low` and `high` (its bounds under any scheduler, s).
    """
    rows = []
    for n, k in cases:
        least, most = stretch(k, cores)
        fair = seconds * fair_stretch(k, cores) - PERIOD / 2
        rows.append([n, k, seconds, fair, seconds * least - PERIOD, seconds * most])
    columns = ["replicas", "computations", "seconds", "fair", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def measure(
    env: Environment, *, cases: Cases = ((1, 1), (3, 1), (3, 3)), seconds: float = 1
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time to n replicas in turn, and read every replica's own delay.

    Leaves the last number of replicas.

    Returns:
        One row per sample of a series. Columns: `replicas`, `computations`, `replica`, `time` (unix
        seconds), `delay` (s), `computed` (computations that this replica did), `took` (s, the
        longest of those), `began` and `ended` (of the burst, unix seconds), `others` (CPU seconds
        that everything else used during it), `answered` (whether all were), `runtime`, `attempt`.
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
    """Return each replica's series around one burst of computations."""
    with Burst(env[GATEWAY].url) as burst:
        burst.send(COMPUTATION, f"{CPU_BOUND}?seconds={seconds}", times=computations)
    done = burst.samples
    began, ended = done["sent"].min(), done["ended"].max()
    parts = []
    for replica in env[GATEWAY].replicas:
        series = _series(replica.url, until=ended + AROUND)
        around = series["time"].between(began - AROUND, ended + AROUND)
        own = done[done["instance"] == replica.id]["latency"]
        took = float(own.max()) if len(own) else 0.0
        parts.append(series[around].assign(replica=replica.id, computed=len(own), took=took))
    return pd.concat(parts).assign(
        began=began,
        ended=ended,
        others=done["others"].iloc[0],
        answered=bool((done["status"] == 200).all()),
    )


def _series(url: str, *, until: float) -> pd.DataFrame:
    """Return a replica's event loop delay, once it goes on to that time: `time` (unix s), `delay` (s)."""

    def series() -> list[dict[str, float]] | None:
        rows: list[dict[str, float]] = httpx.get(f"{url}/api/metrics").json()["eventLoopDelay"]
        return rows if rows and rows[-1]["time"] > until else None

    rows = wait_until(series, timeout=SERIES_SECONDS, every=PERIOD) or []
    return pd.DataFrame(rows, columns=["time", "seconds"]).rename(columns={"seconds": "delay"})


def summarise(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Return one row per replica and attempt of each predicted case.

    Columns: `attempt`, `replicas`, `computations`, `replica`, the number of its `spikes`, the
    `highest` delay (s), `computed`, `took`, `others`, `answered` (see `measure`), and the predicted
    `low` and `high`.
    """
    keys = ["attempt", "replicas", "computations", "replica"]
    part = samples.merge(prediction, on=["replicas", "computations"])
    part["spikes"] = part["delay"] > SPIKE * part["seconds"]
    columns = ["computed", "took", "others", "answered", "low", "high"]
    rows = part.groupby(keys, as_index=False).agg(
        {"spikes": "sum", "delay": "max"} | dict.fromkeys(columns, "first")
    )
    return rows.rename(columns={"delay": "highest"})


def _with_a_spike(samples: pd.DataFrame) -> int:
    """Return on how many of the most replicas one computation left a delay of half its length."""
    of_many = samples[samples["replicas"] == samples["replicas"].max()]
    trial = of_many[of_many["computations"] == 1]
    highest = trial.groupby(["attempt", "replica"])["delay"].max()
    spikes = highest > SPIKE * trial["took"].max()
    return int(spikes.groupby("attempt").sum().iloc[-1])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each replica's spikes with the computations that it did, and with how long they took.

    A spike is as long as the computation by its own answer, less the time to the next timer: other
    programs that stretch the one stretch the other. A failure in any attempt stands, since a delay that the loop
    recorded was there. Where other programs may have held up the loop of a replica
    that does not compute, or the answer of one that does, the attempt is in doubt.
    """
    spikes = summarise(samples, prediction)
    cases = []
    rows: list[dict[Any, Any]] = prediction.to_dict("records")
    for expected in rows:
        n, k = expected["replicas"], expected["computations"]
        part = spikes[(spikes["replicas"] == n) & (spikes["computations"] == k)]
        measured = {name: part[name].tolist() for name in ("highest", "spikes", "took")}
        cases.append(
            Case(
                f"{plural(k, 'computation')}, {plural(n, 'replica')}",
                [_finding(each, expected) for each in each_attempt(part)],
                {**expected, **measured},
            )
        )
    return verdict(__name__, JUDGED, cases, every_attempt)


def _finding(replicas: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    """Return the finding of one attempt on a case."""
    n, k = expected["replicas"], expected["computations"]
    if not replicas["answered"].all():
        return failure("not every computation was answered")
    if sorted(replicas["computed"]) != [0] * (n - k) + [1] * k:
        return doubt("not every replica reported its delays, and had its turn")
    busy, idle = replicas[replicas["computed"] == 1], replicas[replicas["computed"] == 0]
    shown = idle[idle["spikes"] > 0]
    if (shown["others"] < EXPLAINED * shown["highest"]).any():
        return failure("a replica that did not compute shows a spike")
    if len(shown):
        return doubt("other programs kept the cores busy")
    if (busy["spikes"] != 1).any():
        return failure("a computation does not show as one spike")
    return _length(busy)


def _length(busy: pd.DataFrame) -> Finding:
    """Return the finding on the spikes' lengths, of replicas that each did one computation."""
    spike, took, others = busy["highest"], busy["took"], busy["others"]
    if (spike < (1 - TOLERANCE) * busy["low"]).any():
        return failure("a spike is not as long as predicted")
    stretched = others >= EXPLAINED * (spike - busy["high"])
    if ((spike > (1 + TOLERANCE) * busy["high"]) & ~stretched).any():
        return failure("a spike is not as long as predicted, on cores that were free")
    wrong = (spike < (1 - TOLERANCE) * (took - PERIOD)) | (spike > (1 + TOLERANCE) * took)
    excess = pd.concat([took - PERIOD - spike, spike - took], axis=1).max(axis=1)
    if (wrong & (others < EXPLAINED * excess)).any():
        return failure("a spike is not as long as the computation took")
    return doubt("other programs kept the cores busy") if wrong.any() else SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each replica's own delay (s) over time; a panel per case, the predicted spike dashed in its bounds."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    spikes = summarise(last, prediction)
    alone = spikes[spikes["computed"] > 0].groupby("computations")["highest"].median()
    found = ", ".join(
        f"{delay:.1f} s {'alone' if k == 1 else f'with {k} at a time'}"
        for k, delay in alone.items()
    )
    figure, axes = canvas(
        f"A computation shows as one spike: {found}",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['seconds'].iloc[0]:g} s each; x: its end",
        rows=len(prediction),
        height=1.2 + 1.6 * len(prediction),
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        n, k = expected["replicas"], expected["computations"]
        part = last[(last["replicas"] == n) & (last["computations"] == k)]
        low, high = expected["low"], expected["high"]
        ax.axhspan(low, high, color=INK, alpha=0.1, linewidth=0, label="bounds")
        ax.axhline(expected["fair"], label="predicted spike", **PREDICTION)
        _draw_series(ax, part)
        ax.set_title(f"{k} of {plural(n, 'replica')} compute{'s' * (k == 1)}", size=10)
        ax.set_ylim(0, 1.15 * max(expected["high"], part[["delay", "took"]].max(axis=None)))
    axes[-1].set_xlabel("time since the computations were sent (s)")
    figure.supylabel("event loop delay (s)", size=10, color=INK)
    legend(figure, axes[-1])
    return figure


def _draw_series(ax: Axes, samples: pd.DataFrame) -> None:
    """Draw a stem per sample, a colour per replica, and a cross where its own computation ended."""
    for index, (name, series) in enumerate(samples.groupby("replica")):
        since, colour = series["time"] - series["began"], PALETTE[index]
        ax.vlines(since, 0, series["delay"], color=colour, linewidth=2)
        ax.plot(since, series["delay"], "o", ms=4, color=colour, label=str(name))
        took = series["took"].iloc[0]
        if took:
            ax.plot(took, took, "x", ms=9, mew=1.5, color=colour)
