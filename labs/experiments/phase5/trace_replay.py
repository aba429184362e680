"""Replay of a trace: the steps of a counter-example, performed one by one on the running system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase5 import space_time
from labs.experiments.phase5.interleavings import check, shortest
from labs.experiments.phase5.interpreter import Interpreter
from labs.experiments.phase5.rest import wait_for_rest
from labs.experiments.phase5.states import ALL_WELL, States, allowed_ends, read_states
from labs.figures import BLUE, FAULT_TEXT, INK, SOFT, canvas, styled
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

TITLE = "What does the running system do in the steps that break a wrong design?"

THEORY = (
    "A counter-example is a sequence of actions. The running system can be made to take exactly these: every event is "
    "held before it is read, every relay is held, and each action releases one of them. After each action the states "
    "must be those of the model, and at rest the order must have ended in a way that the model allows."
)

DESIGN = "no-tombstone-payment"
"""The wrong design whose counter-example is performed."""

AT_REST = "at rest"
"""In place of an action: everything was released, and the system came to rest."""

JUDGED = (
    "after each action of the counter-example the states are those of the model, and at rest the order has ended in a "
    "way that the model allows: exact"
)


def predict(*, design: str = DESIGN) -> pd.DataFrame:
    """Return `THEORY` as numbers: the actions that break a wrong design, and the states after each.

    Columns: `step` (from 1), `action`, `possible` and `states` (of the saga as it is; an action that is not possible
    changes nothing), `wrong` (the states of the wrong design).
    """
    trace = shortest(check("--mutant", design))["trace"]
    follow = ("--follow", " > ".join(trace))
    saga, broken = check(*follow)["steps"], check(*follow, "--mutant", design)["steps"]
    rows = [
        {
            "step": number,
            "action": right["action"],
            "possible": right["possible"],
            "states": _named(right),
            "wrong": _named(wrong),
        }
        for number, (right, wrong) in enumerate(zip(saga, broken, strict=True), 1)
    ]
    return pd.DataFrame(rows)


def _named(step: Mapping[str, Any]) -> str:
    return str(States(step["order"], step["payment"], step["inventory"]))


def measure(env: Environment, *, design: str = DESIGN) -> pd.DataFrame:
    """Place an order while everything is held, and perform the actions of the design's counter-example on it.

    One row per action, and one at rest. Columns: `step`, `action`, `possible` (whether there was anything to do),
    `states` after it, `allowed` (whether the order ended as the model allows; true before it is at rest), `resting`
    (whether the system came to rest), `runtime`, `attempt`.
    """
    rows = []
    with Interpreter(env) as interpreter:
        for number, action in enumerate(predict(design=design)["action"], 1):
            possible = interpreter.perform(action)
            row = {"step": number, "action": action, "possible": possible}
            rows.append({**row, "states": str(interpreter.states()), "allowed": True})
    resting = wait_for_rest(env)
    end = str(read_states(env, interpreter.order))
    last = {"step": len(rows) + 1, "action": AT_REST, "possible": True, "states": end}
    rows.append({**last, "allowed": end in allowed_ends(ALL_WELL)})
    return pd.DataFrame(rows).assign(resting=resting, runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare every state exactly.

    Policy: every attempt, since no machine brings an order to another state when all else is held.
    """
    attempts = [part.set_index("step") for part in each_attempt(samples)]
    cases = [
        Case(
            f"step {row['step']}, {row['action']}",
            [_as_predicted(part, row) for part in attempts],
        )
        for row in prediction.to_dict("records")
    ]
    cases.append(Case(AT_REST, [_ended(part) for part in attempts]))
    details = {"end": attempts[-1]["states"].iloc[-1]}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _as_predicted(steps: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if expected["step"] not in steps.index:
        return doubt("not performed")
    step = steps.loc[expected["step"]].to_dict()
    if step["states"] != expected["states"]:
        return failure("the states are not those of the model")
    if expected["possible"] and not step["possible"]:
        return doubt("the action did not happen in time")
    if step["possible"] and not expected["possible"]:
        return failure("there was something to do where the model has nothing")
    return SETTLED


def _ended(steps: pd.DataFrame) -> Finding:
    last = steps.iloc[-1]
    if last["action"] != AT_REST or not last["resting"]:
        return doubt("the system did not come to rest in time")
    return SETTLED if last["allowed"] else failure("the order ended in a way the model excludes")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the actions that happened as a space-time diagram; below it the states after each, and those predicted."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    actions = last[last["action"] != AT_REST]
    happened = int(actions["possible"].sum())
    figure, (above, below) = canvas(
        f"{happened} of {len(actions)} actions were possible, and the order ended {last['states'].iloc[-1]}",
        runtime=last["runtime"].iloc[0],
        note="states of order, payment and inventory after each action",
        rows=2,
        height=7.0,
        ratios=(1.0, 1.1),
        share=False,
    )
    done = actions[actions["possible"]]
    space_time.draw(above, done["action"].tolist(), numbers=done["step"].tolist())
    _draw_states(below, last, prediction)
    return figure


def _draw_states(ax: Axes, last: pd.DataFrame, prediction: pd.DataFrame) -> None:
    measured = last.set_index("step")
    columns = {
        0.0: "action",
        0.42: "the wrong design",
        0.62: "the saga, predicted",
        0.82: "measured",
    }
    for x, name in columns.items():
        ax.text(x, 0.6, name, weight="bold", color=INK, size=8.5)
    for row in prediction.to_dict("records"):
        y, step = -int(row["step"]) + 1, measured.loc[row["step"]].to_dict()
        as_predicted = step["states"] == row["states"]
        colour = BLUE if as_predicted else FAULT_TEXT
        wrong = FAULT_TEXT if row["wrong"] != row["states"] else INK
        done = "" if step["possible"] else " (nothing there)"
        ax.text(0.0, y - 0.4, f"{row['step']}. {row['action']}{done}", size=8.5, color=INK)
        for x, text, shade in (
            (0.42, row["wrong"], wrong),
            (0.62, row["states"], INK),
            (0.82, step["states"], colour),
        ):
            ax.text(x, y - 0.4, text, size=8, color=shade)
        ax.axhline(y - 0.65, color=SOFT, linewidth=0.6)
    end = last.iloc[-1]
    bottom = -len(prediction) - 0.4
    ax.text(0.0, bottom, AT_REST, size=8.5, color=INK)
    ax.text(0.82, bottom, end["states"], size=8, color=BLUE if end["allowed"] else FAULT_TEXT)
    ax.set_xlim(0, 1.03)
    ax.set_ylim(bottom - 0.4, 1.0)
    ax.set_axis_off()
