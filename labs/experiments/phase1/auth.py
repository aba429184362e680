"""Authentication at the gateway: which Authorization headers are accepted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from labs.experiments.answers import compare, judge_exact, plot_exact
from labs.figures import styled
from labs.guessing import EXACT, Guess

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "Which headers does the gateway accept?"

THEORY = (
    "Only `Bearer` (in any case) with the whole token is accepted; everything else is answered "
    "with 401, and with the scheme that is required (RFC 9110, section 11.6.1)."
)

STATUS, CHALLENGE = "status", "requires"
"""What is read from each response: its status, and the scheme in its WWW-Authenticate header."""

NO_HEADER, NOTHING = "no header", "nothing"

KEYS = ("header", "check")
"""The columns that identify the question of a row."""

JUDGED = "the right bearer token is answered with 200, everything else with 401 and the scheme it requires"

GUESSES = {
    "accepted": Guess(
        "The token is demo-token. How many of these eight requests are accepted: no header, Bearer "
        "demo-token, bearer demo-token, Bearer guessed-token, Bearer demo-toke, Bearer demo-tokens, "
        "Basic demo-token, and demo-token alone?",
        "requests",
        measured=lambda samples: _accepted(samples, "observed"),
        right=EXACT,
        reference=2,
        theory=lambda prediction: _accepted(prediction, "expected"),
    ),
}


def predict(token: str) -> pd.DataFrame:
    """Return `THEORY` as a table of answers.

    `token` is the gateway's AUTH_TOKEN. Columns: `header` (the value of Authorization), `check`,
    `expected` (text).
    """
    accepted = {
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
            for header, right_one in accepted.items()
            for check, expected in (right if right_one else wrong).items()
        ]
    )


def measure(env: Environment, *, headers: Iterable[str]) -> pd.DataFrame:
    """Request `/api/secure` with each of these headers; one row per checked part of a response.

    Columns: `header`, `check`, `observed` (text), `runtime`, `attempt`.
    """
    url = f"{env['api-gateway'].url}/api/secure"
    rows = []
    with httpx.Client(timeout=10) as client:
        for header in dict.fromkeys(headers):
            sent = {} if header == NO_HEADER else {"Authorization": header}
            response = client.get(url, headers=sent)
            challenge = response.headers.get("WWW-Authenticate", NOTHING).partition(" ")[0]
            observed = {STATUS: str(response.status_code), CHALLENGE: challenge}
            rows += [{"header": header, "check": k, "observed": v} for k, v in observed.items()]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _accepted(frame: pd.DataFrame, column: str) -> int:
    """Return how many headers were answered with 200."""
    accepted = frame[(frame["check"] == STATUS) & (frame[column] == "200")]
    return int(accepted["header"].nunique())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Return an exact verdict: every header is answered as predicted.

    Inconclusive where one was not sent. Policy `latest`, see `judge_exact`.
    """
    return judge_exact(__name__, JUDGED, samples, prediction, KEYS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw a table of headers and answers."""
    both = compare(samples, prediction, KEYS)
    accepted = int(((both["check"] == STATUS) & (both["observed"] == "200")).sum())
    title = f"{accepted} of {both['header'].nunique()} headers are accepted"
    return plot_exact(title, samples, prediction, KEYS)
