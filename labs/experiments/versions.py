"""Versions side by side: do two versions of a service answer as themselves, sharing nothing?"""

from __future__ import annotations

import textwrap
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
from matplotlib.patches import FancyBboxPatch

from labs.figures import BLUE, INK, SOFT, VERMILLION, canvas, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

SAYS, EMAIL, ONE, OWN, OTHER = (
    "says its version",
    "gives users an email",
    "finds one user by id",
    "lists its own new user",
    "lists the other's new user",
)
"""What each version is asked."""

JUDGED = "both versions answer at once, each as itself, and neither sees the other's data"


def predict_versions() -> pd.DataFrame:
    """Version 2 adds an email and a look-up by id; version 1 has neither. Each has its own
    database, so a user created in one does not exist in the other.

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


def measure_versions(first: Environment, second: Environment) -> pd.DataFrame:
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


def compare(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Expected beside observed, the last attempt's; `observed` is empty where nothing answered."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    both = prediction.merge(last, on=["version", "check"], how="left")
    both["observed"] = both["observed"].fillna("")
    return both


def judge_versions(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact: every answer of both versions is the expected one; inconclusive without an answer."""
    both = compare(samples, prediction)
    silent = both[both["observed"] == ""]
    wrong = both[(both["observed"] != both["expected"]) & (both["observed"] != "")]
    return Verdict.of(
        "versions",
        JUDGED,
        failures=[
            f"version {row.version}: {row.check}: not as predicted" for row in wrong.itertuples()
        ],
        doubts=[f"version {row.version}: {row.check}: not asked" for row in silent.itertuples()],
        details={f"{row.version}: {row.check}": row.observed for row in both.itertuples()},
    )


@styled
def plot_versions(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """A table of answers, coloured by agreement with the prediction beneath each."""
    both = compare(samples, prediction)
    figure, (ax,) = canvas(
        "Two versions, side by side",
        runtime=samples["runtime"].iloc[0],
        note="the large word is the answer, the small one the prediction",
        height=3.4,
    )
    checks, versions = list(dict.fromkeys(both["check"])), sorted(set(both["version"]))
    for row in both.to_dict("records"):
        _draw_answer(ax, checks.index(row["check"]), versions.index(row["version"]), row)
    ax.set_xlim(-0.5, len(checks) - 0.5)
    ax.set_ylim(len(versions) - 0.5, -0.5)
    ax.set_xticks(range(len(checks)), [textwrap.fill(check, 16) for check in checks])
    ax.set_yticks(range(len(versions)), [f"user-service {version}" for version in versions])
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return figure


def _draw_answer(ax: Axes, column: int, line: int, row: dict[Any, Any]) -> None:
    agrees = row["observed"] == row["expected"]
    colour = BLUE if agrees else VERMILLION
    ax.add_patch(_tile(column, line, colour))
    mark = "" if agrees else "✗ "
    answer = row["observed"] or "no answer"
    ax.text(column, line - 0.08, mark + answer, ha="center", va="center", size=14, color=INK)
    ax.text(column, line + 0.26, f"predicted: {row['expected']}", ha="center", size=8.5, color=SOFT)


def _tile(column: int, line: int, colour: str) -> FancyBboxPatch:
    return FancyBboxPatch(
        (column - 0.42, line - 0.36),
        0.84,
        0.78,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=colour,
        alpha=0.16,
        edgecolor="none",
    )
