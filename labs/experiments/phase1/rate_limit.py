"""Rate limit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.figures import BLUE, PREDICTION, SOFT, VERMILLION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many requests does a limit of five per window let through in the worst one?"

THEORY = (
    "A moving window admits at most its limit in any span of its length. A fixed one begins"
    " with a client's first request, so a patient client spends all but that one just "
    "before the end and a whole new limit just after it: twice the limit less one."
)

MOVING, FIXED = "moving", "fixed"

BURST = 0.3
"""Share of the window before, and again after, its end in which the client asks without rest."""

ASKED = 20
"""Requests in each of these two times."""

JUDGED = (
    "in its worst span of a window's length, a moving window admits exactly its limit and a fixed "
    "one exactly twice its limit less one; neither refuses a request it had room for"
)


def predict(*, limit: int = 5, seconds: float = 10) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `limit` requests per window of `seconds`. Columns: `window`, `limit`, `seconds`, `most`
    (requests admitted in the worst span of that length).
    """
    return pd.DataFrame(
        {
            "window": [MOVING, FIXED],
            "limit": limit,
            "seconds": float(seconds),
            "most": [limit, 2 * limit - 1],
        }
    )


def measure(env: Environment, *, limit: int = 5, seconds: int = 10) -> pd.DataFrame:
    """The same patient client before both kinds of window; one row per request.

    It opens a window with one request, then asks without rest around the end of it. Configures the
    gateway, and leaves it with a moving window of `limit` requests in `seconds`. Columns: `window`,
    `sent` and `ended` (seconds since the first was sent), `status`, `runtime`, `attempt`.
    """
    parts = []
    for window in (FIXED, MOVING):
        settings = {"LIMIT_REQUESTS": limit, "LIMIT_SECONDS": seconds}
        gateway = env.configure("api-gateway", LIMIT_WINDOW=window, **settings)
        with httpx.Client(base_url=gateway.url, timeout=10) as client:
            parts.append(pd.DataFrame(_ask(client, seconds)).assign(window=window))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _ask(client: httpx.Client, seconds: float) -> Iterator[dict[str, float]]:
    """One request after the other, so that the order of the answers is that of the questions."""
    client.get("/health")  # the connection is made before the clock starts
    began = time.perf_counter()
    around = np.linspace(1 - BURST, 1 + BURST, 2 * ASKED)
    for moment in [0.0, *(seconds * around)]:
        _until(began + moment)
        sent = time.perf_counter() - began
        status = client.get("/api/limited").status_code
        yield {"sent": sent, "ended": time.perf_counter() - began, "status": status}


def _until(moment: float) -> None:
    wait_until(
        lambda: time.perf_counter() >= moment,
        timeout=moment - time.perf_counter() + 1,
        every=0.002,
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, from the client's own clock, which knows of the gateway's only this: it decided on a
    request some time between `sent` and `ended`.

    So requests count as admitted in one span only where the first was sent, and the last answered,
    less than the window's length apart; and a refusal is wrong only where even the admissions that
    may have been in the window are fewer than the limit. Inconclusive when a slow machine kept the
    client from reaching the limit.
    """
    failures, doubts, details = [], [], {}
    for expected in prediction.to_dict("records"):
        window = expected["window"]
        mine = samples[samples["window"] == window]
        attempts = [part for _, part in mine.groupby("attempt")]
        most = max((most_admitted(part, expected["seconds"]) for part in attempts), default=0)
        details[window] = {"most": most, "predicted": expected["most"], "requests": len(mine)}
        if most > expected["most"]:
            failures.append(f"the {window} window admitted more than predicted")
        elif most < expected["most"]:
            doubts.append(f"the requests never came close enough to fill the {window} window")
        if any(refused_with_room(part, expected) for part in attempts):
            failures.append(f"the {window} window refused a request it had room for")
        if not mine["status"].isin([200, 429]).all():
            failures.append(f"before the {window} window a request was neither let in nor told")
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def most_admitted(part: pd.DataFrame, seconds: float) -> int:
    """The most requests that were certainly admitted within one span of `seconds`."""
    admitted = part[part["status"] == 200]
    since = admitted["sent"].to_numpy()[:, None]
    inside = (admitted["sent"].to_numpy() >= since) & (
        admitted["ended"].to_numpy() < since + seconds
    )
    return int(inside.sum(axis=1).max(initial=0))


def refused_with_room(part: pd.DataFrame, expected: Mapping[Any, Any]) -> bool:
    """Whether a request was certainly refused while its window (a row of the prediction) had room."""
    admitted, refused = part[part["status"] == 200], part[part["status"] == 429]
    first, seconds = part.iloc[0], expected["seconds"]
    since = refused["sent"] - seconds
    if expected["window"] == FIXED:
        # A second window began no earlier than the first could have ended.
        second = refused["sent"] >= first["ended"] + seconds
        since = since.mask(second, first["sent"] + seconds)
    counted = [
        ((admitted["ended"] >= began) & (admitted["sent"] <= ended)).sum()
        for began, ended in zip(since, refused["ended"], strict=True)
    ]
    return bool(min(counted, default=expected["limit"]) < expected["limit"])


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Admitted within the last window's length over time, above each request's own answer."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    seconds, limit = prediction["seconds"].iloc[0], prediction["limit"].iloc[0]
    figure, axes = canvas(
        "The same patient client before two kinds of window",
        runtime=last["runtime"].iloc[0],
        note=f"{limit} requests per {seconds:g} s",
        rows=2,
        height=4.8,
    )
    for ax, row in zip(axes, prediction.to_dict("records"), strict=True):
        _draw_window(ax, last[last["window"] == row["window"]], seconds)
        ax.axhline(row["most"], label="predicted for the worst span", **PREDICTION)
        ax.axvline(seconds, color=SOFT, linewidth=1, linestyle=":")
        ax.set_title(f"{row['window']} window")
        ax.set_ylim(-2.6, prediction["most"].max() + 1.4)
        ax.set_yticks([0, *sorted(prediction["most"])])
    axes[0].annotate(
        "the first window ends",
        (seconds, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        size=8.5,
        color=SOFT,
    )
    axes[-1].set_xlabel("time since the first request (s)")
    figure.supylabel(f"admitted within the last {seconds:g} s (requests)", size=10)
    legend(figure, axes[0])
    return figure


def _draw_window(ax: Axes, part: pd.DataFrame, seconds: float) -> None:
    admitted = part[part["status"] == 200]
    moments = np.sort(np.concatenate([admitted["ended"], admitted["sent"] + seconds]))
    moments = moments[moments <= part["ended"].max()]
    held = [((admitted["ended"] <= at) & (admitted["sent"] > at - seconds)).sum() for at in moments]
    ends = [part["ended"].max()]
    ax.step(
        [0, *moments, *ends], [0, *held, *held[-1:]], where="post", color=BLUE, label="measured"
    )
    for status, colour, label in ((200, BLUE, "admitted"), (429, VERMILLION, "refused")):
        at = part.loc[part["status"] == status, "ended"]
        height = -0.9 if status == 200 else -1.8
        ax.plot(at, [height] * len(at), "|", color=colour, ms=8, mew=1.4, label=label)
