"""Authentication at the front door."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from labs.experiments.answers import judge_exact, plot_exact
from labs.figures import styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which headers open it?"

THEORY = (
    "Only `Bearer` (in any case) and the whole token open the door; everything else is "
    "answered with 401, and with the scheme that would open it (RFC 9110, section 11.6.1)."
)

STATUS, CHALLENGE = "status", "asks for"
"""What is read off each answer: its status, and the scheme its WWW-Authenticate header names."""

NO_HEADER, NOTHING = "no header", "nothing"

KEYS = ("header", "check")

JUDGED = "the right bearer token is answered with 200, everything else with 401 and what it takes"


def predict(token: str) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `token` is the gateway's AUTH_TOKEN. Columns: `header` (the value of Authorization), `check`, `expected` (text).
    """
    opens = {
        NO_HEADER: False,
        f"Bearer {token}": True,
        f"bearer {token}": True,
        "Bearer guessed-token": False,
        f"Bearer {token[:-1]}": False,
        f"Bearer {token}s": False,
        f"Basic {token}": False,
        token: False,
    }
    right, wrong = {STATUS: "200", CHALLENGE: NOTHING}, {STATUS: "401", CHALLENGE: "Bearer"}
    return pd.DataFrame(
        [
            {"header": header, "check": check, "expected": expected}
            for header, opened in opens.items()
            for check, expected in (right if opened else wrong).items()
        ]
    )


def measure(env: Environment, *, headers: Iterable[str]) -> pd.DataFrame:
    """Ask for `/api/secure` with each of these headers; one row per part of an answer.

    Columns: `header`, `check`, `observed` (text), `runtime`, `attempt`.
    """
    url = f"{env['api-gateway'].url}/api/secure"
    rows = []
    with httpx.Client(timeout=10) as client:
        for header in dict.fromkeys(headers):
            sent = {} if header == NO_HEADER else {"Authorization": header}
            answer = client.get(url, headers=sent)
            challenge = answer.headers.get("WWW-Authenticate", NOTHING).partition(" ")[0]
            observed = {STATUS: str(answer.status_code), CHALLENGE: challenge}
            rows += [{"header": header, "check": k, "observed": v} for k, v in observed.items()]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact: every header is answered as predicted; inconclusive where one was not sent."""
    return judge_exact(__name__, JUDGED, samples, prediction, KEYS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """A table of headers and answers, coloured by agreement with the prediction beneath each."""
    return plot_exact("Which headers open the door?", samples, prediction, KEYS, height=6.4)
