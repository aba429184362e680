"""Retry storm: the calls at an upstream that fails, when one layer or several retry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
from matplotlib.ticker import NullLocator

from labs.experiments.phase1.metrics import answered
from labs.figures import BLUE, GREEN, INK, ORANGE, PREDICTION, canvas, legend, styled
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
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "How many calls does one click become when several layers retry?"

THEORY = (
    "Each layer sends a request r times (the first try included) to a next one that always "
    "fails, so k layers turn one click into r^k calls; a breaker passes no more calls than "
    "the failures it takes to open it, however many clicks and tries there are."
)

ONE, TWO, BREAKER = "one layer", "two layers", "one layer and a breaker"

ROUTES = {
    ONE: ("order-service", "/orders"),
    TWO: ("api-gateway", "/api/orders"),
    BREAKER: ("api-gateway", "/api/pay"),
}
"""Where each takes place: order-service retries its calls to payment-service; the gateway in front of it
retries its calls to order-service; and on its own way to payment-service the gateway has a breaker."""

LAYERS = {ONE: 1, TWO: 2, BREAKER: 1}

FORMULAE = {ONE: "$r$", TWO: "$r^2$", BREAKER: "the breaker's\nfailures, once"}

COLOURS = {ONE: BLUE, TWO: ORANGE, BREAKER: GREEN}

SIZES = {ONE: 14, TWO: 8, BREAKER: 9}
"""Marker sizes in points: with one try both ways make one call, and both markers show."""

BODIES: dict[str, Any] = {
    "/pay": {"amount": 19.99},
    "/orders": {
        "userId": "user-1",
        "items": [{"productId": "prod-1", "quantity": 1, "price": 19.99}],
    },
}

OPEN_SECONDS = 60
"""Seconds, longer than all clicks together: no probe is counted."""

JUDGED = (
    "every click reaches the failing upstream as often as the tries of each layer multiplied; "
    "with a breaker all clicks together reach it only as often as it takes to open"
)


def predict(
    *, tries: Sequence[int] = (1, 2, 3), clicks: int = 5, breaker_failures: int = 3
) -> pd.DataFrame:
    """Return `THEORY` as calls at the upstream, for all clicks together.

    Columns: `way`, `tries` (r, of each layer), `clicks`, `calls`.
    """
    rows = []
    for way, layers in LAYERS.items():
        for each in tries:
            calls = clicks * each**layers
            bounded = min(calls, breaker_failures) if way == BREAKER else calls
            rows.append({"way": way, "tries": each, "clicks": clicks, "calls": bounded})
    return pd.DataFrame(rows)


def measure(env: Environment, *, tries: Iterable[int] = (1, 2, 3), clicks: int = 5) -> pd.DataFrame:
    """Click while payment-service answers 503 at once; return one row per click.

    Configures the tries of order-service and the gateway, and leaves them at the least of `tries`.
    Columns: `way`, `tries`, `click`, `calls` (that payment-service counted for this click),
    `status` (of the client's response), `runtime`, `attempt`.
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
    """Return an exact verdict from payment-service's own count.

    No click makes more calls than predicted, and the clicks of an attempt together make as many.
    Inconclusive where a click succeeded, so that there was nothing to retry.

    Policy `every_attempt`, one case per way and number of tries: a count that is wrong once is wrong.
    """
    cases, details = [], []
    for row in prediction.to_dict("records"):
        chosen = (samples["way"] == row["way"]) & (samples["tries"] == row["tries"])
        attempts = list(each_attempt(samples[chosen]))
        name = f"{row['way']}, {row['tries']} {'try' if row['tries'] == 1 else 'tries'}"
        cases.append(Case(name, [_finding(part, row) for part in attempts]))
        calls = [int(part["calls"].sum()) for part in attempts]
        details.append({"way": row["way"], "tries": row["tries"], "calls": calls})
    return verdict(__name__, JUDGED, cases, every_attempt, details={"calls": details})


def _finding(clicks: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    """Return the finding on the clicks of one attempt, one way, with so many tries."""
    if (clicks["status"] < 500).any():
        return doubt("the fault never hit")
    if clicks["calls"].sum() != expected["calls"]:
        return failure("the calls at the upstream are not those predicted")
    each = expected["calls"] // expected["clicks"]
    if expected["way"] != BREAKER and (clicks["calls"] != each).any():
        return failure("the clicks made different numbers of calls")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the calls at the upstream per click over the tries of each layer, the predictions dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    most = last[last["way"] == TWO].groupby("tries")["calls"].mean()
    figure, (ax,) = canvas(
        f"{most.index.max()} tries in each of two layers: one click becomes {most.max():g} calls",
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
