"""An atomic counter: memories, two steps and one step, with ever more callers at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, GREEN, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    every_attempt,
    failure,
    plural,
    verdict,
)
from labs.load.calls import ask
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which shared counter counts every call, however many come at once?"

THEORY = (
    "n memories each count N / n. A GET and a SET are two steps: a caller that read 0 may write 1 "
    "after all others, so that of N calls from one queue any number from 1 to N may be counted, and "
    "fewer than N once a call began between the two steps of another. INCR is one step, and counts "
    "all N."
)

GATEWAY, COUNT = "api-gateway", "/api/count"

MEMORY, GETSET, INCR = "memory", "getset", "incr"

NAMES = {
    MEMORY: "memories",
    GETSET: "Valkey: GET, SET",
    INCR: "Valkey: INCR",
}

COLOURS = {MEMORY: ORANGE, GETSET: BLUE, INCR: GREEN}

OVERLAP = 2.0
"""Calls under way at the same time, on average, from which on they certainly overlapped."""

JUDGED = (
    "INCR counts every call, however many come at once; GET then SET counts every call of one "
    "caller; when calls overlap it loses some, and counts at least one"
)

GUESSES = {
    "counted": Guess(
        "32 callers at a time make 192 calls, and two replicas count them in Valkey with a GET and "
        "a SET. Which share of the calls is counted?",
        "%",
        measured=lambda samples: 100 * _counted_by_two_steps(samples),
        right=within_points(10),
        reference=10,
    ),
}


def predict(requests: int, *, concurrency: Sequence[int], replicas: int) -> pd.DataFrame:
    """Return `THEORY` as numbers; the bounds of two steps are those of `interleavings.possible_counts`.

    Columns: `store`, `concurrency` (callers), `requests`, `low` and `high` (calls counted).
    """
    rows = []
    for c in concurrency:
        shared = (1, requests - 1) if c > 1 else (requests, requests)
        rows.append([MEMORY, c, requests, requests // replicas, -(-requests // replicas)])
        rows.append([GETSET, c, requests, *shared])
        rows.append([INCR, c, requests, requests, requests])
    return pd.DataFrame(rows, columns=["store", "concurrency", "requests", "low", "high"])


def measure(
    env: Environment,
    *,
    requests: int = 192,
    concurrency: Sequence[int] = (1, 8, 32),
    replicas: int = 2,
) -> pd.DataFrame:
    """Let c callers together request the count of `replicas` replicas N times, for each store and each c.

    One more call before and one after show by how much the count grew. Leaves the counter with INCR.

    Returns:
        One row per store and concurrency. Columns: `store`, `concurrency`, `requests`, `answered`
        (of those), `counted` (by how much the count grew meanwhile), `overlap` (calls that nginx had
        under way at the same time, on average), `runtime`, `attempt`.
    """
    rows = []
    for store in NAMES:
        reset_replicas(env, GATEWAY, replicas, COUNTER_STORE=store)
        for c in concurrency:
            rows.append({"store": store, "concurrency": c, **_count(env, requests, c)})
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _count(env: Environment, requests: int, callers: int) -> dict[str, float]:
    url = env[GATEWAY].url + COUNT
    parts = [
        ask(url, requests=number, together=c) for number, c in ((1, 1), (requests, callers), (1, 1))
    ]
    before, calls, after = parts
    shown = [part["count"].iloc[0] if "count" in part else float("nan") for part in (before, after)]
    log = env.access_log()
    log = log[log["path"].str.startswith(COUNT)].tail(requests + 1).head(requests)
    return {
        "requests": requests,
        "answered": int((calls["status"] == 200).sum()),
        "counted": float(shown[1] - shown[0] - 1),
        "overlap": overlap(log),
    }


def overlap(log: pd.DataFrame) -> float:
    """Return the requests under way at the same time, on average, of an access log."""
    span = log["time"].max() - (log["time"] - log["seconds"]).min()
    return float(log["seconds"].sum() / max(span, 0.001))


def _counted_by_two_steps(samples: pd.DataFrame) -> float:
    """Return the share that GET and SET counted for the most callers."""
    two_steps = samples[samples["store"] == GETSET]
    busiest = two_steps[two_steps["concurrency"] == two_steps["concurrency"].max()]
    return float((busiest["counted"] / busiest["requests"]).mean())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the counts: INCR exactly N; GET then SET exactly N with one caller, 1 to N - 1 with more.

    A failure in any attempt stands, because no machine changes a count. An attempt is in doubt where
    calls of several callers never overlapped, or some were not answered. The memories are drawn, not
    judged: that they drift is another experiment.
    """
    cases = []
    for expected in prediction[prediction["store"] != MEMORY].to_dict("records"):
        store, callers = expected["store"], expected["concurrency"]
        series = samples[(samples["store"] == store) & (samples["concurrency"] == callers)]
        findings = [_finding(row, expected) for row in series.to_dict("records")]
        cases.append(Case(f"{store}, {plural(callers, 'caller')}", findings))
    details = {"series": samples.to_dict("records")}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _finding(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    """Return the finding on one series of calls."""
    counted, requests = row["counted"], expected["requests"]
    if row["answered"] < requests or pd.isna(counted):
        return doubt("not every call was answered")
    if expected["high"] == requests and counted < requests:
        return failure("calls were lost")
    if counted > requests:
        return failure("more was counted than was called")
    if counted < expected["low"]:
        return failure("fewer calls were counted than any order of the steps can leave")
    if expected["concurrency"] > 1 and row["overlap"] < OVERLAP:
        return doubt("the calls never overlapped")
    if expected["high"] < requests and counted == requests:
        return failure("no call was lost, though they overlapped")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw calls counted against callers at a time, a colour per store; what is predicted dashed."""
    levels = sorted(set(prediction["concurrency"]))
    counted = samples.groupby("store")["counted"].min()
    figure, (ax,) = canvas(
        f"INCR counted {counted[INCR]:.0f} calls at least, GET and SET as few as {counted[GETSET]:.0f}",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['requests'].iloc[0]} calls each; shaded: possible, by the order of the steps",
        height=4.4,
    )
    for index, store in enumerate(NAMES):
        part = samples[samples["store"] == store]
        at = [levels.index(c) + 0.26 * (index - 1) for c in part["concurrency"]]
        ax.plot(at, part["counted"], "o", ms=9, color=COLOURS[store], label=NAMES[store])
        for expected in prediction[prediction["store"] == store].to_dict("records"):
            x = levels.index(expected["concurrency"]) + 0.26 * (index - 1)
            _draw_range(ax, x, expected)
    ax.plot([], [], label="predicted, or bound", **PREDICTION)
    ax.set_xticks(range(len(levels)), [str(level) for level in levels])
    ax.set_ylim(0, 1.1 * prediction["requests"].max())
    ax.set_xlabel("callers at a time (count)")
    ax.set_ylabel("calls counted (count)")
    legend(figure, ax)
    return figure


def _draw_range(ax: Axes, x: float, expected: Mapping[Any, Any]) -> None:
    """Draw a dash where one number is predicted, a shaded column between two dashes where a range is."""
    low, high = expected["low"], expected["high"]
    ax.fill_between([x - 0.1, x + 0.1], low, high, color="black", alpha=0.08, linewidth=0)
    for edge in {low, high}:
        ax.plot([x - 0.1, x + 0.1], [edge] * 2, **(PREDICTION | {"linestyle": (0, (2.5, 1.2))}))
