"""Retry and dead letters."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.idle import idle_cores
from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.orders import ITEMS, place
from labs.figures import BLUE, INK, PREDICTION, VERMILLION, canvas, legend, styled
from labs.machine import busy_seconds
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long does a message that nobody can use hold up those behind it?"

THEORY = (
    "Attempt i, from 0, on a message that arrived at t comes at t + b (2^i - 1), each wait "
    "up to a tenth longer by jitter. After the last of r attempts it is a dead letter: the "
    "partition has waited for b (2^(r - 1) - 1), and moves on."
)

SERVICE, GROUP, TOPIC = "order-service", "order-service-group", "payment-completed"
PAYMENT, DONE = "payment-service", "order-confirmed"

UNKNOWN, UNREADABLE, GOOD = "of no order", "unreadable", "good"
"""A payment of an order that was never taken may be mended by a retry; what cannot be read, by none."""

POISONED = {0: UNKNOWN, 1: UNKNOWN, 2: UNKNOWN, 3: UNREADABLE}
"""The partitions that get a poison message, and of which kind. The others get none."""

JITTER = 0.1
"""Share by which a wait is longer at random, at most."""

TOLERANCE = 0.2
"""Of a predicted wait."""

TICK = 0.003
"""Seconds by which a service's clock may be coarse."""

IDLE = 0.5
"""Idle cores from which on a wait that is too long is the system's own."""

DONE_SECONDS = 20.0

LINES = 2000
"""Of order-service's log: more than it writes meanwhile."""

JUDGED = (
    "attempts on a message that fails come after waits that double, within 20 %; then it lies among "
    "the dead letters, with its bytes and origin, and every good message behind it is processed"
)


def predict(*, tries: int = 3, first_wait: float = 0.2) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `first_wait` is b, in seconds. Columns: `attempt` (from 1), `low` and `high` (seconds since the
    first one).
    """
    waited = [first_wait * (2.0**i - 1) for i in range(tries)]
    high = [(1 + JITTER) * low for low in waited]
    return pd.DataFrame({"attempt": range(1, tries + 1), "low": waited, "high": high})


def measure(env: Environment, *, orders: int = 12, tries: int = 3) -> pd.DataFrame:
    """Poison four partitions of the payments' topic: payments of orders that were never taken, and
    one that cannot be read. Right behind them come the payments of real orders, which were placed
    before, while payment-service was paused. Leaves no work in a payment.

    One row per message. Columns: `kind`, `order` (the key), `partition`, `arrived` (unix seconds),
    `ended` (when it was a dead letter, or its order done; empty when it never was), `letters` (its
    dead letters with its own bytes, its partition and offset, and the group), `attempt_1` to
    `attempt_<tries>` (failed ones, by the service's log; empty where there was none), `idle` (cores
    that nobody used meanwhile, on average), `runtime`, `attempt`.
    """
    env.configure(PAYMENT, PAYMENT_SECONDS=0)
    busy, began = busy_seconds(), time.time()
    with env[PAYMENT].paused():
        placed = place(env, orders)
        poisons = [_poison(env, partition, kind) for partition, kind in POISONED.items()]
    _await_end(env, placed, poisons)
    seconds = time.time() - began
    rows = [*_dead(env, poisons, tries), *_done(env, placed)]
    return pd.DataFrame(rows).assign(
        idle=idle_cores(busy_seconds() - busy, seconds), runtime=env.runtime, attempt=1
    )


def _poison(env: Environment, partition: int, kind: str) -> dict[str, Any]:
    """Send one message that nobody can use; what was sent, and where it lies."""
    order = str(uuid.uuid4())
    value = payment(order) if kind == UNKNOWN else "a payment, but not in JSON"
    sent = env.kafka.produce(TOPIC, value, key=order, partition=partition).iloc[0]
    place = {name: int(sent[name]) for name in ("partition", "offset")}
    arrived = sent["time"].timestamp()
    return {"kind": kind, "order": order, "value": value, "arrived": arrived, **place}


def payment(order: str) -> str:
    """A PaymentCompleted of an order, as payment-service writes it."""
    amount = sum(item["price"] * item["quantity"] for item in ITEMS)  # type: ignore[operator]
    return json.dumps(
        {
            "eventType": "PaymentCompleted",
            "eventId": str(uuid.uuid4()),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "correlationId": f"lab-{order}",
            "causationId": None,
            "version": 1,
            "data": {"orderId": order, "paymentId": order, "amount": amount, "items": ITEMS},
        }
    )


def _await_end(env: Environment, placed: list[str], poisons: list[dict[str, Any]]) -> None:
    """Wait until the orders are done and the poison is buried; who counts sees what is missing."""
    follow(env, DONE, placed, by="order", seconds=DONE_SECONDS)
    keys = {poison["order"] for poison in poisons}
    wait_until(
        lambda: (
            keys <= set(env.kafka.dead_letters(TOPIC)["key"])
            or env.kafka.lag(GROUP)["lag"].sum() == 0
        ),
        timeout=DONE_SECONDS,
        every=0.2,
    )


def _dead(env: Environment, poisons: list[dict[str, Any]], tries: int) -> Iterator[dict[str, Any]]:
    letters, attempts = env.kafka.dead_letters(TOPIC), read_attempts(env[SERVICE].logs(LINES))
    for poison in poisons:
        mine = letters[
            (letters["key"] == poison["order"])
            & (letters["value"] == poison["value"])
            & (letters["origin"] == TOPIC)
            & (letters["origin_partition"] == poison["partition"])
            & (letters["origin_offset"] == poison["offset"])
            & (letters["group"] == GROUP)
        ]
        failed = attempts[attempts["order"] == poison["order"]].set_index("attempt")["time"]
        yield {
            **{name: poison[name] for name in ("kind", "order", "partition", "arrived")},
            "ended": mine["time"].min().timestamp() if len(mine) else None,
            "letters": len(mine),
            **{f"attempt_{n}": failed.get(n) for n in range(1, tries + 1)},
        }


def _done(env: Environment, placed: list[str]) -> Iterator[dict[str, Any]]:
    done = read_events(env, DONE).drop_duplicates("order").set_index("order")["time"]
    paid = read_events(env, TOPIC).drop_duplicates("order")
    for row in paid[paid["order"].isin(placed)].to_dict("records"):
        about = {name: row[name] for name in ("order", "partition")}
        ends = {"arrived": row["time"], "ended": done.get(row["order"])}
        yield {"kind": GOOD, **about, **ends, "letters": 0}


def read_attempts(log: str) -> pd.DataFrame:
    """The failed attempts that a service's log tells of. Columns: `order`, `attempt` (from 1),
    `time` (unix seconds)."""
    rows = []
    for line in log.splitlines():
        told = _fields(line)
        if told.get("message") == "attempt failed":
            rows.append([told["orderId"], told["attempt"], pd.Timestamp(told["time"]).timestamp()])
    return pd.DataFrame(rows, columns=["order", "attempt", "time"])


def _fields(line: str) -> dict[str, Any]:
    """A line of a log; empty for one that some other program wrote."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Dead letters and good messages: exact. Waits: within `TOLERANCE`.

    A machine makes a wait longer, never shorter. So the shortest of them is held to the upper bound,
    and one that is too long is in doubt unless there were idle cores. Also inconclusive where no
    good message came while the poison before it was tried.
    """
    failures, doubtful, details = [], [], []
    for _, mine in samples.groupby("attempt"):
        waits = _waits(mine, prediction)
        failures += [reason for row in waits for reason in _wrong_wait(row)]
        poison, good = mine[mine["kind"] != GOOD], mine[mine["kind"] == GOOD]
        for kind, part in poison.groupby("kind"):
            if (part["letters"] == 0).any():
                failures.append(f"a message {kind} is not among the dead letters")
        failures += ["a good message was not processed"] * bool(good["ended"].isna().any())
        behind = _behind(mine)
        if (behind["ended"] < behind["released"]).any():
            failures.append("a good message overtook the poison before it")
        doubtful.append(["no good message came right behind a poison"] * behind.empty)
        doubtful[-1] += [
            f"wait {row['wait']}: too long, on busy cores" for row in waits if _late(row)
        ]
        details.append({"waits": waits, "behind": len(behind), "good": len(good)})
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=[] if [] in doubtful else doubtful[-1],
        details={"attempts": details},
    )


def _waits(samples: pd.DataFrame, prediction: pd.DataFrame) -> list[dict[str, Any]]:
    """Each wait of the messages that were tried: the shortest measured, and its predicted range."""
    tried = samples[samples["kind"] == UNKNOWN]
    rows = []
    for n in range(1, len(prediction)):
        low, high = (float(prediction[edge].diff().iloc[n]) for edge in ("low", "high"))
        wait = tried[f"attempt_{n + 1}"] - tried[f"attempt_{n}"]
        shortest = float(wait.min()) if wait.notna().all() else None
        idle = float(samples["idle"].iloc[0])
        rows.append({"wait": n, "shortest": shortest, "low": low, "high": high, "idle": idle})
    return rows


def _wrong_wait(row: Mapping[str, Any]) -> list[str]:
    name = f"wait {row['wait']}"
    if row["shortest"] is None:
        return [f"{name}: there was no attempt after it"]
    if row["shortest"] < (1 - TOLERANCE) * row["low"] - TICK:
        return [f"{name}: shorter than predicted"]
    return [f"{name}: longer than predicted"] * (_late(row) and row["idle"] >= IDLE)


def _late(row: Mapping[str, Any]) -> bool:
    return row["shortest"] is not None and row["shortest"] > (1 + TOLERANCE) * row["high"] + TICK


def _behind(samples: pd.DataFrame) -> pd.DataFrame:
    """The good messages that came while the poison before them was tried, and when it was `released`."""
    poison = samples[(samples["kind"] == UNKNOWN) & samples["ended"].notna()]
    poison = poison.set_index("partition")[["arrived", "ended"]]
    poison.columns = pd.Index(["began", "released"])
    good = samples[samples["kind"] == GOOD].join(poison, on="partition", how="inner")
    return good[good["arrived"].between(good["began"], good["released"])]


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """A row per partition: attempts on its poison, and each good message from arrival to its end."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, (ax,) = canvas(
        "What waits behind a message that nobody can use",
        runtime=last["runtime"].iloc[0],
        height=4.6,
    )
    began = last["arrived"].min()
    for partition, mine in last.groupby("partition"):
        poison = mine[mine["kind"] != GOOD]
        _draw_good(ax, partition, mine[mine["kind"] == GOOD], began)
        for row in poison.to_dict("records"):
            _draw_poison(ax, partition, row, prediction, began)
    for colour, marker, label in ((VERMILLION, "x", "failed attempt"), (INK, "s", "dead letter")):
        ax.plot([], [], marker, color=colour, ms=7, mew=2, label=label)
    ax.plot([], [], "o-", color=BLUE, ms=5, label="good message")
    ax.plot([], [], label="predicted", **PREDICTION)
    partitions = sorted({*last["partition"], *POISONED})
    ax.set_yticks(partitions, [f"{n}: {POISONED.get(n, 'no poison')}" for n in partitions])
    ax.set_ylim(max(partitions) + 0.6, -0.6)
    ax.set_xlim(0, None)
    ax.set_ylabel("partition (number)")
    ax.set_xlabel("time since the first message (s)")
    legend(figure, ax)
    return figure


def _draw_poison(
    ax: Axes, partition: Any, row: Mapping[Any, Any], prediction: pd.DataFrame, began: float
) -> None:
    """One poison's attempts and its burial; the predicted times count from its first attempt."""
    names = [f"attempt_{n}" for n in prediction["attempt"]]
    tried = [row[name] - began for name in names if pd.notna(row[name])]
    ax.plot(tried, [partition] * len(tried), "x", color=VERMILLION, ms=8, mew=2, zorder=4)
    for low, high in prediction[["low", "high"]].to_numpy() if tried else ():
        edges = tried[0] + low, tried[0] + high
        ax.fill_between(edges, partition - 0.4, partition + 0.4, color=INK, alpha=0.1, linewidth=0)
        ax.plot([edges[0]] * 2, [partition - 0.4, partition + 0.4], **PREDICTION)
    if pd.notna(row["ended"]):
        ax.plot(
            row["ended"] - began, partition, "s", color=INK, ms=6, mfc="none", mew=1.5, zorder=5
        )


def _draw_good(ax: Axes, partition: Any, messages: pd.DataFrame, began: float) -> None:
    for number, row in enumerate(messages.sort_values("arrived").to_dict("records"), start=1):
        at = partition + 0.32 * number / (len(messages) + 1)
        ends = [row[moment] - began for moment in ("arrived", "ended")]
        ax.plot(ends, [at, at], "-", color=BLUE, linewidth=1.4)
        ax.plot(ends[1:], [at], "o", color=BLUE, ms=4)
