"""Duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase4.events import MOST, follow
from labs.experiments.phase4.orders import charges, drained, place
from labs.figures import BLUE, ORANGE, PREDICTION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How often is an order charged whose event is delivered d times?"

THEORY = (
    "At-least-once delivery delivers an event d >= 1 times. An inbox that is written in the"
    " transaction of the effect lets it have one effect; without it, and without a unique "
    "key, it has d."
)

PAYMENT, GROUP, TOPIC = "payment-service", "payment-service-group", "order-created"

ON, OFF = "on", "off"

NAMES = {OFF: "without inbox and key", ON: "with them"}

COLOURS = {OFF: ORANGE, ON: BLUE}

DELIVERIES = (1, 2, 4)

TOLD_SECONDS = 20.0
"""How long the events of new orders may take to their topic."""

JUDGED = "an order whose event is delivered d times is charged once with the inbox, d times without: exact"


def predict(deliveries: Sequence[int] = DELIVERIES) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `inbox`, `deliveries`, `charges` (per order).
    """
    rows = [(inbox, d, d if inbox == OFF else 1) for inbox in NAMES for d in deliveries]
    return pd.DataFrame(rows, columns=["inbox", "deliveries", "charges"])


def measure(
    env: Environment, *, deliveries: Sequence[int] = DELIVERIES, orders: int = 3
) -> pd.DataFrame:
    """Without the inbox and then with it, place `orders` orders for each number of deliveries, and
    send their events again until each was sent that often, as a relay does that is killed before it
    has noted that Kafka has them. Leaves the inbox on, and no work in a payment.

    One row per order. Columns: `inbox`, `order`, `deliveries` (that were meant), `delivered`
    (messages of the order in the topic), `drained` (whether payment-service was past them all),
    `charges` (of the order in the ledger), `runtime`, `attempt`.
    """
    rows: list[dict[str, Any]] = []
    for inbox in NAMES:
        env.configure(PAYMENT, INBOX=inbox, PAYMENT_SECONDS=0)
        meant = dict.fromkeys(place(env, orders * len(deliveries)), 1)
        meant = {order: deliveries[n % len(deliveries)] for n, order in enumerate(meant)}
        _send_again(env, meant)
        done, charged = drained(env, GROUP), charges(env)
        delivered = env.kafka.read(TOPIC, limit=MOST)["key"].value_counts()
        rows += [
            {
                "inbox": inbox,
                "order": order,
                "deliveries": d,
                "delivered": int(delivered.get(order, 0)),
                "drained": done,
                "charges": charged[order],
            }
            for order, d in meant.items()
        ]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _send_again(env: Environment, meant: Mapping[str, int]) -> None:
    """Put further copies of the orders' events, with all their bytes, behind the first ones."""
    follow(env, TOPIC, meant, by="order", seconds=TOLD_SECONDS)
    first = env.kafka.read(TOPIC, limit=MOST).drop_duplicates("key")
    for event in first[first["key"].isin(list(meant))].to_dict("records"):
        copy = {name: event[name] for name in ("key", "headers", "partition")}
        for _ in range(meant[event["key"]] - 1):
            env.kafka.produce(TOPIC, event["value"], **copy)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, per order, by the deliveries it really had.

    Inconclusive where payment-service was not yet past the events, or no order was delivered as
    often as was meant. More charges than messages without the inbox are a doubt: the group itself
    may have delivered again, when the machine kept a member from its heartbeat.
    """
    failures, doubts = [], []
    for expected in prediction.to_dict("records"):
        d, inbox = expected["deliveries"], expected["inbox"]
        name = f"INBOX={inbox}, delivered {d} time{'s' * (d != 1)}"
        mine = samples[(samples["inbox"] == inbox) & (samples["delivered"] == d)]
        sound = mine[mine["drained"]]
        if inbox == ON and (mine["charges"] > expected["charges"]).any():
            failures.append(f"{name}: charged more than once")
        if (sound["charges"] < expected["charges"]).any():
            failures.append(f"{name}: charged less often than predicted")
        if not (sound["charges"] == expected["charges"]).any():
            doubts.append(f"{name}: not measured")
    counted = samples.groupby(["inbox", "delivered", "charges"]).size().rename("orders")
    return Verdict.of(
        __name__,
        JUDGED,
        failures=failures,
        doubts=doubts,
        details={"orders": counted.reset_index().to_dict("records")},
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Charges per order against deliveries, a point per order; what is predicted dashed."""
    figure, (ax,) = canvas(
        "What an event costs that is delivered more than once",
        runtime=samples["runtime"].iloc[0],
        note="a point per order",
        height=4.0,
    )
    for index, (inbox, name) in enumerate(NAMES.items()):
        expected = prediction[prediction["inbox"] == inbox]
        label = "predicted" if index == 0 else None
        ax.plot(expected["deliveries"], expected["charges"], label=label, **PREDICTION)
        mine = samples[samples["inbox"] == inbox]
        # Orders with the same numbers stand side by side, those of the two settings apart.
        number = mine.groupby(["delivered", "charges"]).cumcount()
        at = mine["delivered"] + 0.05 * (number - 1) + 0.2 * (index - 0.5)
        ax.plot(at, mine["charges"], "o", ms=7, color=COLOURS[inbox], label=name)
    most = int(max(samples["charges"].max(), prediction["charges"].max()))
    ax.set_xticks(sorted(set(samples["delivered"])))
    ax.set_yticks(range(most + 1))
    ax.set_ylim(0, most + 0.5)
    ax.set_xlabel("deliveries of the event (count)")
    ax.set_ylabel("charges of the order (count)")
    legend(figure, ax)
    return figure
