"""Crash anywhere: participants are killed at every point of an event's way, and the order still ends right."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase5.crash_points import (
    QUICK,
    RANDOM,
    every_kill,
    kill,
    kill_at_random,
)
from labs.experiments.phase5.ends import USUAL_SECONDS, has_wrong_net, read_ends
from labs.experiments.phase5.names import (
    COMPLETED,
    DEADLINE,
    INVENTORY_FAILED,
    PAYMENT_FAILED,
    short,
)
from labs.experiments.phase5.orders import read_outcomes
from labs.experiments.phase5.states import ALL_WELL, allowed_ends, read_states
from labs.figures import BLUE, FAULT_TEXT, INK, ORANGE, SOFT, VERMILLION, canvas, styled
from labs.guessing import EXACT, Guess
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

TITLE = "Does every order end right, wherever a participant is killed?"

THEORY = (
    "A participant may die before its transaction, between the transaction and the publishing, or between the "
    "publishing and the deletion from the outbox. What was not committed is done again, what was committed is "
    "published, and what comes twice has one effect. So each order ends as the coin says, or by its deadline, in one "
    "of the ends that the model allows, and its money is right."
)

COINS = {
    COMPLETED: ALL_WELL,
    PAYMENT_FAILED: "payment fails",
    INVENTORY_FAILED: "inventory fails",
}
"""The coin of each outcome, as the checker names it."""

ENDS = 9
"""In how many ways one order can end, by the model."""

LONGEST_SECONDS = USUAL_SECONDS + 11.0
"""An order ends within its deadline, the grace and one look, once everything is back."""

JUDGED = (
    "at each point the participant was killed by that very point; its order ended as the coin says or by its "
    "deadline, in an end that the model allows, and with the right amount of money: exact"
)

GUESSES = {
    "wrong": Guess(
        "A participant is killed before its commit, between commit and publishing, or before its "
        "outbox is emptied: one order for each kill. How many of these orders keep a wrong amount "
        "of money?",
        "orders",
        measured=lambda samples: samples["wrong"].sum(),
        right=EXACT,
        reference=0,
        theory=lambda prediction: prediction["wrong"].sum(),
    ),
}


def predict(*, kills: Collection[str] = QUICK) -> pd.DataFrame:
    """Return `THEORY` as numbers, for the kills of these names, or for all without any.

    Columns: `kill` (its name), `service`, `step` (what the participant does), `at` (the point), `event` (what passes
    it), `outcome` (of the order, by the coin or its deadline), `wrong` (orders that may end otherwise: none).
    """
    rows = [
        {"kill": one.name, **one._asdict(), "wrong": 0}
        for one in every_kill()
        if not kills or one.name in kills
    ]
    return pd.DataFrame(rows)


def measure(
    env: Environment, *, kills: Collection[str] = QUICK, at_random: int = 0
) -> pd.DataFrame:
    """Kill a participant at each of these points (or at all without any), each with an order of its own under way.

    After them `at_random` kills follow at random moments, each with an order of each outcome.

    One row per order. Columns: `kill`, `hit` (whether this very point ended the process, with exit code 137), `again`
    (how often the event passed there after the restart), `order`, `coin` (the outcome that the coin says), `outcome`,
    `states` (of order, payment and inventory), `allowed` (whether the model has that end), `wrong` (whether the order
    keeps another amount than it should), `seconds` (from the order to its end), `quiet` (whether nothing was under way
    any more), `runtime`, `attempt`.
    """
    rows = [
        {"kill": one.name, **kill(env, one)}
        for one in every_kill()
        if not kills or one.name in kills
    ]
    chosen = random.Random(env.seed)
    for number in range(1, at_random + 1):
        service, orders = kill_at_random(env, chosen)
        rows += [{"kill": f"{RANDOM} {number}, {short(service)}", **facts} for facts in orders]
    return _with_ends(env, pd.DataFrame(rows)).assign(runtime=env.runtime, attempt=1)


def _with_ends(env: Environment, samples: pd.DataFrame) -> pd.DataFrame:
    """Add how each order ended."""
    ends, outcomes = read_ends(env, samples["order"]), read_outcomes(env)
    wrong = dict(zip(ends["order"], has_wrong_net(ends), strict=True))
    seconds = dict(zip(ends["order"], ends["ended"] - ends["created"], strict=True))
    allowed = {coin: allowed_ends(COINS[coin]) for coin in samples["outcome"].unique()}
    states = [str(read_states(env, order)) if order else "" for order in samples["order"]]
    pairs = zip(states, samples["outcome"], strict=True)
    return samples.rename(columns={"outcome": "coin"}).assign(
        outcome=[outcomes.get(order, "") for order in samples["order"]],
        states=states,
        allowed=[end in allowed[coin] for end, coin in pairs],
        wrong=[wrong.get(order, False) for order in samples["order"]],
        seconds=[seconds.get(order, np.nan) for order in samples["order"]],
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge each order's end and money.

    Policy: every attempt, since a wrong end is wrong on any machine. In doubt are kills that did not happen at their
    point, and orders that were still under way.
    """
    attempts = list(each_attempt(samples))
    names = list(dict.fromkeys([*prediction["kill"], *samples["kill"]]))
    cases = [
        Case(name, [_as_allowed(part[part["kill"] == name]) for part in attempts]) for name in names
    ]
    cases.append(Case("", [_came_again(part) for part in attempts]))
    last = attempts[-1]
    directed = ~last["kill"].str.startswith(RANDOM)
    details = {
        "directed": int((directed & last["hit"]).sum()),
        "random": int(last.loc[~directed, "kill"].nunique()),
        "redelivered": int((last["again"] > 0).sum()),
        "ends": coverage(last),
        "longest": float(last["seconds"].max()),
    }
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def coverage(samples: pd.DataFrame) -> int:
    """Return in how many of the model's ends these orders ended, told apart by the coin."""
    return len(set(samples.loc[samples["allowed"], ["coin", "states"]].itertuples(index=False)))


def _as_allowed(orders: pd.DataFrame) -> Finding:
    if orders.empty or orders["order"].fillna("").eq("").any():
        return doubt("no order was acknowledged")
    if not orders["quiet"].all():
        return doubt("the order was still under way")
    if orders["wrong"].any():
        return failure("an order keeps money that is not its own, or lacks some")
    if not orders["allowed"].all():
        return failure("an order ended in a way that the model excludes")
    if not (orders["outcome"].eq(orders["coin"]) | orders["outcome"].eq(DEADLINE)).all():
        return failure("an order ended neither as the coin says nor by its deadline")
    if not orders["hit"].all():
        return doubt("the participant was not killed at this point")
    return SETTLED


def _came_again(part: pd.DataFrame) -> Finding:
    return SETTLED if (part["again"] > 0).any() else doubt("no event came again after a kill")


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order at rest whose end or whose money is wrong."""
    at_rest = samples[samples["quiet"].astype(bool)]
    by_coin = at_rest["outcome"].eq(at_rest["coin"]) | at_rest["outcome"].eq(DEADLINE)
    return first_order(
        at_rest,
        {
            "an order that keeps money that is not its own, or lacks some": at_rest["wrong"],
            "an order that ended in a way that the model excludes": ~at_rest["allowed"].astype(
                bool
            ),
            "an order that ended neither as the coin says nor by its deadline": ~by_coin,
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each kill as a mark at its point, by what the participant does, with how the order ended."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    rows = prediction.drop_duplicates(["service", "step"])
    directed = last[~last["kill"].str.startswith(RANDOM)]
    wrong = int((~last["allowed"] | last["wrong"]).sum())
    figure, (ax,) = canvas(
        f"{int(directed['hit'].sum())} of {len(prediction)} points hit, {wrong} orders ended wrong",
        runtime=last["runtime"].iloc[0],
        note=f"{coverage(last)} of {ENDS} ends reached{_random(last)}",
        height=1.7 + 0.42 * len(rows),
    )
    _draw_map(ax, directed, prediction)
    return figure


def _random(last: pd.DataFrame) -> str:
    """Return what the random kills show: with no violation in m of them, a share of at most 3/m (95 %)."""
    kills = last.loc[last["kill"].str.startswith(RANDOM)].groupby("kill")
    if not len(kills):
        return ""
    wrong = int(kills.apply(lambda part: bool((~part["allowed"] | part["wrong"]).any())).sum())
    bound = f", so at most {3 / len(kills):.0%} of all" if not wrong else ""
    return f"; {wrong} of {len(kills)} random kills broke something{bound}"


def _draw_map(ax: Axes, directed: pd.DataFrame, prediction: pd.DataFrame) -> None:
    columns = {"begun": 0, "committed": 1, "sent": 2}
    steps = {
        (row["service"], row["step"]): number
        for number, row in enumerate(
            prediction.drop_duplicates(["service", "step"]).to_dict("records")
        )
    }
    results = {row["kill"]: row for row in directed.to_dict("records")}
    for row in prediction.to_dict("records"):
        x, y = columns[row["at"]], steps[row["service"], row["step"]]
        result = results.get(row["kill"])
        ax.plot([x], [y], **_mark(result))
        text = result["states"] if result else "not measured"
        right = result is None or (result["allowed"] and not result["wrong"])
        ax.text(x + 0.07, y, text, va="center", size=8, color=INK if right else FAULT_TEXT)
    ax.set_yticks(list(steps.values()), [f"{short(who)}: {step}" for who, step in steps])
    ax.set_xticks(list(columns.values()), list(columns))
    ax.xaxis.tick_top()
    ax.set_xlim(-0.15, 2.95)
    ax.set_ylim(len(steps) - 0.5, -0.5)
    ax.grid(visible=False, axis="x")
    ax.plot(
        [], [], **_mark({"hit": True, "allowed": True, "wrong": False}), label="hit, ended right"
    )
    ax.plot([], [], **_mark({"hit": False, "allowed": True, "wrong": False}), label="not hit")
    ax.plot([], [], **_mark({"hit": True, "allowed": False, "wrong": True}), label="ended wrong")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3)


def _mark(result: Mapping[Any, Any] | None) -> dict[str, Any]:
    style: dict[str, Any] = {"linestyle": "none", "ms": 9, "marker": "o"}
    if result is None:
        return style | {"color": SOFT, "marker": "_"}
    if not result["allowed"] or result["wrong"]:
        return style | {"color": VERMILLION, "marker": "X"}
    return style | ({"color": BLUE} if result["hit"] else {"color": ORANGE, "marker": "s"})
