"""The overhead of a hop: the same request directly and through the gateway, in turn."""

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
from labs.guessing import Guess, within_factor
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    on_schedule,
    verdict,
)
from labs.load.open_loop import Stream, run_load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "By how much does one more hop lengthen a request?"

THEORY = (
    "A request through the gateway takes as long as a direct one and one hop more: the "
    "time of a request that the gateway answers by itself. That hop includes the client's "
    "work a second time, so the sum is an upper estimate."
)

DIRECT, HOP, GATEWAY = "direct", "gateway alone", "through the gateway"
"""The three ways: one hop to the service, one to the gateway, and both in a row."""

COLOURS = {DIRECT: BLUE, HOP: GREEN, GATEWAY: ORANGE}

RATE = 50
"""Requests per second and way: enough for a distribution, too few to form a queue."""

BOUND = 0.010
"""Seconds the gateway may add to the median request. It adds one or two; on two cores with six
other busy programs twice that, because both ways wait for a core equally."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99. The ways take turns, so that a late generator is late for all of
them, and only the difference of two medians is judged."""

CONNECT_SECONDS = 0.3
"""The gateway's connect timeout; after it, the gateway answers that the service is unavailable."""

ENOUGH = 100
"""Requests that each way needs in an attempt."""

JUDGED = "the gateway adds at most 10 ms to the median request, and loses none"

GUESSES = {
    "overhead_ms": Guess(
        "The list of users is requested directly, and through the gateway. How much longer does "
        "the median request through the gateway take?",
        "ms",
        measured=lambda samples: 1000 * _added(samples),
        right=within_factor(3),
        reference=1.5,
        theory=lambda prediction: 1000 * _latency_of(prediction, HOP),
    ),
}


def predict(direct: pd.Series[float], hop: pd.Series[float]) -> pd.DataFrame:
    """Return `THEORY` as median seconds of each way.

    `direct` and `hop` are latencies in seconds, of which the medians are used. Columns: `way`,
    `seconds`.
    """
    medians = [float(direct.median()), float(hop.median())]
    return pd.DataFrame({"way": [DIRECT, HOP, GATEWAY], "seconds": [*medians, sum(medians)]})


def measure(env: Environment, *, seconds: float = 6) -> pd.DataFrame:
    """Return one row per request: three ways in turn, at an even rate, for so many seconds.

    The ways are the users directly, something the gateway answers by itself, and the users through
    the gateway.
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


def _latency_of(prediction: pd.DataFrame, way: str) -> float:
    return float(prediction.set_index("way")["seconds"][way])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Pass when the gateway adds at most `BOUND` to the median, and no way lost a request.

    What is judged is a difference of medians of ways that take turns, so that a busy machine
    changes both. Where it kept even direct requests waiting, a loss is in doubt, and so is what
    the gateway adds, up to the time that a hop took in the same seconds: the machine may have
    caused it. That doubt is one-sided, because no machine makes a slow gateway fast.

    Policy `every_attempt`, one case per way: an attempt that fails although direct requests were
    answered at once shows the gateway's own cost.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    cases = [
        Case(way, [_finding(part, way) for part in schedule.kept]) for way in prediction["way"]
    ]
    if schedule.finding:
        cases = [Case("", [schedule.finding])]
    medians = schedule.shown.groupby("stream")["latency"].median()
    predicted = prediction.set_index("way")["seconds"]
    details = schedule.details | {
        "medians": medians.to_dict(),
        "added": _added(schedule.shown),
        "predicted": float(predicted[GATEWAY] - predicted[DIRECT]),
    }
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _finding(part: pd.DataFrame, way: str) -> Finding:
    """Return the finding on one way in one attempt."""
    requests = part[part["stream"] == way]
    waited = direct_requests_waited(part)
    if not requests["ok"].all():
        reason, explained = "requests were lost", waited
    elif len(requests) < ENOUGH:
        return doubt("too few requests")
    elif way == GATEWAY and _added(part) > BOUND:
        hop_seconds = float(part.loc[part["stream"] == HOP, "latency"].median())
        reason, explained = (
            "it added more than that",
            waited and _added(part) <= BOUND + hop_seconds,
        )
    else:
        return SETTLED
    if explained:
        return doubt(f"{reason}, but this machine kept direct requests waiting, too")
    return failure(reason)


def _added(part: pd.DataFrame) -> float:
    """Return the seconds that the gateway added to the median request."""
    medians = part.groupby("stream")["latency"].median()
    return float(medians[GATEWAY] - medians[DIRECT])


def direct_requests_waited(part: pd.DataFrame) -> bool:
    """Return whether the machine kept direct requests waiting.

    It did when their median exceeds the bound, or the longest of them the gateway's connect timeout.
    """
    direct = part[part["stream"] == DIRECT]["latency"]
    return bool(direct.median() > BOUND or direct.max() > CONNECT_SECONDS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the share of requests answered within a time, per way; the prediction and the bound dashed.

    The last attempt that counts is drawn, and the others thin.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    shown, predicted = schedule.shown, prediction.set_index("way")["seconds"]
    figure, (ax,) = canvas(
        f"The gateway adds {1000 * _added(shown):.1f} ms to the median request",
        runtime=samples["runtime"].iloc[0],
        note=schedule.counted.share,
        height=4.2,
    )
    for way, colour in COLOURS.items():
        _draw_shares(ax, _latency(shown, way), color=colour, label=way)
        for part in each_attempt(samples[samples["attempt"] != shown["attempt"].iloc[0]]):
            _draw_shares(ax, _latency(part, way), color=colour, linewidth=0.7)
    direct = _latency(shown, DIRECT)
    moved = direct + predicted[GATEWAY] - predicted[DIRECT]
    _draw_shares(ax, moved, label="predicted", **PREDICTION)
    _draw_bound(ax, 1000 * (float(direct.median()) + BOUND))
    ax.set_xscale("log")
    ax.set_xticks(ticks := [0.5, 1, 2, 5, 10, 20, 50, 100], [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(0.9 * 1000 * float(samples["latency"].min()), 60)
    ax.set_xlabel(schedule.counted.below("time until the response (ms)"))
    ax.set_ylabel("requests answered (%)")
    legend(figure, ax)
    return figure


def _latency(requests: pd.DataFrame, way: str) -> pd.Series[float]:
    return requests[requests["stream"] == way]["latency"]


def _draw_shares(ax: Axes, latency: pd.Series[float], **style: object) -> None:
    """Draw the empirical distribution: the share of requests that took at most so long."""
    ordered = 1000 * np.sort(latency.to_numpy())
    ax.step(ordered, np.linspace(0, 100, len(ordered)), where="post", **style)  # type: ignore[arg-type]


def _draw_bound(ax: Axes, at: float) -> None:
    ax.plot([at, at], [0, 50], color=FAULT_TEXT, linewidth=1.4, linestyle=":")
    ax.annotate(
        "bound: half of the requests\nby here at the latest",
        (at, 25),
        xytext=(5, 0),
        textcoords="offset points",
        size=9,
        color=FAULT_TEXT,
        va="center",
    )
