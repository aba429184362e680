"""Partial answers: the dashboard before, while and after one of its services is stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from labs.experiments.answers import compare, judge_exact, plot_exact
from labs.figures import styled
from labs.guessing import EXACT, Guess

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "What does a dashboard show while one of its two services is stopped?"

THEORY = (
    "While one part is missing, the other parts are shown: the dashboard still answers 200, with "
    "null in place of the missing part, and names the service. It is whole again as soon as that "
    "service is."
)

BEFORE, DURING, AFTER = "before", "while stopped", "after"

STATUS, USERS, ORDERS, PARTIAL, UNAVAILABLE = (
    "status",
    "users",
    "orders",
    "partial",
    "unavailable",
)
"""What is read from each dashboard."""

SERVICES = {USERS: "user-service", ORDERS: "order-service"}

SHOWN, NULL = "shown", "null"
"""`shown`: the same list that the service itself returns."""

ASKED = "order-service itself"
"""Not a part of the dashboard: how the stopped service answered a direct request."""

ANSWERS, SILENT = "answers", "silent"

CONNECT_SECONDS = 0.3
"""The gateway's connect timeout. A machine on which a service needs longer than this makes partial
answers by itself."""

KEYS = ("moment", "check")
"""The columns that identify the question of a row."""

JUDGED = (
    "while order-service is stopped the dashboard answers 200 with the users, orders null and named, "
    "partial true; before and after it is whole"
)

GUESSES = {
    "status": Guess(
        "order-service is stopped. With which HTTP status does the dashboard of users and orders "
        "answer?",
        "HTTP status",
        measured=lambda samples: _status(samples, "observed"),
        right=EXACT,
        reference=200,
        theory=lambda prediction: _status(prediction, "expected"),
    ),
}


def predict() -> pd.DataFrame:
    """Return `THEORY` as a table of answers.

    Columns: `moment`, `check`, `expected` (text).
    """
    whole = {STATUS: "200", USERS: SHOWN, ORDERS: SHOWN, PARTIAL: "false", UNAVAILABLE: "nothing"}
    partly = whole | {ORDERS: NULL, PARTIAL: "true", UNAVAILABLE: SERVICES[ORDERS]}
    return pd.DataFrame(
        [
            {"moment": moment, "check": check, "expected": expected}
            for moment, answers in ((BEFORE, whole), (DURING, partly), (AFTER, whole))
            for check, expected in answers.items()
        ]
    )


def measure(env: Environment, *, times: int = 5) -> pd.DataFrame:
    """Request the dashboard `times` times before order-service is stopped, while it is, and after.

    One row per part of a response. Columns: `moment`, `check`, `observed` (text), `waited` (seconds
    that a direct request to user-service took just before), `runtime`, `attempt`.
    """
    with httpx.Client(timeout=10) as client:
        rows = _ask(client, env, BEFORE, times)
        with env[SERVICES[ORDERS]].stopped():
            rows += _ask(client, env, DURING, times)
        rows += _ask(client, env, AFTER, times)
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _ask(client: httpx.Client, env: Environment, moment: str, times: int) -> list[dict[str, Any]]:
    rows = []
    for _ in range(times):
        began = time.perf_counter()
        own = {USERS: _list(client, f"{env[SERVICES[USERS]].url}/users")}
        waited = time.perf_counter() - began
        own[ORDERS] = _list(client, f"{env[SERVICES[ORDERS]].url}/orders")
        response = client.get(f"{env['api-gateway'].url}/api/dashboard")
        checks = _read(response, own) | {ASKED: SILENT if own[ORDERS] is None else ANSWERS}
        rows += [
            {"moment": moment, "check": check, "observed": observed, "waited": waited}
            for check, observed in checks.items()
        ]
    return rows


def _list(client: httpx.Client, url: str) -> list[Any] | None:
    """Return the list of a service itself; None when it does not answer."""
    try:
        items: list[Any] = client.get(url).raise_for_status().json()
    except httpx.HTTPError:
        return None
    return items


def _read(response: httpx.Response, own: dict[str, list[Any] | None]) -> dict[str, str]:
    """Return the answer to each check, as a text."""
    body: dict[str, Any] = response.json()
    return {
        STATUS: str(response.status_code),
        USERS: _shown(body, USERS, own),
        ORDERS: _shown(body, ORDERS, own),
        PARTIAL: str(body.get("partial", "missing")).lower(),
        UNAVAILABLE: ", ".join(body.get("unavailable", ["missing"])) or "nothing",
    }


def _shown(body: dict[str, Any], part: str, own: dict[str, list[Any] | None]) -> str:
    if part not in body:
        return "missing"
    if body[part] is None:
        return NULL
    return SHOWN if body[part] == own[part] else "other"


def _status(frame: pd.DataFrame, column: str) -> float:
    """Return the status of most dashboards while the service was stopped."""
    stopped = (frame["moment"] == DURING) & (frame["check"] == STATUS)
    return float(frame.loc[stopped, column].mode().iloc[0])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Return an exact verdict on every dashboard at every moment. Policy `latest`, see `judge_exact`.

    Inconclusive when order-service was not silent, to direct requests, for exactly as long as it
    was stopped. A wrong answer is in doubt when a direct request to user-service took longer than
    the gateway's connect timeout; a right one is not, because a busy machine cannot make an answer
    right.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    asked = last[last["check"] == ASKED].groupby("moment")["observed"].unique().map(list).to_dict()
    stopped = asked == {BEFORE: [ANSWERS], DURING: [SILENT], AFTER: [ANSWERS]}
    busy = bool((last["waited"] > CONNECT_SECONDS).any())
    return judge_exact(
        __name__,
        JUDGED,
        samples,
        prediction,
        KEYS,
        doubts=[] if stopped else ["order-service was not stopped for exactly that time"],
        excuse="this machine kept direct requests waiting, too" if busy else "",
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw a table of answers per moment."""
    both = compare(samples, prediction, KEYS).set_index(list(KEYS))["observed"]
    orders = f"orders {both[DURING, ORDERS] or 'unknown'}"
    title = f"While order-service is stopped: status {both[DURING, STATUS] or 'unknown'}, {orders}"
    return plot_exact(title, samples, prediction, KEYS)
