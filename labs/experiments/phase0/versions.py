"""Versions side by side."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from labs.experiments.answers import judge_exact, plot_exact
from labs.figures import styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Do two versions of a service answer as themselves, sharing nothing?"

THEORY = (
    "Version 2 adds an email and a look-up by id; version 1 has neither. Each has its own "
    "database, so a user created in one does not exist in the other."
)

SAYS, EMAIL, ONE, OWN, OTHER = (
    "says its version",
    "gives users an email",
    "finds one user by id",
    "lists its own new user",
    "lists the other's new user",
)
"""What each version is asked."""

KEYS = ("version", "check")
"""The columns that say which question a row answers."""

JUDGED = "both versions answer at once, each as itself, and neither sees the other's data"


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `version`, `check`, `expected` (text).
    """
    answers = {
        "1": {SAYS: "1", EMAIL: "no", ONE: "no", OWN: "yes", OTHER: "no"},
        "2": {SAYS: "2", EMAIL: "yes", ONE: "yes", OWN: "yes", OTHER: "no"},
    }
    return pd.DataFrame(
        [
            {"version": version, "check": check, "expected": answer}
            for version, checks in answers.items()
            for check, answer in checks.items()
        ]
    )


def measure(first: Environment, second: Environment) -> pd.DataFrame:
    """Ask user-service 1 (in `first`) and 2 (in `second`) the same questions, at the same time.

    Each gets a user of its own before either is asked. Columns: `version` (the one started),
    `check`, `observed` (text), `runtime`, `attempt`.
    """
    urls = {"1": first["user-service"].url, "2": second["user-service"].url}
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
    return pd.DataFrame(rows).assign(runtime=first.runtime, attempt=1)


def _create(client: httpx.Client, url: str, version: str, name: str) -> str:
    """The id of a new user."""
    email = {"email": "ada@example.com"} if version == "2" else {}
    answer = client.post(f"{url}/users", json={"name": name, **email}).raise_for_status()
    return str(answer.json()["id"])


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
    users: list[dict[str, Any]] = client.get(f"{url}/users").raise_for_status().json()
    listed = {person["name"] for person in users}
    other = next(name for owner, name in names.items() if owner != version)
    yield SAYS, str(client.get(f"{url}/health").json()["version"])
    yield EMAIL, _word(any("email" in person for person in users))
    yield ONE, _word(client.get(f"{url}/users/{user}").is_success)
    yield OWN, _word(names[version] in listed)
    yield OTHER, _word(other in listed)


def _word(answer: bool) -> str:
    return "yes" if answer else "no"


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact: every answer of both versions is the expected one; inconclusive without an answer."""
    return judge_exact(__name__, JUDGED, samples, prediction, KEYS, rows="version {}")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """A table of answers, coloured by agreement with the prediction beneath each."""
    title = "Two versions, side by side"
    return plot_exact(title, samples, prediction, KEYS, height=3.4, rows="user-service {}")
