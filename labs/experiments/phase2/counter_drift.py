"""Counter drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from labs.experiments.replicas import reset_replicas
from labs.figures import PALETTE, PREDICTION, canvas, legend, styled
from labs.load.calls import ask
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How far does a counter in memory fall behind when the service has n memories?"

THEORY = (
    "N requests dealt in turn to n fresh memories: the i-th request is shown ceil(i / n), "
    "in the end each memory holds N / n, rounded up or down, and the drift is N - ceil(N / "
    "n)."
)

JUDGED = (
    "n fresh memories share N requests evenly, so that the largest count is N / n, rounded up, "
    "and the drift what is left of N: exact for each number of replicas"
)


def predict(requests: int, *, replicas: Sequence[int]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `replicas`, `requests`, `largest` (count shown), `drift`, `memories` (text: what each
    holds in the end, the largest first).
    """
    rows = []
    for n in replicas:
        held = sorted((len(range(first, requests, n)) for first in range(n)), reverse=True)
        rows.append([n, requests, held[0], requests - held[0], _words(held)])
    return pd.DataFrame(rows, columns=["replicas", "requests", "largest", "drift", "memories"])


def measure(
    env: Environment, *, requests: int = 30, replicas: Sequence[int] = (1, 2, 3, 4)
) -> pd.DataFrame:
    """Start n replicas anew, so that each counts from nothing, and ask for the count N times, one
    after the other, through the front door. Leaves the last number of replicas.

    One row per request. Columns: `replicas`, `number` (of the request, from 1), `count` (shown),
    `instance` (who showed it), `status`, `runtime`, `attempt`.
    """
    parts = []
    for n in replicas:
        url = reset_replicas(env, "api-gateway", n, COUNTER_STORE="memory")
        answers = ask(f"{url}/api/count", requests=requests)
        parts.append(answers.reindex(columns=["number", "count", "instance", "status"]))
        parts[-1]["replicas"] = n
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, whatever the machine does: in no attempt may a memory hold more or less."""
    failures, doubts, details = [], [], {}
    for expected in prediction.to_dict("records"):
        n = expected["replicas"]
        mine = samples[samples["replicas"] == n]
        name = f"{n} replica{'s' * (n != 1)}"
        attempts = [part for _, part in mine.groupby("attempt")]
        complete = [part for part in attempts if (part["status"] == 200).all()]
        found = [memories(part) for part in complete]
        details[name] = {"memories": found, "predicted": expected["memories"]}
        if any(held != expected["memories"] for held in found):
            failures.append(f"{name}: the memories hold other counts than predicted")
        elif not found or any(len(part) < expected["requests"] for part in complete):
            doubts.append(f"{name}: not every request was answered")
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def memories(part: pd.DataFrame) -> str:
    """What each memory holds after these requests, the largest first."""
    return _words(sorted(part.groupby("instance")["count"].max(), reverse=True))


def _words(counts: Sequence[float]) -> str:
    return ", ".join(f"{count:.0f}" for count in counts)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """The count shown against the number of the request, a colour per number of replicas."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    requests = int(prediction["requests"].max())
    figure, (ax,) = canvas(
        "The same counter, in one memory and in several",
        runtime=last["runtime"].iloc[0],
        note=f"{requests} requests to fresh memories, in turn",
        height=4.6,
    )
    for index, expected in enumerate(prediction.to_dict("records")):
        mine = last[last["replicas"] == expected["replicas"]]
        name = None if index else "measured"
        ax.plot(mine["number"], mine["count"], "o", ms=5, color=PALETTE[index], label=name)
        _draw_prediction(ax, expected["replicas"], requests, label=name and "predicted")
        _name_line(ax, expected["replicas"], requests, mine["count"].max())
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
