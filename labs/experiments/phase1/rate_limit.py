"""Rate limits: one patient client, and two kinds of window that admit it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.figures import BLUE, PREDICTION, SOFT, VERMILLION, canvas, legend, styled
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "How many requests does a limit per window admit in the worst span of its length?"

THEORY = (
    "A moving window admits at most its limit in any span of its length. A fixed one begins with "
    "a client's first request. A client can send all but that one just before the end, and a "
    "whole new limit just after it: twice the limit less one."
)

MOVING, FIXED = "moving", "fixed"

BURST = 0.3
"""Share of the window before its end, and again after it, in which the client sends its requests."""

REQUESTS = 20
"""Requests in each of these two times."""

JUDGED = (
    "in its worst span of a window's length, a moving window admits exactly its limit and a fixed "
    "one exactly twice its limit less one; neither refuses a request it had room for"
)

GUESSES = {
    "fixed": Guess(
        "A client may send five requests per window, and the window is fixed: it begins with the "
        "client's first request. How many requests can a patient client get through within one "
        "span of a window's length?",
        "requests",
        measured=lambda samples: _admitted_after_the_first(samples),
        right=EXACT,
        reference=9,
        theory=lambda prediction: prediction.set_index("window")["most"][FIXED],
    ),
}


def predict(*, limit: int = 5, seconds: float = 10) -> pd.DataFrame:
    """Return `THEORY` as the most requests admitted in one span of a window's length.

    `limit` requests per window of `seconds`. Columns: `window`, `limit`, `seconds`, `most`.
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
    """Return one row per request of the same patient client before both kinds of window.

    It opens a window with one request, and sends the others shortly before and after its end.
    Configures the gateway, and leaves it with a moving window of `limit` requests in `seconds`. Columns: `window`,
    `sent` and `ended` (seconds since the first was sent), `status`, `runtime`, `attempt`.
    """
    parts = []
    for window in (FIXED, MOVING):
        settings = {"LIMIT_REQUESTS": limit, "LIMIT_SECONDS": seconds}
        gateway = env.configure("api-gateway", LIMIT_WINDOW=window, **settings)
        with httpx.Client(base_url=gateway.url, timeout=10) as client:
            parts.append(pd.DataFrame(_request(client, seconds)).assign(window=window))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _request(client: httpx.Client, seconds: float) -> Iterator[dict[str, float]]:
    """Send one request after the other, so that responses come in the order of the requests."""
    client.get("/health")  # the connection is made before the clock starts
    began = time.perf_counter()
    around = np.linspace(1 - BURST, 1 + BURST, 2 * REQUESTS)
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


def _admitted_after_the_first(samples: pd.DataFrame) -> int:
    """Return the requests around the end of the first fixed window, all but the one that opens it."""
    fixed = samples[(samples["window"] == FIXED) & (samples["status"] == 200)]
    return int(fixed.groupby("attempt").size().max()) - 1


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Return an exact verdict from the client's own clock.

    The client's clock limits the moment of each decision: the gateway decided on a request some
    time between `sent` and `ended`. So requests count as admitted in one span only where the first
    was sent, and the last answered, less than the window's length apart; and a refusal is wrong only
    where even the admissions that may have been in the window are fewer than the limit. Inconclusive
    when a slow machine kept the client from reaching the limit.

    Policy `every_attempt`, one case per window: a count that is wrong once is wrong.
    """
    cases, details = [], {}
    for expected in prediction.to_dict("records"):
        window = expected["window"]
        requests = samples[samples["window"] == window]
        attempts = list(each_attempt(requests))
        most = [most_admitted(part, expected["seconds"]) for part in attempts]
        cases.append(Case(f"{window} window", [_finding(part, expected) for part in attempts]))
        details[window] = {
            "most": max(most, default=0),
            "predicted": expected["most"],
            "requests": len(requests),
        }
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _finding(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    """Return the finding on one window in one attempt."""
    most = most_admitted(part, expected["seconds"])
    if most > expected["most"]:
        return failure("it admitted more than predicted")
    if refused_with_room(part, expected):
        return failure("it refused a request it had room for")
    if not part["status"].isin([200, 429]).all():
        return failure("a request was neither admitted nor refused")
    if most < expected["most"]:
        return doubt("the requests never came close enough to fill it")
    return SETTLED


def most_admitted(part: pd.DataFrame, seconds: float) -> int:
    """Return the most requests that were certainly admitted within one span of `seconds`."""
    admitted = part[part["status"] == 200]
    since = admitted["sent"].to_numpy()[:, None]
    inside = (admitted["sent"].to_numpy() >= since) & (
        admitted["ended"].to_numpy() < since + seconds
    )
    return int(inside.sum(axis=1).max(initial=0))


def refused_with_room(part: pd.DataFrame, expected: Mapping[Any, Any]) -> bool:
    """Return whether a request was certainly refused while its window had room.

    `expected` is the window's row of the prediction.
    """
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
    """Draw the requests admitted within the last window's length, above each request's response."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    seconds, limit = prediction["seconds"].iloc[0], prediction["limit"].iloc[0]
    most = [
        f"{most_admitted(last[last['window'] == row['window']], seconds)} by a {row['window']} window"
        for row in prediction.to_dict("records")
    ]
    figure, axes = canvas(
        f"Admitted in any {seconds:g} s, at most: {', '.join(most)}",
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
