"""Partial answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from labs.experiments.answers import judge_exact, plot_exact
from labs.figures import styled
from labs.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does a dashboard show when one of its two services is gone?"

THEORY = (
    "A part that is missing costs that part: the dashboard still answers 200, shows null "
    "where there is nothing to show, and says so. It is whole again as soon as the part is."
)

BEFORE, DURING, AFTER = "before", "while stopped", "after"

STATUS, USERS, ORDERS, PARTIAL, UNAVAILABLE = (
    "status",
    "users",
    "orders",
    "partial",
    "unavailable",
)
"""What is read off each dashboard."""

SERVICES = {USERS: "user-service", ORDERS: "order-service"}

SHOWN, NULL = "shown", "null"
"""`shown` is shown as the service itself says it."""

ASKED = "order-service itself"
"""Not a part of the dashboard: how the stopped service answered when it was asked directly."""

ANSWERS, SILENT = "answers", "silent"

CONNECT_SECONDS = 0.3
"""For so long a gateway waits for a connection, and then does without. A machine on which services
need longer makes partial answers by itself."""

KEYS = ("moment", "check")

JUDGED = (
    "while order-service is stopped the dashboard answers 200 with the users, orders null and named, "
    "partial true; before and after it is whole"
)


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

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
    """Ask for the dashboard `times` times before order-service is stopped, while it is, and after.

    One row per part of an answer. Columns: `moment`, `check`, `observed` (text), `waited` (seconds
    that user-service, asked directly just before, took), `runtime`, `attempt`.
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
        answer = client.get(f"{env['api-gateway'].url}/api/dashboard")
        found = _read(answer, own) | {ASKED: SILENT if own[ORDERS] is None else ANSWERS}
        rows += [
            {"moment": moment, "check": check, "observed": observed, "waited": waited}
            for check, observed in found.items()
        ]
    return rows


def _list(client: httpx.Client, url: str) -> list[Any] | None:
    """What a service itself lists; None when it does not answer."""
    try:
        found: list[Any] = client.get(url).raise_for_status().json()
    except httpx.HTTPError:
        return None
    return found


def _read(answer: httpx.Response, own: dict[str, list[Any] | None]) -> dict[str, str]:
    """Each check's answer, in words."""
    body: dict[str, Any] = answer.json()
    return {
        STATUS: str(answer.status_code),
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


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, for every dashboard at every moment.

    Inconclusive when order-service, asked directly each time, was not silent for just as long as it
    was stopped; and where an answer is wrong while user-service, asked directly, took longer than
    any gateway waits.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    asked = last[last["check"] == ASKED].groupby("moment")["observed"].unique().map(list).to_dict()
    stopped = asked == {BEFORE: [ANSWERS], DURING: [SILENT], AFTER: [ANSWERS]}
    doubts = [] if stopped else ["order-service was not stopped for just that time"]
    verdict = judge_exact(__name__, JUDGED, samples, prediction, KEYS, doubts=doubts)
    if verdict.outcome is Outcome.FAIL and (last["waited"] > CONNECT_SECONDS).any():
        doubts = ["this machine kept direct requests waiting, too"]
        return judge_exact(__name__, JUDGED, samples, prediction, KEYS, doubts=doubts)
    return verdict


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """A table of answers per moment, coloured by agreement with the prediction beneath each."""
    title = "The dashboard, while order-service is stopped"
    return plot_exact(title, samples, prediction, KEYS, height=4.2)
