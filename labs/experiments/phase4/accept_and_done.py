"""Accept and done: the two times of an order, with a service that waits for the payment and one that does not."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase4.events import follow
from labs.experiments.phase4.names import CONFIRMED, CREATED, HTTP, KAFKA
from labs.experiments.phase4.orders import order_stream
from labs.figures import BLUE, INK, ORANGE, PREDICTION, SOFT, canvas, mark_set_aside, styled
from labs.guessing import Guess, within_factor
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    every_attempt,
    failure,
    on_schedule,
    verdict,
)
from labs.load.open_loop import run_load
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What gets faster when no client waits for the payment, and what does not?"

THEORY = (
    "A service that waits for a payment of s seconds accepts an order after s, and the order is "
    "done then. A service that publishes an event accepts it after a write to its database; the "
    "work on the payment is still to come, and takes s."
)

FASTER = 20
"""Times by which accepting an order is at least faster when no client waits for its payment."""

ALLOWANCE = 0.5
"""Seconds of hops and of a busy machine, on top of a payment's work."""

EARLY = 0.02
"""Seconds by which two clocks of a machine, one of them in whole milliseconds, may disagree."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: less than the shortest latency that is judged."""

ENOUGH = 20
"""Orders of each design."""

DONE_SECONDS = 15.0
"""Longest wait for the last orders to be done."""

ORIGINAL = {HTTP: 2.0, KAFKA: 0.1}
"""Seconds that the original course printed, both for accepting an order."""

JUDGED = (
    "an order is accepted at least 20 times faster when no client waits for its payment, and is "
    "done no faster: after the work on its payment, never before it"
)

GUESSES = {
    "done_times": Guess(
        "A payment takes two seconds. With Kafka no client waits for it. How many times as long as "
        "with HTTP does it take until an order is paid?",
        "times",
        measured=lambda samples: _done_times(samples),
        right=within_factor(1.2),
        reference=1,
        theory=lambda prediction: _done_times(prediction),
    ),
}


def predict(*, seconds: float) -> pd.DataFrame:
    """Return `THEORY` as numbers, for payments of `seconds`.

    Columns: `design`, `accept` and `done` (seconds, at least).
    """
    rows = [(HTTP, seconds, seconds), (KAFKA, 0.0, seconds)]
    return pd.DataFrame(rows, columns=["design", "accept", "done"])


def measure(
    env: Environment, http: Environment, *, seconds: float = 4, rate: float = 10
) -> pd.DataFrame:
    """Send the same arrivals, `rate` per second, to both designs at the same time.

    In `env` order-service publishes an event; in `http` it waits for the payment.

    One row per order. Columns: `design`, `intended` (unix seconds), `lag`, `accept` (s from the intended start to the
    response), `ok`, `done` (s from there to its completion; empty when it never came), `runtime`, `attempt`.
    """
    user = f"accept-{uuid.uuid4().hex[:8]}"
    streams = [
        order_stream(design, system, user=user, rate=rate)
        for design, system in ((HTTP, http), (KAFKA, env))
    ]
    samples = run_load(*streams, seconds=seconds, seed=env.seed)
    samples = samples.rename(columns={"stream": "design", "latency": "accept"})
    columns = ["design", "intended", "lag", "accept", "ok"]
    parts = []
    for design, part in samples[columns].groupby("design", sort=False):
        part = part.sort_values("intended", ignore_index=True)
        # With HTTP an order is done with the response: its payment was made before.
        done = part["accept"] if design == HTTP else _completed(env, user, part) - part["intended"]
        parts.append(part.assign(done=done.where(part["ok"])))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _completed(env: Environment, user: str, part: pd.DataFrame) -> pd.Series[float]:
    """Return when each order of a stream was completed (unix seconds), in the stream's order."""
    users = [f"{user}-{number}" for number in part.index[part["ok"]]]
    created = follow(env, CREATED, users, by="user", seconds=DONE_SECONDS)
    confirmed = follow(env, CONFIRMED, created["order"], by="order", seconds=DONE_SECONDS)
    times = created["order"].map(confirmed.groupby("order")["time"].min())
    numbers = created["user"].str.rpartition("-")[2].astype(int)
    return pd.Series(times.to_numpy(dtype=float), index=numbers).reindex(part.index)


def _done_times(frame: pd.DataFrame) -> float:
    """Return the median time to done with Kafka, as a multiple of that with HTTP."""
    done = frame.groupby("design")["done"].median()
    return float(done[KAFKA] / done[HTTP])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge each attempt by its medians; an order that is lost, or done too early, fails by itself.

    Policy: every attempt. Lost and early orders are exact, and the limits of the medians leave a busy machine its
    time. Attempts whose load lagged are set aside.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    cases = [
        Case("", schedule.findings(_all_accepted)),
        Case("", schedule.findings(_all_done)),
        *(
            Case(row["design"], schedule.findings(partial(_done_in_time, expected=row)))
            for row in prediction.to_dict("records")
        ),
        Case(KAFKA, schedule.findings(_accepted_sooner)),
    ]
    details = schedule.details | {"medians": medians(schedule.samples).to_dict("index")}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def medians(samples: pd.DataFrame) -> pd.DataFrame:
    """Return per design the medians of `accept` and `done`, in seconds."""
    return samples.groupby("design")[["accept", "done"]].median()


def _all_accepted(part: pd.DataFrame) -> Finding:
    return SETTLED if part["ok"].all() else failure("an order was not accepted")


def _all_done(part: pd.DataFrame) -> Finding:
    done = part["done"][part["ok"]].notna().all()
    return SETTLED if done else failure("an accepted order was never done")


def _done_in_time(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    done = part.loc[part["design"] == expected["design"], "done"]
    if (done < expected["done"] - EARLY).any():
        return failure("an order was done before its payment can be")
    if done.median() > expected["done"] + ALLOWANCE:
        return failure("orders were done later than predicted")
    return SETTLED if len(done) >= ENOUGH else doubt("too few orders")


def _accepted_sooner(part: pd.DataFrame) -> Finding:
    accept = medians(part)["accept"]
    if accept.get(HTTP, 0) < FASTER * accept.get(KAFKA, 0):
        return failure("accepting was not so much faster")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the share of the orders (%) accepted and done against time since they were sent, per design.

    The prediction is dashed, the original's two times are stars; attempts that do not count are hollow.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    figure, axes = canvas(
        _finding_of(medians(schedule.shown)),
        runtime=samples["runtime"].iloc[0],
        note=str(schedule.counted),
        rows=len(prediction),
        height=5.0,
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        _draw_set_aside(ax, schedule.aside[schedule.aside["design"] == expected["design"]])
        orders = schedule.samples[schedule.samples["design"] == expected["design"]]
        _draw_share(ax, orders["done"], len(orders), color=ORANGE, label="done", width=5)
        accepted = orders["accept"][orders["ok"]]
        _draw_share(ax, accepted, len(orders), color=BLUE, label="accepted", width=2)
        for moment in ("accept", "done"):
            if expected[moment]:
                ax.axvline(expected[moment], **PREDICTION)
        ax.set_title(expected["design"], size=10)
        ax.set_ylim(-5, 112)
        _draw_original(ax, expected["design"])
    axes[0].plot([], [], label="predicted", **PREDICTION)
    axes[0].legend(loc="upper left")  # the note needs the figure's second line
    axes[-1].set_xscale("log")
    axes[-1].set_xlim(0.001, 2 * max(3.0, samples[["accept", "done"]].max().max()))
    axes[-1].set_xticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    axes[-1].set_xlabel("time since the order was sent (s)")
    figure.supylabel("orders (%)", size=10, color=INK)
    return figure


def _finding_of(times: pd.DataFrame) -> str:
    """Return the medians of both designs as a title."""
    accept, done = (1000 * times[name].reindex([HTTP, KAFKA]) for name in ("accept", "done"))
    return (
        f"Accepted in {accept[KAFKA]:,.0f} ms, not {accept[HTTP]:,.0f} ms; done in "
        f"{done[KAFKA]:,.0f} ms, not {done[HTTP]:,.0f} ms"
    )


def _draw_share(
    ax: Axes, times: pd.Series[float], of: int, *, color: str, label: str, width: float
) -> None:
    """Draw the share of `of` orders that had come so far by each moment."""
    moments, share = _share(times, of)
    ax.step(moments, share, where="post", color=color, label=label, linewidth=width)


def _draw_set_aside(ax: Axes, orders: pd.DataFrame) -> None:
    for times in (orders["done"], orders["accept"][orders["ok"]]):
        mark_set_aside(ax, *_share(times, len(orders)))


def _share(times: pd.Series[float], of: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    moments = np.sort(times.dropna())
    return moments, 100 * np.arange(1, len(moments) + 1) / max(1, of)


def _draw_original(ax: Axes, design: str) -> None:
    seconds = ORIGINAL[design]
    ax.plot(seconds, 50, "*", ms=15, color=INK, markerfacecolor="none", zorder=5)
    ax.annotate(
        f"the original: {1000 * seconds:.0f} ms",
        (seconds, 50),
        xytext=(-9, -3),
        textcoords="offset points",
        ha="right",
        size=8.5,
        color=SOFT,
    )
