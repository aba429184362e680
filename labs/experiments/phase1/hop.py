"""Overhead of a hop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from labs.figures import (
    BLUE,
    FAULT_TEXT,
    GREEN,
    ORANGE,
    PREDICTION,
    canvas,
    legend,
    styled,
)
from labs.load.open_loop import Stream, run_load
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does one more program on the way cost a request?"

THEORY = (
    "A request through the gateway takes as long as a direct one, and one hop more: the "
    "time the gateway needs for an answer of its own. That hop holds the client's work a "
    "second time, so the sum is an upper estimate."
)

DIRECT, HOP, GATEWAY = "direct", "gateway alone", "through the gateway"
"""The three ways: one hop to the service, one to the gateway, and both in a row."""

COLOURS = {DIRECT: BLUE, HOP: GREEN, GATEWAY: ORANGE}

RATE = 50
"""Requests per second and way: enough for a distribution, too few to make anybody queue."""

BOUND = 0.010
"""Seconds the gateway may add to the median request. It adds one or two; on two cores with six
other programs that never rest, the same again, because both ways wait for their turn alike."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99. The ways take turns, so that a late generator is late for both,
and only the difference of their medians is judged."""

CONNECT_SECONDS = 0.3
"""For so long a gateway waits for a connection to a service, and then says that it is gone."""

ENOUGH = 100
"""Requests each way needs."""

JUDGED = "the gateway adds at most 10 ms to the median request, and loses none"


def predict(direct: pd.Series[float], hop: pd.Series[float]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `direct` and `hop` are latencies in seconds, of which the medians count. Columns: `way`,
    `seconds` (median).
    """
    medians = [float(direct.median()), float(hop.median())]
    return pd.DataFrame({"way": [DIRECT, HOP, GATEWAY], "seconds": [*medians, sum(medians)]})


def measure(env: Environment, *, seconds: float = 6) -> pd.DataFrame:
    """One row per request, three ways in turns at an even pace.

    GET users directly, something the gateway answers itself, GET users through the gateway.
    Columns: those of `Load.samples` (`stream` is the way), `runtime`, `attempt`.
    """
    gateway = env["api-gateway"].url
    urls = {
        DIRECT: f"{env['user-service'].url}/users",
        HOP: f"{gateway}/api/non-blocking",
        GATEWAY: f"{gateway}/api/users",
    }
    streams = [Stream(way, url, rate=RATE) for way, url in urls.items()]
    samples = run_load(*streams, seconds=seconds, seed=env.seed)
    return samples.assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """The difference of the medians, through the gateway and directly, is at most `BOUND`, and no
    request was lost.

    Attempts whose load generator lagged are set aside, and so are those in which this machine kept
    even direct requests waiting, where there are others. Where there are none, what went wrong is in
    doubt: the machine, not the gateway, may have done it.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    calm = [part for part in kept if not strained(part)]
    ways = pd.concat(calm or kept or attempts).groupby("stream")
    medians = ways["latency"].median()
    added = float(medians[GATEWAY] - medians[DIRECT])
    predicted = prediction.set_index("way")["seconds"]
    details = {
        "load": [str(load_report(part, lag_limit=LAG_LIMIT)) for part in attempts],
        "medians": medians.to_dict(),
        "added": added,
        "predicted": float(predicted[GATEWAY] - predicted[DIRECT]),
    }
    doubts = [] if kept else ["the load generator could not keep its schedule"]
    failures = [f"requests were lost: {way}" for way, ok in ways["ok"].all().items() if not ok]
    if ways.size().min() < ENOUGH:
        doubts.append("too few requests")
    elif added > BOUND:
        failures.append("the gateway added more than that")
    if failures and not calm:
        doubts += [*failures, "this machine kept direct requests waiting, too"]
        failures = []
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def strained(part: pd.DataFrame) -> bool:
    """Whether the machine kept direct requests waiting: half of them as long as the bound, or one
    of them longer than a gateway waits for a connection."""
    direct = part[part["stream"] == DIRECT]["latency"]
    return bool(direct.median() > BOUND or direct.max() > CONNECT_SECONDS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Share of requests answered within a time, per way; the prediction and the bound dashed."""
    predicted = prediction.set_index("way")["seconds"]
    figure, (ax,) = canvas(
        "One more hop on the way",
        runtime=samples["runtime"].iloc[0],
        height=4.2,
    )
    for way, colour in COLOURS.items():
        latency = samples[samples["stream"] == way]["latency"]
        _draw_shares(ax, latency, color=colour, label=way)
    direct = samples[samples["stream"] == DIRECT]["latency"]
    moved = direct + predicted[GATEWAY] - predicted[DIRECT]
    _draw_shares(ax, moved, label="predicted", **PREDICTION)
    _draw_bound(ax, 1000 * (float(direct.median()) + BOUND))
    ax.set_xscale("log")
    ax.set_xticks(ticks := [0.5, 1, 2, 5, 10, 20, 50, 100], [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(0.9 * 1000 * float(samples["latency"].min()), 60)
    ax.set_xlabel("time until the answer (ms)")
    ax.set_ylabel("requests answered (%)")
    legend(figure, ax)
    return figure


def _draw_shares(ax: Axes, latency: pd.Series[float], **style: object) -> None:
    """The empirical distribution: which share took at most so long."""
    ordered = 1000 * np.sort(latency.to_numpy())
    ax.step(ordered, np.linspace(0, 100, len(ordered)), where="post", **style)  # type: ignore[arg-type]


def _draw_bound(ax: Axes, at: float) -> None:
    ax.plot([at, at], [0, 50], color=FAULT_TEXT, linewidth=1.4, linestyle=":")
    ax.annotate(
        "judged: half of the requests\nby here at the latest",
        (at, 25),
        xytext=(5, 0),
        textcoords="offset points",
        size=9,
        color=FAULT_TEXT,
        va="center",
    )
