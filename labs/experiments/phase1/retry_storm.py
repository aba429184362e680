"""Retry storm: the calls at an upstream that fails, when one layer or several retry, and with a budget of retries."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
from matplotlib.ticker import NullLocator

from labs.evidence import Counterexample
from labs.experiments.phase1.metrics import answered
from labs.figures import BLUE, GREEN, INK, ORANGE, PINK, PREDICTION, canvas, legend, styled
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    Kind,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)
from labs.load.open_loop import Stream, run_load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "How many calls does one click become when several layers retry?"

THEORY = (
    "Each layer sends a request r times (the first try included) to a next one that always "
    "fails, so k layers turn one click into r^k calls; a breaker passes no more calls than "
    "the failures it takes to open it, however many clicks and tries there are; a budget admits the "
    "retries that were saved, a fifth of one for each click, and ten for each second, whatever r is."
)

ONE, TWO, BREAKER = "one layer", "two layers", "one layer, a breaker"

BUDGET = "one layer, many clicks: a budget"

SAVED, SHARE, PER_SECOND = 100, 0.2, 10
"""The gateway's budget of retries (`budget.py`): how many are saved at the beginning, and what each click and each
second add."""

RATE = 200
"""Clicks per second for the budget: their retries exceed it within a second."""

SLACK = 0.05
"""Share of the calls by which the count with a budget may be below the predicted one."""

ROUTES = {
    ONE: ("order-service", "/orders"),
    TWO: ("api-gateway", "/api/orders"),
    BREAKER: ("api-gateway", "/api/pay"),
}
"""Where each takes place: order-service retries its calls to payment-service; the gateway in front of it
retries its calls to order-service; and on its own way to payment-service the gateway has a breaker."""

LAYERS = {ONE: 1, TWO: 2, BREAKER: 1, BUDGET: 1}

FORMULAE = {ONE: "$r$", TWO: "$r^2$", BREAKER: "the breaker's\nfailures, once", BUDGET: "a budget"}

COLOURS = {ONE: BLUE, TWO: ORANGE, BREAKER: GREEN, BUDGET: PINK}

SIZES = {ONE: 14, TWO: 8, BREAKER: 9, BUDGET: 9}
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
    "with a breaker all clicks together reach it only as often as it takes to open, and with a budget "
    "many clicks make the retries that it holds"
)

GUESSES = {
    "calls": Guess(
        "The gateway and order-service both try three times, and payment-service always fails. How "
        "many calls does payment-service get for one click?",
        "calls",
        measured=lambda samples: _calls_per_click(samples),
        right=EXACT,
        reference=9,
        theory=lambda prediction: _calls_per_click(prediction),
    ),
}


def predict(
    *,
    tries: Sequence[int] = (1, 2, 3),
    clicks: int = 5,
    breaker_failures: int = 3,
    seconds: float = 1.2,
) -> pd.DataFrame:
    """Return `THEORY` as calls at the upstream, for all clicks together.

    The clicks of the budget are those of `seconds` at `RATE`. Columns: `way`, `tries` (r, of each
    layer), `clicks`, `calls`.
    """
    rows = []
    for way, layers in LAYERS.items():
        number = round(RATE * seconds) if way == BUDGET else clicks
        for each in tries:
            calls = number * each**layers
            if way == BREAKER:
                calls = min(calls, breaker_failures)
            if way == BUDGET:
                calls = min(calls, number + round(budget(number, seconds)))
            rows.append({"way": way, "tries": each, "clicks": number, "calls": calls})
    return pd.DataFrame(rows)


def budget(clicks: int, seconds: float) -> float:
    """Return the retries that the gateway's budget holds for so many clicks in that time."""
    return SAVED + SHARE * clicks + PER_SECOND * seconds


def measure(
    env: Environment,
    *,
    tries: Iterable[int] = (1, 2, 3),
    clicks: int = 5,
    seconds: float = 1.2,
) -> pd.DataFrame:
    """Click while payment-service answers 503 at once; return one row per click.

    For the budget, user-service answers 503 to many clicks on the list of users, on their own
    schedule for `seconds`; all of them are one row. Configures the tries of order-service and the
    gateway, and leaves them at the least of `tries`. Columns: `way`, `tries`, `click`, `clicks` (in
    this row), `calls` (that the upstream counted for these), `correlation` (the click's id; empty for
    many), `status` (of the client's response; the least one of many), `seconds` (from the first click
    of the row to the last response), `runtime`, `attempt`.
    """
    rows: list[dict[str, Any]] = []
    with httpx.Client(timeout=30) as client, env["payment-service"].failing(503):
        for each in sorted(tries, reverse=True):
            env.configure("order-service", RETRY_TRIES=each)
            env.configure("api-gateway", RETRY_TRIES=each, BREAKER_OPEN_SECONDS=OPEN_SECONDS)
            rows += [row | {"tries": each} for row in _click(env, client, clicks)]
            rows.append(_click_many(env, client, seconds) | {"tries": each})
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _click(env: Environment, client: httpx.Client, clicks: int) -> Iterator[dict[str, Any]]:
    upstream = env["payment-service"].url
    for way, (service, path) in ROUTES.items():
        url, body = env[service].url + path, BODIES[path.removeprefix("/api")]
        for number in range(1, clicks + 1):
            before = answered(client, upstream)
            key = {"Idempotency-Key": uuid.uuid4().hex}  # without one the gateway repeats no POST
            response = client.post(url, json=body, headers=key)
            yield {
                "way": way,
                "click": number,
                "clicks": 1,
                "calls": answered(client, upstream) - before,
                "correlation": response.headers.get("X-Correlation-Id", ""),
                "status": response.status_code,
                "seconds": response.elapsed.total_seconds(),
            }


def _click_many(env: Environment, client: httpx.Client, seconds: float) -> dict[str, Any]:
    """Return one row of clicks whose retries exceed the gateway's budget for user-service."""
    users = env["user-service"]
    clicks = Stream("users", f"{env['api-gateway'].url}/api/users", rate=RATE)
    with users.failing(503):
        before = answered(client, users.url, method="GET", status="503")
        samples = run_load(clicks, seconds=seconds, seed=env.seed)
        calls = answered(client, users.url, method="GET", status="503") - before
    ended = samples["intended"] + samples["latency"]
    return {
        "way": BUDGET,
        "click": 1,
        "clicks": len(samples),
        "calls": calls,
        "correlation": "",
        "status": int(samples["status"].min()),
        "seconds": float(ended.max() - samples["intended"].min()),
    }


def _calls_per_click(frame: pd.DataFrame) -> float:
    """Return the calls of a click with the most tries in two layers."""
    rows = frame[(frame["way"] == TWO) & (frame["tries"] == frame["tries"].max())]
    return float(rows["calls"].sum() / rows["clicks"].sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Return an exact verdict from the failing service's own count.

    No click makes more calls than predicted, and the clicks of an attempt together make as many. With
    a budget the calls are at most those it holds for the time that the clicks really took, and at
    least the predicted ones less `SLACK`. Inconclusive where a click succeeded, so that there was
    nothing to retry.

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
    if expected["way"] == BUDGET:
        return _budgeted(clicks.iloc[0].to_dict(), expected)
    if clicks["calls"].sum() != expected["calls"]:
        return failure("the calls at the upstream are not those predicted")
    each = expected["calls"] // expected["clicks"]
    if expected["way"] != BREAKER and (clicks["calls"] != each).any():
        return failure("the clicks made different numbers of calls")
    return SETTLED


def _budgeted(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    if row["clicks"] != expected["clicks"]:
        return doubt("not every click was made")
    most = row["clicks"] + budget(row["clicks"], row["seconds"])
    if row["calls"] > min(most, row["clicks"] * expected["tries"]):
        return failure("more calls than the budget admits")
    if row["calls"] < (1 - SLACK) * expected["calls"]:
        return failure("fewer calls than the budget admits")
    return SETTLED


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return the click whose number of calls is furthest from the prediction; None where the samples have no ids."""
    if "correlation" not in samples:
        return None
    for row in prediction[prediction["way"] != BUDGET].to_dict("records"):
        chosen = (samples["way"] == row["way"]) & (samples["tries"] == row["tries"])
        for clicks in each_attempt(samples[chosen]):
            if _finding(clicks, row).kind is Kind.FAILURE:
                off = (clicks["calls"] - row["calls"] / row["clicks"]).abs()
                text = f"a click that led to more or fewer calls than predicted ({row['way']})"
                return Counterexample(str(clicks.loc[off.idxmax(), "correlation"]), text)
    return None


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the calls at the upstream per click over the tries of each layer, the predictions dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    most = last[last["way"] == TWO].groupby("tries")["calls"].mean()
    figure, (ax,) = canvas(
        f"{most.index.max()} tries in each of two layers: one click becomes {most.max():g} calls",
        runtime=last["runtime"].iloc[0],
        note=f"means of {prediction['clicks'].min()} clicks, with a budget of {prediction['clicks'].max()}",
        height=4.4,
    )
    for way, colour in COLOURS.items():
        expected = prediction[prediction["way"] == way]
        sums = last[last["way"] == way].groupby("tries")[["calls", "clicks"]].sum()
        mean = sums["calls"] / sums["clicks"]
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
    exact = prediction[prediction["way"] != BUDGET]
    marks = sorted({1.0, *(exact["calls"] / exact["clicks"])})
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
    ax.set_ylim(marks[0] / 1.6, marks[-1] * 1.4)
    ax.yaxis.set_minor_locator(NullLocator())
    tries = sorted(set(prediction["tries"]))
    ax.set_xticks(tries)
    ax.set_xlim(tries[0] - 0.2, tries[-1] + 0.6)
    ax.set_xlabel("tries of each layer, the first included (r)")
    ax.set_ylabel("calls at the failing service per click (log)")
    legend(figure, ax)
    return figure
