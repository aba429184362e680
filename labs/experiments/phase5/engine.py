"""An engine: what a workflow engine takes over from a saga, and what the participants must still do."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from labs.experiments.phase5.engine_order import order_at
from labs.figures import BLUE, INK, PREDICTION, VERMILLION, canvas, legend, styled
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
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which part of a saga does a workflow engine take over, and which part not?"

THEORY = (
    "An engine stores the result of each step, so that a workflow goes on where its worker died: outbox, state row, "
    "sweeper and retries are the engine's. It cannot see whether a step without an answer had its effect. So a step "
    "may begin twice, and a compensation may arrive before its action: only an idempotent participant charges once, "
    "and only a participant with a tombstone does not charge a cancelled order."
)

ENGINE = "dbos"
"""The package; the extra `engines` of pyproject.toml names it."""

FIRST, BELOW = (3, 4), (4, 0)
"""Its first version with all that the workflow uses, and the first one that may be another."""

ABSENT = (
    "DBOS 3.4, the engine, is not installed; `.venv/bin/python -m pip install 'dbos>=3.4,<4'` installs it, then "
    "measure again"
)

RUNTIME = "none (DBOS, a library)"
"""In the place of the runtime: participants and worker are processes of the experiment's own."""

PARTICIPANTS: Sequence[str] = ("microservices.checker.participants",)
"""The module that serves the participants' tables, and its arguments."""

ANSWERED, LATE, KILLED = "is answered", "arrives after its cancel", "has no answer: worker killed"
"""What happens to the charge."""

NONE = "none"
"""In place of a wrong design: the participants as they are."""

PREFIX = "lab-engine-"
"""The temporary folder of a case."""

TOGETHER = 2
"""Cases that run at the same time: each has programs and files of its own, and most of its time is imports."""

JUDGED = (
    "the workflow of a killed worker goes on; a charge that it repeats is made once by an idempotent participant, and "
    "a charge that arrives after its cancel is not made by a participant with a tombstone: exact"
)

PALE = "#c9ced3"
"""The colour of the requests, so that the charges stand out."""


class Way(NamedTuple):
    """One way of an order, and what is predicted of it.

    `design` is a wrong design that the checker names; `requests` are those for the charge.
    """

    case: str
    design: str
    charge: str
    status: str
    requests: int
    charges: int
    refunds: int = 0


WAYS = (
    Way("every step is answered", NONE, ANSWERED, "completed", 1, 1),
    Way("the charge arrives late", NONE, LATE, "cancelled", 1, 0),
    Way("the same, no tombstone", "no-tombstone-payment", LATE, "cancelled", 1, 1),
    Way("the worker is killed", NONE, KILLED, "completed", 2, 1),
    Way("the same, not idempotent", "charge-each-delivery", KILLED, "completed", 2, 2),
)


def predict(*, cases: Sequence[str] = ()) -> pd.DataFrame:
    """Return `THEORY` as numbers, for these cases, or for all.

    Columns: `case`, `design` (a wrong design that the checker names, or `none`), `charge` (what happens to it),
    `status` (of the order), `requests` (for the charge), `charges`, `refunds`.
    """
    return pd.DataFrame(_ways(cases))


def _ways(cases: Sequence[str]) -> list[Way]:
    return [way for way in WAYS if not cases or way.case in cases]


def measure(env: Environment, *, cases: Sequence[str] = (), seconds: float = 2.0) -> pd.DataFrame:
    """Let the engine run the workflow of one order in each case. The environment is not used.

    A charge that is to be late is held until the workflow has given it up, after `seconds`, and has ended. A worker is
    killed while the request for the charge is under way, and another one goes on with the engine's file.

    One row per case. Columns: `case`, `installed` (whether the engine is), `arranged` (whether all happened in the
    order that the case needs), `status` (empty when the workflow did not end in time), `requests`, `charges`,
    `refunds`, `payment`, `inventory` (the states at the end), `resting` (whether no request was under way at the end),
    `runtime`, `attempt`.
    """
    installed = is_installed()
    run = _run if installed else _not_run
    ways = _ways(cases)
    with ThreadPoolExecutor(TOGETHER) as pool:
        found = list(pool.map(lambda way: run(way, seconds), ways))
    rows = [{"case": way.case, **row} for way, row in zip(ways, found, strict=True)]
    return pd.DataFrame(rows).assign(installed=installed, runtime=RUNTIME, attempt=1)


def is_installed() -> bool:
    """Return whether the engine is installed, in a version that the workflow is written for."""
    try:
        major, minor = version(ENGINE).split(".")[:2]
    except PackageNotFoundError:
        return False
    return FIRST <= (int(major), int(minor)) < BELOW


def _run(way: Way, seconds: float) -> dict[str, Any]:
    design = () if way.design == NONE else ("--mutant", way.design)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX) as folder,
        order_at([*PARTICIPANTS, *design], Path(folder)) as order,
    ):
        ways = {ANSWERED: order.bought, LATE: lambda: order.given_up(seconds), KILLED: order.killed}
        arranged, status = ways[way.charge]()
        seen = order.rest()
    return {
        "arranged": arranged,
        "status": status,
        "requests": seen.begun,
        "charges": seen.charges,
        "refunds": seen.refunds,
        "payment": seen.payment,
        "inventory": seen.inventory,
        "resting": seen.begun == seen.done,
    }


def _not_run(way: Way, seconds: float) -> dict[str, Any]:
    counts = dict.fromkeys(("requests", "charges", "refunds"), 0)
    states = dict.fromkeys(("status", "payment", "inventory"), "")
    return {"arranged": False, **counts, **states, "resting": False}


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count exactly.

    Policy: every attempt, since no machine makes a participant charge an order once more. In doubt are cases that did
    not happen as they should: the cancel was not first, or the step did not begin again. Another attempt does not
    install an engine.
    """
    attempts = [part.set_index("case") for part in each_attempt(samples)]
    if not samples["installed"].any():
        return verdict(__name__, JUDGED, [Case("", [doubt(ABSENT)])], every_attempt, extend=False)
    cases = []
    for row in prediction.to_dict("records"):
        last = attempts[-1].loc[row["case"]].to_dict() if row["case"] in attempts[-1].index else {}
        details = {name: last.get(name) for name in ("status", "requests", "charges", "payment")}
        cases.append(Case(row["case"], [_as_predicted(part, row) for part in attempts], details))
    return verdict(__name__, JUDGED, cases, every_attempt)


def _as_predicted(ways: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if expected["case"] not in ways.index:
        return doubt("not measured")
    way = ways.loc[expected["case"]].to_dict()
    right = expected["design"] == NONE
    if right and way["charges"] - way["refunds"] > 1:
        return failure("the order was charged twice")
    if right and way["status"] == "cancelled" and way["charges"] > way["refunds"]:
        return failure("the order was cancelled and charged")
    if not way["arranged"]:
        return doubt("the charge was not held, or the worker not killed, as the case needs it")
    if not (way["status"] and way["resting"]):
        return doubt("the workflow did not end in time")
    if any(way[name] != expected[name] for name in ("status", "requests", "charges", "refunds")):
        return failure("the order ended otherwise than predicted")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the requests for the charge and the charges that were made, by case; the predicted charges dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()].set_index("case")
    figure, (ax,) = canvas(
        _title(last), runtime=str(last["runtime"].iloc[0]), height=1.4 + 0.6 * len(prediction)
    )
    ax.barh(0, 0, color=VERMILLION, label="charges that are wrong")
    for y, row in enumerate(prediction.to_dict("records")):
        way = last.loc[row["case"]].to_dict()
        kept = way["charges"] - way["refunds"]
        wrong = kept != (way["status"] == "completed")
        requests, charges, predicted = (
            ("requests for the charge", "charges", "charges, predicted") if y == 0 else [None] * 3
        )
        ax.barh(y - 0.2, way["requests"], height=0.3, color=PALE, label=requests)
        ax.barh(y + 0.15, kept, height=0.36, color=VERMILLION if wrong else BLUE, label=charges)
        ax.plot([row["charges"]] * 2, [y - 0.1, y + 0.4], label=predicted, **PREDICTION)
        text = f"{way['status']}, {_times(kept)}" if way["status"] else "no end"
        ax.text(max(kept, row["charges"]) + 0.05, y + 0.15, text, va="center", size=9, color=INK)
    ax.set_yticks(range(len(prediction)), prediction["case"])
    ax.set_ylim(len(prediction) - 0.5, -0.5)
    ax.set_xlim(-0.03, 3)
    ax.set_xticks(range(4))
    ax.set_xlabel("requests and charges of one order (count)")
    ax.grid(visible=False, axis="y")
    legend(figure, ax)
    return figure


def _title(ways: pd.DataFrame) -> str:
    if not ways["installed"].any():
        return "Not measured: DBOS 3.4, the engine, is not installed"
    kept = ways["charges"] - ways["refunds"]
    wrong = int((kept != (ways["status"] == "completed")).sum())
    ended = int((ways["status"] != "").sum())
    return (
        f"The engine ended {ended} of {len(ways)} orders, and {wrong} of them have a wrong charge"
    )


def _times(charges: int) -> str:
    return {0: "not charged", 1: "charged"}.get(charges, f"charged {charges} times")
