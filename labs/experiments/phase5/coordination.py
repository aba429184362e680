"""Choreography and orchestration: the same saga with and without a coordinator, side by side."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase4.events import read_events
from labs.experiments.phase5 import coin
from labs.experiments.phase5.names import (
    CANCELLED,
    COMMANDS,
    COMPLETED,
    CONFIRMED,
    CREATED,
    INVENTORY,
    INVENTORY_FAILED,
    ORDERS,
    OUTCOMES,
    PAID,
    PAYMENT_FAILED,
    PAYMENTS,
    REFUNDED,
    RESERVED,
    UNPAID,
    UNRESERVED,
)
from labs.experiments.phase5.orders import place, read_outcomes
from labs.experiments.phase5.rest import have_caught_up, wait_for_rest
from labs.figures import BLUE, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    seen_twice,
    verdict,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does a coordinator cost, and what does it give?"

THEORY = (
    "Without a coordinator an order takes 4 messages when it is completed, 3 when its payment fails, 5 when its items "
    "are missing. An orchestrator sends a command and receives a reply for each step: 6, 4 and 8. A completed order "
    "takes 3 hops without it and 4 with it, so 4/3 of the time. While order-service is away, the others go on only "
    "where no coordinator has to ask them."
)

CHOREOGRAPHY, ORCHESTRATION = "choreography", "orchestration"

MESSAGES = {
    CHOREOGRAPHY: {COMPLETED: 4, PAYMENT_FAILED: 3, INVENTORY_FAILED: 5},
    ORCHESTRATION: {COMPLETED: 6, PAYMENT_FAILED: 4, INVENTORY_FAILED: 8},
}
"""Messages for one order, without the notification."""

HOPS = {
    CHOREOGRAPHY: {COMPLETED: 3, PAYMENT_FAILED: 2, INVENTORY_FAILED: 3},
    ORCHESTRATION: {COMPLETED: 4, PAYMENT_FAILED: 2, INVENTORY_FAILED: 4},
}
"""Messages one after the other, from the first one that a participant consumes until the order's end."""

TOPICS = (CREATED, PAID, UNPAID, REFUNDED, RESERVED, UNRESERVED, CONFIRMED, CANCELLED, *COMMANDS)

RUNNING, ASKED, AWAY = "every service runs", "order-service has asked", "order-service is away"

BLOCK = 20
"""Orders that are placed on one of the two before it is the other's turn, so that both meet the same machine."""

GAP_SECONDS = 0.04
"""Seconds between two orders: the services are idle most of the time."""

TOLERANCE = 0.2
"""How far the ratio of the medians may be from that of the hops."""

FEWEST = 10
"""Orders of an outcome that a case needs."""

REST_SECONDS, QUIET_SECONDS = 40.0, 30.0

JUDGED = (
    "both end every order as the coin says; messages per order: exact; time of a completed order: 4/3 within 20 %; "
    "reservations while order-service is away: all of them without a coordinator, none with it"
)

COLOURS = {CHOREOGRAPHY: BLUE, ORCHESTRATION: ORANGE}

GUESSES = {
    "times": Guess(
        "One service coordinates the saga with a command and a reply for each step. How many times "
        "as long as without a coordinator does a completed order take?",
        "times",
        measured=lambda samples: _times_with_a_coordinator(samples),
        right=within_factor(1.15),
        reference=1.33,
        theory=lambda prediction: _hops_with_a_coordinator(prediction),
    ),
}


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers. Columns: `coordination`, `outcome`, `messages`, `hops`, `reserves_while_away`."""
    return pd.DataFrame(
        [
            {
                "coordination": coordination,
                "outcome": outcome,
                "messages": MESSAGES[coordination][outcome],
                "hops": HOPS[coordination][outcome],
                "reserves_while_away": coordination == CHOREOGRAPHY and outcome == COMPLETED,
            }
            for coordination in (CHOREOGRAPHY, ORCHESTRATION)
            for outcome in OUTCOMES
        ]
    )


def measure(
    env: Environment, twin: Environment, *, orders: int = 100, away: int = 20
) -> pd.DataFrame:
    """Place the same orders in both systems by turns, then some more whose order-service is stopped under way.

    `env` runs the choreography, `twin` the orchestrated versions, with the same seed. The orders of an attempt belong
    to a new user.

    One row per order and system. Columns: `coordination`, `part` (`RUNNING`; `ASKED`, stopped while inventory-service
    has to answer; `AWAY`, while payment-service has to), `order` (its id; empty when it was not acknowledged),
    `expected` (by the coin), `outcome`, `messages`, `seconds` (from its OrderCreated to its end, by Kafka's clock;
    empty when one is missing), `reserved_while_away`, `resting`, `runtime`, `attempt`.
    """
    systems = {CHOREOGRAPHY: env, ORCHESTRATION: twin}
    user = f"user-{uuid.uuid4().hex[:8]}"
    running = [f"k{number}" for number in range(orders)]
    asked = [f"k{number}" for number in range(orders, orders + away)]
    left = [f"k{number}" for number in range(orders + away, orders + 2 * away)]
    for first in range(0, orders, BLOCK):
        for system in systems.values():
            _place_slowly(system, running[first : first + BLOCK], user=user)
    with ThreadPoolExecutor(len(systems)) as pool:
        alone = {
            name: pool.submit(_without_order_service, system, asked, left, user=user)
            for name, system in systems.items()
        }
        reserved = {name: each.result() for name, each in alone.items()}
        ending = {
            name: pool.submit(wait_for_rest, system, seconds=REST_SECONDS)
            for name, system in systems.items()
        }
        resting = {name: each.result() for name, each in ending.items()}
    parts = {RUNNING: running, ASKED: asked, AWAY: left}
    rows = [
        row
        for name, system in systems.items()
        for row in _rows(system, parts, user=user, reserved=reserved[name])
        for row in [{"coordination": name, "resting": resting[name], **row}]
    ]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _place_slowly(env: Environment, keys: Iterable[str], *, user: str) -> None:
    """Place orders one by one, with a gap after each."""
    for key in keys:
        place(env, [key], user=user)
        time.sleep(GAP_SECONDS)  # the gap is the load: arrivals that do not wait for each other


def _without_order_service(
    env: Environment, asked: Sequence[str], left: Sequence[str], *, user: str
) -> set[str]:
    """Let order-service be away while both participants have to answer; return what was reserved meanwhile."""
    with ExitStack() as absent:
        with env[INVENTORY].stopped():
            place(env, asked, user=user)
            wait_until(lambda: have_caught_up(env, [ORDERS, PAYMENTS]), timeout=QUIET_SECONDS)
            with env[PAYMENTS].stopped():
                place(env, left, user=user)
                wait_until(lambda: have_caught_up(env, [ORDERS]), timeout=QUIET_SECONDS)
                absent.enter_context(env[ORDERS].stopped())
        quiet = [False, False]

        def twice() -> bool:
            quiet[:] = quiet[1], have_caught_up(env, [PAYMENTS, INVENTORY])
            return all(quiet)

        wait_until(twice, timeout=QUIET_SECONDS, every=0.2)
        return set(read_events(env, RESERVED)["order"])


def _rows(
    env: Environment, parts: dict[str, list[str]], *, user: str, reserved: set[str]
) -> list[dict[str, Any]]:
    outcomes = read_outcomes(env)
    topics = [topic for topic in TOPICS if topic in set(env.kafka.topics()["topic"])]
    events = pd.concat([read_events(env, topic) for topic in topics], ignore_index=True)
    messages = Counter(events["order"])
    begins = events[events["topic"] == CREATED].groupby("order")["time"].min()
    ends = events[events["topic"].isin([CONFIRMED, CANCELLED])].groupby("order")["time"].min()
    rows = []
    for part, keys in parts.items():
        for key in keys:
            order = coin.order_id(seed=env.seed, user=user, key=key)
            rows.append(
                {
                    "part": part,
                    "order": order if order in outcomes else "",
                    "expected": coin.outcome_of(order, seed=env.seed),
                    "outcome": outcomes.get(order, "missing"),
                    "messages": messages[order],
                    "seconds": ends.get(order, float("nan")) - begins.get(order, float("nan")),
                    "reserved_while_away": order in reserved,
                }
            )
    return rows


def _times_with_a_coordinator(samples: pd.DataFrame) -> float:
    running = (samples["part"] == RUNNING) & (samples["outcome"] == "completed")
    seconds = samples[running].groupby("coordination")["seconds"].median()
    return float(seconds["orchestration"] / seconds["choreography"])


def _hops_with_a_coordinator(prediction: pd.DataFrame) -> float:
    completed = prediction[prediction["outcome"] == "completed"]
    hops = completed.set_index("coordination")["hops"]
    return float(hops["orchestration"] / hops["choreography"])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare outcomes and messages order by order, the time as a ratio of medians, and what went on alone.

    Policies: `every_attempt` for what is counted, since no machine makes a message more; `seen_twice` for the time,
    which a busy machine stretches.
    """
    attempts = list(each_attempt(samples))
    exact = [
        Case(
            f"{row['coordination']}, {row['outcome']}",
            [_counted(part, row) for part in attempts],
            {"predicted": row["messages"]},
        )
        for row in prediction.to_dict("records")
    ]
    time_taken = seen_twice([_in_time(part, prediction) for part in attempts])
    cases = [*exact, Case("", [time_taken], _details(samples))]
    return verdict(__name__, JUDGED, cases, every_attempt)


def _counted(part: pd.DataFrame, row: Mapping[Any, Any]) -> Finding:
    mine = part[
        (part["coordination"] == row["coordination"]) & (part["expected"] == row["outcome"])
    ]
    if (mine["messages"] > row["messages"]).any():  # whatever may still be under way
        return failure("an order took another number of messages")
    if not mine["resting"].all():
        return doubt("not every order had ended in time")
    if (mine["order"] == "").any():
        return doubt("not every order was acknowledged")
    if (mine["outcome"] != mine["expected"]).any():
        return failure("orders ended otherwise than the coin says")
    if (mine["messages"] != row["messages"]).any():
        return failure("an order took another number of messages")
    away = mine[mine["part"] == AWAY]
    if (away["reserved_while_away"] != row["reserves_while_away"]).any():
        return failure("while order-service was away, the others did not act as predicted")
    if len(mine) < FEWEST:
        return doubt("too few orders with this outcome")
    return SETTLED


def _in_time(part: pd.DataFrame, prediction: pd.DataFrame) -> Finding:
    medians = _medians(part)
    if len(medians) < 2:
        return doubt("no completed order was timed")
    hops = prediction[prediction["outcome"] == COMPLETED].set_index("coordination")["hops"]
    predicted = hops[ORCHESTRATION] / hops[CHOREOGRAPHY]
    ratio = medians[ORCHESTRATION] / medians[CHOREOGRAPHY]
    if abs(ratio / predicted - 1) > TOLERANCE:
        return failure("the times of completed orders have another ratio than the hops")
    return SETTLED


def _medians(samples: pd.DataFrame) -> pd.Series[float]:
    """Return the median seconds of a completed order by coordination."""
    return _timed(samples).groupby("coordination")["seconds"].median()


def _timed(samples: pd.DataFrame) -> pd.DataFrame:
    running = samples[(samples["part"] == RUNNING) & (samples["outcome"] == COMPLETED)]
    return running.dropna(subset=["seconds"])


def _details(samples: pd.DataFrame) -> dict[str, Any]:
    return {f"{name} (median s)": float(value) for name, value in _medians(samples).items()}


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw messages per order and outcome, the time of completed orders, and what went on without order-service."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    orders = last[last["coordination"] == CHOREOGRAPHY]
    figure, axes = canvas(
        _title(last),
        runtime=last["runtime"].iloc[0],
        note=f"{len(orders):,} orders in each system",
        rows=3,
        height=8.4,
        ratios=(3, 3, 1.3),
        share=False,
    )
    _draw_messages(axes[0], last, prediction)
    _draw_times(axes[1], last)
    _draw_absence(axes[2], last, prediction)
    legend(figure, axes[0])
    return figure


def _title(last: pd.DataFrame) -> str:
    medians = _medians(last)
    if len(medians) < 2:
        return "No completed order was timed"
    ratio = medians[ORCHESTRATION] / medians[CHOREOGRAPHY]
    mean = last.groupby("coordination")["messages"].mean()
    more = mean[ORCHESTRATION] / mean[CHOREOGRAPHY]
    return f"The orchestrator took {ratio:.2f} times as long, with {more:.2f} times the messages"


def _draw_messages(ax: Axes, last: pd.DataFrame, prediction: pd.DataFrame) -> None:
    width = 0.36
    for index, coordination in enumerate(COLOURS):
        for x, outcome in enumerate(OUTCOMES):
            mine = last[(last["coordination"] == coordination) & (last["outcome"] == outcome)]
            place = x + (index - 0.5) * width
            name = coordination if x == 0 else None
            height = float(mine["messages"].mean()) if len(mine) else 0.0
            ax.bar(place, height, 0.9 * width, color=COLOURS[coordination], alpha=0.75, label=name)
            row = (prediction["coordination"] == coordination) & (prediction["outcome"] == outcome)
            expected = [prediction.loc[row, "messages"].iloc[0]] * 2
            name = "predicted" if index == x == 0 else None
            ax.plot([place - width / 2, place + width / 2], expected, label=name, **PREDICTION)
    ax.set_xticks(range(len(OUTCOMES)), OUTCOMES)
    ax.set_ylabel("messages per order (1)")


def _draw_times(ax: Axes, last: pd.DataFrame) -> None:
    timed, medians = _timed(last), _medians(last)
    for coordination in medians.index:
        seconds = timed.loc[timed["coordination"] == coordination, "seconds"]
        ax.ecdf(1000 * seconds, color=COLOURS[coordination])
    if CHOREOGRAPHY in medians:
        ratio = HOPS[ORCHESTRATION][COMPLETED] / HOPS[CHOREOGRAPHY][COMPLETED]
        ax.axvline(1000 * ratio * medians[CHOREOGRAPHY], **PREDICTION)
    ax.set_xlabel("order to its end (ms)")
    ax.set_ylabel("share of completed orders (1)")
    if len(timed):
        ax.set_xlim(0, 1000 * 1.5 * float(timed["seconds"].quantile(0.95)))


def _draw_absence(ax: Axes, last: pd.DataFrame, prediction: pd.DataFrame) -> None:
    away = last[last["part"] == AWAY]
    going_on = prediction.set_index(["coordination", "outcome"])["reserves_while_away"]
    for x, (coordination, colour) in enumerate(COLOURS.items()):
        mine = away[away["coordination"] == coordination]
        reserved = int(mine["reserved_while_away"].sum())
        ax.barh(x, reserved, 0.6, color=colour, alpha=0.75)
        expected = sum(bool(going_on[coordination, outcome]) for outcome in mine["expected"])
        ax.plot([expected] * 2, [x - 0.4, x + 0.4], **PREDICTION)
    ax.set_yticks(range(len(COLOURS)), list(COLOURS))
    ax.invert_yaxis()
    ax.set_xlabel(f"of {len(away) // 2} orders, reserved while order-service was away (1)")
