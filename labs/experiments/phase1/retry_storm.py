"""Retry storm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
from matplotlib.ticker import NullLocator

from labs.experiments.phase1.metrics import answered
from labs.figures import BLUE, GREEN, INK, ORANGE, PREDICTION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many calls does one click become when several layers try again?"

THEORY = (
    "Each layer sends what it was asked r times (the first try included) to a next one that"
    " always fails, so k layers turn one click into r^k calls; a breaker lets through no "
    "more calls than the failures it takes to open it, however many clicks and tries there "
    "are."
)

ONE, TWO, BREAKER = "one layer", "two layers", "one layer and a breaker"

ROUTES = {
    ONE: ("order-service", "/orders"),
    TWO: ("api-gateway", "/api/orders"),
    BREAKER: ("api-gateway", "/api/pay"),
}
"""Where each is met: order-service tries again at payment-service; the gateway before it tries
again at order-service; and on its own way to payment-service the gateway has a breaker."""

LAYERS = {ONE: 1, TWO: 2, BREAKER: 1}

FORMULAE = {ONE: "$r$", TWO: "$r^2$", BREAKER: "the breaker's\nfailures, once"}

COLOURS = {ONE: BLUE, TWO: ORANGE, BREAKER: GREEN}

SIZES = {ONE: 14, TWO: 8, BREAKER: 9}
"""Points: with one try both ways make one call, and both are to be seen."""

BODIES: dict[str, Any] = {
    "/pay": {"amount": 19.99},
    "/orders": {
        "userId": "user-1",
        "items": [{"productId": "prod-1", "quantity": 1, "price": 19.99}],
    },
}

OPEN_SECONDS = 60
"""Longer than all clicks together: no probe joins the count."""

JUDGED = (
    "every click reaches the failing upstream as often as the tries of each layer multiplied; "
    "with a breaker all clicks together reach it only as often as it takes to open"
)


def predict(
    *, tries: Sequence[int] = (1, 2, 3), clicks: int = 5, breaker_failures: int = 3
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `way`, `tries` (r, of each layer), `clicks`, `calls` (at the upstream, for all of
    these clicks).
    """
    rows = []
    for way, layers in LAYERS.items():
        for each in tries:
            calls = clicks * each**layers
            bounded = min(calls, breaker_failures) if way == BREAKER else calls
            rows.append({"way": way, "tries": each, "clicks": clicks, "calls": bounded})
    return pd.DataFrame(rows)


def measure(env: Environment, *, tries: Iterable[int] = (1, 2, 3), clicks: int = 5) -> pd.DataFrame:
    """Clicks while payment-service answers 503 at once; one row per click.

    Configures the tries of order-service and gateway, and leaves them at the least of `tries`.
    Columns: `way`, `tries`, `click`, `calls` (that payment-service counted for this click),
    `status` (that the client got), `runtime`, `attempt`.
    """
    rows: list[dict[str, Any]] = []
    with httpx.Client(timeout=30) as client, env["payment-service"].failing(503):
        for each in sorted(tries, reverse=True):
            env.configure("order-service", RETRY_TRIES=each)
            env.configure("api-gateway", RETRY_TRIES=each, BREAKER_OPEN_SECONDS=OPEN_SECONDS)
            rows += [row | {"tries": each} for row in _click(env, client, clicks)]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _click(env: Environment, client: httpx.Client, clicks: int) -> Iterator[dict[str, Any]]:
    upstream = env["payment-service"].url
    for way, (service, path) in ROUTES.items():
        url, body = env[service].url + path, BODIES[path.removeprefix("/api")]
        for number in range(1, clicks + 1):
            before = answered(client, upstream)
            status = client.post(url, json=body).status_code
            calls = answered(client, upstream) - before
            yield {"way": way, "click": number, "calls": calls, "status": status}


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, from payment-service's own count: no click makes more calls than predicted, and the
    clicks of each attempt together make as many.

    Inconclusive where a click succeeded, so that there was nothing to try again.
    """
    failures, doubts, details = [], [], []
    for row in prediction.to_dict("records"):
        mine = samples[(samples["way"] == row["way"]) & (samples["tries"] == row["tries"])]
        name = f"{row['way']}, {row['tries']} {'try' if row['tries'] == 1 else 'tries'}"
        counted = mine.groupby("attempt")["calls"].sum()
        details.append({"way": row["way"], "tries": row["tries"], "calls": counted.to_list()})
        if mine.empty or (mine["status"] < 500).any():
            doubts.append(f"{name}: the fault never hit")
        elif not (counted == row["calls"]).all():
            failures.append(f"{name}: the calls at the upstream are not those predicted")
        elif row["way"] != BREAKER and (mine["calls"] != row["calls"] // row["clicks"]).any():
            failures.append(f"{name}: one click made other calls than the next")
    return Verdict.of(
        __name__, JUDGED, failures=failures, doubts=doubts, details={"calls": details}
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Calls at the upstream per click over the tries of each layer (log scale), predictions dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, (ax,) = canvas(
        "What one click becomes before a payment-service that fails",
        runtime=last["runtime"].iloc[0],
        note=f"mean of {prediction['clicks'].iloc[0]} clicks",
        height=4.4,
    )
    for way, colour in COLOURS.items():
        expected = prediction[prediction["way"] == way]
        mean = last[last["way"] == way].groupby("tries")["calls"].mean()
        line = expected["calls"] / expected["clicks"]
        ax.plot(expected["tries"], line, **PREDICTION)
        ax.plot(mean.index, mean, "o", color=colour, ms=SIZES[way], label=way)
        ax.annotate(
            FORMULAE[way],
            (expected["tries"].iloc[-1], line.iloc[-1]),
            xytext=(12, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_yscale("log")
    marks = sorted({1.0, *(prediction["calls"] / prediction["clicks"])})
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
    ax.set_ylim(marks[0] / 1.6, marks[-1] * 1.4)
    ax.yaxis.set_minor_locator(NullLocator())
    tries = sorted(set(prediction["tries"]))
    ax.set_xticks(tries)
    ax.set_xlim(tries[0] - 0.2, tries[-1] + 0.7)
    ax.set_xlabel("tries of each layer, the first included (r)")
    ax.set_ylabel("calls at payment-service per click (log)")
    legend(figure, ax)
    return figure
