"""Interleavings: every order of things that can happen to one order, and the wrong designs that some order shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from labs.experiments.phase5 import space_time
from labs.figures import BLUE, INK, PREDICTION, SKY, canvas, styled
from labs.guessing import Guess, within_factor
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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What can happen to one order, and which designs are right whatever happens?"

THEORY = (
    "Three participants, an outbox each, and topics that nothing orders against each other: the states of such a "
    "system can be listed. A walk over all of them, breadth first, finds each way to break a promise, and a shortest "
    "one first."
)

COMMAND = [sys.executable, "-m", "microservices.checker"]
"""The model checker. It walks the services' own tables, and starts no service."""

SECONDS = 900.0
"""Longest wait for one walk."""

RIGHT = "the saga"
"""The kind of a case in which nothing may be found."""

EQUIVALENT, WRONG = "equivalent design", "wrong design"

DRAWN = "no-tombstone-payment"
"""The design whose counter-example the figure shows."""

MODEL = "none (a model)"
"""In the place of the runtime on which an experiment was measured."""

JUDGED = (
    "the walk has exactly the predicted states and ends; it finds nothing wrong in the saga and in the equivalent "
    "designs, and in every wrong design a way of exactly the predicted length"
)


class Walk(NamedTuple):
    """One walk and what is predicted of it: its states and ends, and the steps of the shortest counter-example.

    `steps` is 0 where nothing is wrong; states and ends are 0 where only the way matters.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]
    states: int = 0
    ends: int = 0
    steps: int = 0


WALKS = (
    Walk(RIGHT, "one order", (), 158, 9),
    Walk(RIGHT, "one order, two duplicates", ("--duplicates", "2"), 444, 9),
    Walk(RIGHT, "two orders, one item", ("--orders", "2"), 18_455, 58),
)

THREE = Walk(RIGHT, "three orders, one item", ("--orders", "3"), 2_126_354, 329)
"""About four minutes of one core, and half a gigabyte."""

STEPS = {
    "no-tombstone-payment": 8,
    "no-tombstone-inventory": 11,
    "no-refund": 8,
    "refund-twice": 11,
    "refund-on-inventory-failed-only": 8,
    "charge-each-delivery": 3,
    "late-success-completes": 7,
    "no-release": 11,
    "never-sold": 9,
    "no-outbox": 7,
    "offset-before-effect": 8,
    "no-sweeper": 2,
    "mixed-versions": 6,
    "reserve-again": 5,
    "release-unasked": 4,
    "refund-on-cancel-only": 0,
    "no-inbox": 0,
}
"""The steps of each design's shortest counter-example; 0 for the two that are right, too."""

GUESSES = {
    "states": Guess(
        "Events may be late, and a deadline may pass at any moment. In how many states can one order "
        "be, with everything that is under way?",
        "states",
        measured=lambda samples: _of_one_order(samples, "states"),
        right=within_factor(2),
        reference=158,
        theory=lambda prediction: _of_one_order(prediction, "states"),
    ),
    "ends": Guess(
        "In how many ways can one order end, told apart by the states of the three services?",
        "ends",
        measured=lambda samples: _of_one_order(samples, "ends"),
        right=within_factor(1.5),
        reference=9,
        theory=lambda prediction: _of_one_order(prediction, "ends"),
    ),
}


def predict(*, three: bool = False) -> pd.DataFrame:
    """Return `THEORY` as numbers: they were counted once, and a changed table changes them.

    `three` adds the walk over three orders, which takes minutes.

    Columns: `kind`, `name`, `arguments` (of the command), `states`, `ends`, `steps` (of the shortest
    counter-example, 0 where there is none).
    """
    designs = [
        Walk(WRONG if steps else EQUIVALENT, name, ("--mutant", name), steps=steps)
        for name, steps in STEPS.items()
    ]
    last = (THREE,) if three else ()
    rows = [
        walk._asdict() | {"arguments": " ".join(walk.arguments)}
        for walk in (*WALKS, *last, *designs)
    ]
    return pd.DataFrame(rows)


def check(*arguments: str) -> dict[str, Any]:
    """Run the checker with these arguments, and return the object that it prints.

    Raises:
        ValueError: The checker refuses the arguments; the message is its own.
    """
    command = [*COMMAND, *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if not done.stdout:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def counter_example(*arguments: str) -> pd.DataFrame:
    """Return a shortest way to a wrong state: `step` (from 1) and `action`; no rows where nothing is wrong."""
    trace = shortest(check(*arguments))["trace"]
    return pd.DataFrame({"step": range(1, len(trace) + 1), "action": trace})


def shortest(printed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the violation with the shortest trace; one without a name and a trace where there is none."""
    none = {"property": "", "trace": []}
    return min(printed["violations"], key=lambda each: len(each["trace"]), default=none)


def measure(env: Environment, *, three: bool = False) -> pd.DataFrame:
    """Walk each of the predicted models once. The environment is not used: a model needs none.

    One row per walk. Columns: `name`, `states`, `ends`, `steps`, `broken` (the property of the shortest
    counter-example), `trace` (its actions, one per line), `seconds`, `runtime`, `attempt`.
    """
    rows = []
    for walk in predict(three=three).to_dict("records"):
        printed = check(*walk["arguments"].split())
        found = shortest(printed)
        rows.append(
            {
                "name": walk["name"],
                "states": printed["states"],
                "ends": len(printed["ends"]),
                "steps": len(found["trace"]),
                "broken": found["property"],
                "trace": "\n".join(found["trace"]),
                "seconds": printed["seconds"],
            }
        )
    return pd.DataFrame(rows).assign(runtime=MODEL, attempt=1)


def _of_one_order(frame: pd.DataFrame, column: str) -> int:
    return int(frame.loc[frame["name"] == "one order", column].iloc[-1])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare every number exactly.

    Policy: every attempt, since a walk gives the same numbers on any machine.
    """
    attempts = [part.set_index("name") for part in each_attempt(samples)]
    cases = [
        Case(row["name"], [_as_predicted(part, row) for part in attempts])
        for row in prediction.to_dict("records")
    ]
    columns = ["states", "ends", "steps", "seconds"]
    details = {"walks": attempts[-1][columns].reset_index().to_dict("records")}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _as_predicted(walks: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if expected["name"] not in walks.index:
        return doubt("not walked")
    walk = walks.loc[expected["name"]].to_dict()
    if walk["steps"] and not expected["steps"]:
        return failure(f"a way to a wrong state: {walk['broken']}")
    if expected["steps"] and not walk["steps"]:
        return failure("nothing wrong was found")
    if walk["steps"] != expected["steps"]:
        return failure("the shortest way has another length than predicted")
    if expected["kind"] == RIGHT and any(walk[n] != expected[n] for n in ("states", "ends")):
        return failure("not as many states or ends as predicted")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw one counter-example as a space-time diagram; below it each design's steps, and the saga's states."""
    last = samples[samples["attempt"] == samples["attempt"].max()].set_index("name")
    saga = last.loc[prediction.loc[prediction["kind"] == RIGHT, "name"]]
    found = int((last["steps"] > 0).sum())
    figure, (above, below) = canvas(
        f"{int(saga['states'].sum()):,} states of the saga without a fault, {found} wrong designs found",
        runtime=samples["runtime"].iloc[0],
        note=_counts(saga),
        rows=2,
        height=7.4,
        ratios=(1.0, 1.25),
        share=False,
    )
    drawn = last.loc[DRAWN].to_dict()
    space_time.draw(above, str(drawn["trace"]).splitlines())
    broken = f" breaks: {drawn['broken']}" if drawn["broken"] else ""
    above.set_title(f"{DRAWN}{broken}", size=8.5)
    _draw_steps(below, last, prediction)
    return figure


def _counts(saga: pd.DataFrame) -> str:
    rows = saga.reset_index().to_dict("records")
    return "; ".join(f"{row['name']}: {row['states']:,} ({row['ends']} ends)" for row in rows)


def _draw_steps(ax: Axes, last: pd.DataFrame, prediction: pd.DataFrame) -> None:
    designs = prediction[prediction["kind"] != RIGHT].sort_values("steps", ascending=False)
    measured = last["steps"].to_dict()
    for y, row in enumerate(designs.to_dict("records")):
        steps = int(measured[row["name"]])
        ax.barh(y, steps, height=0.6, color=SKY if row["name"] != DRAWN else BLUE)
        label = "predicted" if y == 0 else None
        ax.plot([row["steps"]] * 2, [y - 0.42, y + 0.42], label=label, **PREDICTION)
        text = f"{steps}" if steps else "nothing found"
        ax.text(steps + 0.15, y, text, va="center", size=8.5, color=INK)
    ax.set_yticks(range(len(designs)), designs["name"], size=8.5)
    ax.invert_yaxis()
    ax.set_xlabel("steps of the shortest counter-example (count)")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower right")
