"""A counter in memory drifts: N requests in turn to n replicas that each count their own requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.replicas import reset_replicas
from labs.figures import PALETTE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_points
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
from labs.load.calls import ask
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How far does a counter in memory fall behind when the service has n memories?"

THEORY = (
    "N requests are sent in turn to n empty memories. The i-th request is shown ceil(i / n), in "
    "the end each memory holds N / n, rounded up or down, and the drift is N - ceil(N / n)."
)

JUDGED = (
    "n fresh memories share N requests evenly, so that the largest count is N / n, rounded up, "
    "and the drift what is left of N: exact for each number of replicas"
)

GUESSES = {
    "shown": Guess(
        "Many requests go to three replicas in turn, and each replica counts in its own memory. "
        "Which share of all requests does the largest count show that a client sees?",
        "%",
        measured=lambda samples: 100 * _shown(samples),
        right=within_points(8),
        reference=35,
        theory=lambda prediction: 100 * _shown_by_theory(prediction),
    ),
}


def predict(requests: int, *, replicas: Sequence[int]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `replicas`, `requests`, `largest` (count shown), `drift`, `memories` (text: what each
    holds in the end, the largest first).
    """
    rows = []
    for n in replicas:
        held = sorted((len(range(first, requests, n)) for first in range(n)), reverse=True)
        rows.append([n, requests, held[0], requests - held[0], _joined(held)])
    return pd.DataFrame(rows, columns=["replicas", "requests", "largest", "drift", "memories"])


def measure(
    env: Environment, *, requests: int = 30, replicas: Sequence[int] = (1, 2, 3, 4)
) -> pd.DataFrame:
    """Start n replicas anew, so that each counts from nothing, and request the count N times, for each n.

    One request after the other, through the front door. Leaves the last number of replicas.

    Returns:
        One row per request. Columns: `replicas`, `number` (of the request, from 1), `count` (shown),
        `instance` (the replica that showed it), `status`, `runtime`, `attempt`.
    """
    parts = []
    for n in replicas:
        url = reset_replicas(env, "api-gateway", n, COUNTER_STORE="memory")
        answers = ask(f"{url}/api/count", requests=requests)
        parts.append(answers.reindex(columns=["number", "count", "instance", "status"]))
        parts[-1]["replicas"] = n
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _shown(samples: pd.DataFrame) -> float:
    """Return the largest count of three memories, as a share of the requests."""
    three = samples[samples["replicas"] == 3]
    return float(three["count"].max() / three["number"].max())


def _shown_by_theory(prediction: pd.DataFrame) -> float:
    three = prediction[prediction["replicas"] == 3].iloc[0]
    return float(three["largest"] / three["requests"])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare what each memory holds in the end with the prediction, exactly.

    A failure in any attempt stands, because no machine changes a count. An attempt in which a
    request was not answered is in doubt.
    """
    cases = []
    for expected in prediction.to_dict("records"):
        n = expected["replicas"]
        attempts = list(each_attempt(samples[samples["replicas"] == n]))
        held = {"memories": [memories(part) for part in attempts]}
        findings = [_finding(part, expected) for part in attempts]
        cases.append(
            Case(plural(n, "replica"), findings, held | {"predicted": expected["memories"]})
        )
    return verdict(__name__, JUDGED, cases, every_attempt)


def _finding(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if (part["status"] != 200).any():
        return doubt("not every request was answered")
    if memories(part) != expected["memories"]:
        return failure("the memories hold other counts than predicted")
    return SETTLED if len(part) >= expected["requests"] else doubt("requests are missing")


def memories(part: pd.DataFrame) -> str:
    """Return what each memory holds after these requests, the largest first."""
    return _joined(sorted(part.groupby("instance")["count"].max(), reverse=True))


def _joined(counts: Sequence[float]) -> str:
    return ", ".join(f"{count:.0f}" for count in counts)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the count shown against the number of the request, a colour per number of replicas."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    requests = int(prediction["requests"].max())
    most, shown = last["replicas"].max(), last.groupby("replicas")["count"].max()
    figure, (ax,) = canvas(
        f"Of {requests} calls, {plural(most, 'replica')} showed {shown[most]:.0f} at most",
        runtime=last["runtime"].iloc[0],
        note=f"{requests} requests to fresh memories, in turn",
        height=4.6,
    )
    for index, expected in enumerate(prediction.to_dict("records")):
        part = last[last["replicas"] == expected["replicas"]]
        name = None if index else "measured"
        ax.plot(part["number"], part["count"], "o", ms=5, color=PALETTE[index], label=name)
        _draw_prediction(ax, expected["replicas"], requests, label=name and "predicted")
        _name_line(ax, expected["replicas"], requests, part["count"].max())
    ax.set_xlim(0, requests * 1.23)
    ax.set_ylim(0, requests * 1.06)
    ax.set_xlabel("requests so far (count)")
    ax.set_ylabel("count shown (requests)")
    legend(figure, ax)
    return figure


def _draw_prediction(ax: Axes, replicas: int, requests: int, *, label: str | None) -> None:
    sent = np.arange(1, requests + 1)
    ax.plot(sent, np.ceil(sent / replicas), label=label, **(PREDICTION | {"linewidth": 1.0}))


def _name_line(ax: Axes, replicas: int, requests: int, largest: float) -> None:
    ax.annotate(
        f"{replicas} replica{'s' * (replicas != 1)}: drift {requests - largest:.0f}",
        (requests, largest),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        size=9,
    )
