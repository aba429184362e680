"""Two versions of a service side by side: each answers as itself, and has its own data."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from labs.experiments.answers import compare, judge_exact, plot_exact
from labs.figures import styled
from labs.guessing import EXACT, Guess
from labs.pages import read_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "Do two versions of a service answer as themselves, sharing nothing?"

THEORY = (
    "Version 2 adds an email and a look-up by id; version 1 has neither. Each has its own "
    "database, so a user created in one does not exist in the other."
)

VERSION, EMAIL, ONE, OWN, OTHER = (
    "its version in /health",
    "gives users an email",
    "finds one user by id",
    "lists its own new user",
    "lists the other's new user",
)
"""The questions that each version is asked."""

KEYS = ("version", "check")
"""The columns that identify the question of a row."""

JUDGED = "both versions answer at once, each as itself, and neither lists the other's data"

GUESSES = {
    "differences": Guess(
        "Versions 1 and 2 of user-service are asked the same five questions: which version they "
        "are, whether users have an email, whether one user can be found by id, whether they list "
        "their own new user, and the other's. To how many do they give different answers?",
        "questions",
        measured=lambda samples: _different(samples, "observed"),
        right=EXACT,
        reference=3,
        theory=lambda prediction: _different(prediction, "expected"),
    ),
}


def predict() -> pd.DataFrame:
    """Return `THEORY` as a table of answers.

    Columns: `version`, `check`, `expected` (text).
    """
    answers = {
        "1": {VERSION: "1", EMAIL: "no", ONE: "no", OWN: "yes", OTHER: "no"},
        "2": {VERSION: "2", EMAIL: "yes", ONE: "yes", OWN: "yes", OTHER: "no"},
    }
    return pd.DataFrame(
        [
            {"version": version, "check": check, "expected": answer}
            for version, checks in answers.items()
            for check, answer in checks.items()
        ]
    )


def measure(env: Environment, second: Environment) -> pd.DataFrame:
    """Ask user-service 1 (in `env`) and user-service 2 (in `second`) the same questions, at the same time.

    Each gets a user of its own before either is asked. Columns: `version` (the one started),
    `check`, `observed` (text), `runtime`, `attempt`.
    """
    urls = {"1": env["user-service"].url, "2": second["user-service"].url}
    names = {version: f"Ada {uuid.uuid4().hex[:8]}" for version in urls}
    with httpx.Client(timeout=10) as client, ThreadPoolExecutor(len(urls)) as together:
        made = {
            version: _create(client, urls[version], version, names[version]) for version in urls
        }
        asked = {
            version: together.submit(_ask, client, urls[version], version, names, made[version])
            for version in urls
        }
        rows = [row for answers in asked.values() for row in answers.result()]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _create(client: httpx.Client, url: str, version: str, name: str) -> str:
    """Return the id of a new user."""
    email = {"email": "ada@example.com"} if version == "2" else {}
    response = client.post(f"{url}/users", json={"name": name, **email}).raise_for_status()
    return str(response.json()["id"])


def _ask(
    client: httpx.Client, url: str, version: str, names: dict[str, str], user: str
) -> list[dict[str, str]]:
    return [
        {"version": version, "check": check, "observed": observed}
        for check, observed in _answers(client, url, version, names, user)
    ]


def _answers(
    client: httpx.Client, url: str, version: str, names: dict[str, str], user: str
) -> Iterator[tuple[str, str]]:
    users: list[dict[str, Any]] = read_all(client, f"{url}/users")
    listed = {person["name"] for person in users}
    other = next(name for owner, name in names.items() if owner != version)
    yield VERSION, str(client.get(f"{url}/health").json()["version"])
    yield EMAIL, _yes_or_no(any("email" in person for person in users))
    yield ONE, _yes_or_no(client.get(f"{url}/users/{user}").is_success)
    yield OWN, _yes_or_no(names[version] in listed)
    yield OTHER, _yes_or_no(other in listed)


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _different(frame: pd.DataFrame, column: str) -> int:
    """Return to how many questions the two versions give different answers."""
    answers = frame.drop_duplicates(list(KEYS), keep="last").groupby("check")[column]
    return int((answers.nunique() > 1).sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Return an exact verdict: every answer of both versions is the expected one.

    Inconclusive where a question has no answer. Policy `latest`, see `judge_exact`.
    """
    return judge_exact(__name__, JUDGED, samples, prediction, KEYS, rows="version {}")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw a table of answers."""
    both = compare(samples, prediction, KEYS)
    finds = both[(both["check"] == ONE) & (both["observed"] == "yes")]["version"]
    shared = int(((both["check"] == OTHER) & (both["observed"] == "yes")).sum())
    by_id = {0: "No version finds", 1: f"Only version {''.join(finds)} finds"}
    lists = f"{shared} of them lists" if shared else "neither lists"
    title = f"{by_id.get(len(finds), 'Both versions find')} a user by id; {lists} the other's users"
    return plot_exact(title, samples, prediction, KEYS, rows="user-service {}")
