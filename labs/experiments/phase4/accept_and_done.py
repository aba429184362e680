"""Accept and done."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase4.events import follow
from labs.experiments.phase4.orders import ITEMS
from labs.figures import BLUE, INK, ORANGE, PREDICTION, SOFT, canvas, legend, styled
from labs.load.open_loop import Stream, run_load
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What gets faster when nobody waits for the payment, and what does not?"

THEORY = (
    "Who waits for a payment of s seconds accepts an order after s, and it is done then. "
    "Who does not wait accepts it after a write to the database; the work is still to be "
    "done, and takes s."
)

HTTP, KAFKA = "HTTP", "Kafka"

ORDERS = "order-service"

FASTER = 20
"""Times by which accepting an order is at least faster when nobody waits for its payment."""

ALLOWANCE = 0.5
"""Seconds of hops and of a busy machine, on top of a payment's work."""

EARLY = 0.02
"""Seconds by which two clocks of a machine, one of them in whole milliseconds, may disagree."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: less than the shortest latency that is judged."""

ENOUGH = 20
"""Orders of each design."""

DONE_SECONDS = 15.0
"""How long the last orders may take to be done."""

ORIGINAL = {HTTP: 2.0, KAFKA: 0.1}
"""Seconds that the original course printed, both for accepting an order."""

JUDGED = (
    "an order is accepted at least 20 times faster when nobody waits for its payment, and is done "
    "no faster: after the work on its payment, never before it"
)


def predict(*, seconds: float) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `design`, `accept` and `done` (seconds, at least).
    """
    rows = [(HTTP, seconds, seconds), (KAFKA, 0.0, seconds)]
    return pd.DataFrame(rows, columns=["design", "accept", "done"])


def measure(
    kafka: Environment, http: Environment, *, seconds: float = 4, rate: float = 10
) -> pd.DataFrame:
    """The same arrivals, `rate` per second, to an order-service that waits for the payment and to
    one that tells an event, at the same time.

    One row per order. Columns: `design`, `intended` (unix seconds), `lag`, `accept` (s from the
    intended start to the answer), `ok`, `done` (s from there to its completion; empty when it never
    came), `runtime`, `attempt`.
    """
    user = f"accept-{uuid.uuid4().hex[:8]}"
    streams = [
        order_stream(design, env, user=user, rate=rate)
        for design, env in ((HTTP, http), (KAFKA, kafka))
    ]
    samples = run_load(*streams, seconds=seconds, seed=kafka.seed)
    samples = samples.rename(columns={"stream": "design", "latency": "accept"})
    columns = ["design", "intended", "lag", "accept", "ok"]
    parts = []
    for design, part in samples[columns].groupby("design", sort=False):
        part = part.sort_values("intended", ignore_index=True)
        # An order that was paid before the answer is done with it.
        done = (
            part["accept"] if design == HTTP else _completed(kafka, user, part) - part["intended"]
        )
        parts.append(part.assign(done=done.where(part["ok"])))
    return pd.concat(parts, ignore_index=True).assign(runtime=kafka.runtime, attempt=1)


def order_stream(name: str, env: Environment, *, user: str, rate: float, **more: Any) -> Stream:
    """Orders of the users `user`-0, `user`-1, and so on."""
    body = {"userId": user + "-{number}", "items": ITEMS}
    return Stream(name, f"{env[ORDERS].url}/orders", rate=rate, method="POST", body=body, **more)


def _completed(env: Environment, user: str, part: pd.DataFrame) -> pd.Series[float]:
    """When each order of a stream was completed (unix seconds), in the stream's order."""
    users = [f"{user}-{number}" for number in part.index[part["ok"]]]
    created = follow(env, "order-created", users, by="user", seconds=DONE_SECONDS)
    ended = follow(env, "order-confirmed", created["order"], by="order", seconds=DONE_SECONDS)
    times = created["order"].map(ended.groupby("order")["time"].min())
    numbers = created["user"].str.rpartition("-")[2].astype(int)
    return pd.Series(times.to_numpy(dtype=float), index=numbers).reindex(part.index)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """By medians; an order that is never done, or done before its work can be, fails by itself.

    Attempts (of the measurement) whose load lagged are set aside.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    details = {
        "load": [str(load_report(part, lag_limit=LAG_LIMIT)) for part in attempts],
        "medians": medians(pd.concat(kept or attempts)).to_dict("index"),
    }
    doubts = [] if kept else ["the load generator could not keep its schedule"]
    if any((part["design"] == design).sum() < ENOUGH for part in kept for design in (HTTP, KAFKA)):
        doubts.append("too few orders")
    failures = [reason for part in kept for reason in _failures(part, prediction)]
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=doubts,
        details=details,
    )


def medians(samples: pd.DataFrame) -> pd.DataFrame:
    """Per design the medians of `accept` and `done`, in seconds."""
    return samples.groupby("design")[["accept", "done"]].median()


def _failures(part: pd.DataFrame, prediction: pd.DataFrame) -> list[str]:
    found = ["an order was not accepted"] * bool((~part["ok"]).any())
    found += ["an accepted order was never done"] * bool(part["done"][part["ok"]].isna().any())
    middle = medians(part)
    for expected in prediction.to_dict("records"):
        design = expected["design"]
        done = part.loc[part["design"] == design, "done"]
        if (done < expected["done"] - EARLY).any():
            found.append(f"{design}: an order was done before its payment can be")
        if not done.empty and middle["done"][design] > expected["done"] + ALLOWANCE:
            found.append(f"{design}: orders were done later than predicted")
    if middle["accept"].get(HTTP, 0) < FASTER * middle["accept"].get(KAFKA, 0):
        found.append(f"{KAFKA}: accepting was not so much faster")
    return found


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Share of the orders (%) accepted and done against time since they were sent, per design; the
    prediction dashed, the original's two times as stars."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, axes = canvas(
        "What gets faster when nobody waits, and what does not",
        runtime=last["runtime"].iloc[0],
        note="same arrivals, both designs",
        rows=len(prediction),
        height=5.0,
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        mine = last[last["design"] == expected["design"]]
        _draw_share(ax, mine["done"], len(mine), color=ORANGE, label="done", width=5)
        _draw_share(
            ax, mine["accept"][mine["ok"]], len(mine), color=BLUE, label="accepted", width=2
        )
        for word in ("accept", "done"):
            if expected[word]:
                ax.axvline(expected[word], **PREDICTION)
        ax.set_title(expected["design"], size=10)
        _draw_original(ax, expected["design"])
    axes[-1].plot([], [], label="predicted", **PREDICTION)
    axes[-1].set_xscale("log")
    axes[-1].set_xlim(0.001, 2 * max(3.0, last[["accept", "done"]].max().max()))
    axes[-1].set_xticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    axes[-1].set_xlabel("time since the order was sent (s)")
    figure.supylabel("orders (%)", size=10, color=INK)
    legend(figure, axes[-1])
    return figure


def _draw_share(
    ax: Axes, times: pd.Series[float], of: int, *, color: str, label: str, width: float
) -> None:
    """The share of `of` orders that had come so far by each moment."""
    moments = np.sort(times.dropna())
    share = 100 * np.arange(1, len(moments) + 1) / max(1, of)
    ax.step(moments, share, where="post", color=color, label=label, linewidth=width)
    ax.set_ylim(-5, 112)


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
