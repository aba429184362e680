"""Retry and dead letters: how long a message that cannot be used holds up the messages behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.evidence import Counterexample, first_order
from labs.experiments.idle import IdleMeter
from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.failed_attempts import read_attempts
from labs.experiments.phase4.names import CONFIRMED, ORDERS, ORDERS_GROUP, PAID, PAYMENTS
from labs.experiments.phase4.orders import place
from labs.experiments.phase4.poison import UNKNOWN, UNREADABLE, publish_poison
from labs.figures import BLUE, INK, PREDICTION, VERMILLION, canvas, legend, styled
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    Kind,
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

TITLE = "How long does a message that cannot be used delay the messages behind it?"

THEORY = (
    "Attempt i, counted from 0, on a message that arrived at t is made at t + b (2^i - 1), each "
    "wait up to a tenth longer by jitter. After the last of r attempts the message becomes a dead "
    "letter. The partition has waited for b (2^(r - 1) - 1), and the next message is processed."
)

GOOD = "good"
"""The kind of a message that can be used."""

POISONED = {0: UNKNOWN, 1: UNKNOWN, 2: UNKNOWN, 3: UNREADABLE}
"""The partitions that get a poison message, and of which kind. The others get none."""

JITTER = 0.1
"""Share by which a wait is longer at random, at most."""

TOLERANCE = 0.2
"""Of a predicted wait."""

TICK = 0.003
"""Seconds by which a service's clock may be coarse."""

IDLE = 0.5
"""Idle cores from which on the system itself causes a wait that is too long."""

DONE_SECONDS = 20.0

LINES = 2000
"""Of order-service's log: more than it writes meanwhile."""

JUDGED = (
    "attempts on a message that fails come after waits that double, within 20 %; then it lies among "
    "the dead letters, with its bytes and origin, and every good message behind it is processed"
)


def predict(*, tries: int = 3, first_wait: float = 0.2) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `tries` is r; `first_wait` is b, in seconds. Columns: `attempt` (from 1), `low` and `high` (seconds since the
    first one).
    """
    waited = [first_wait * (2.0**i - 1) for i in range(tries)]
    high = [(1 + JITTER) * low for low in waited]
    return pd.DataFrame({"attempt": range(1, tries + 1), "low": waited, "high": high})


def measure(env: Environment, *, orders: int = 12, tries: int = 3) -> pd.DataFrame:
    """Publish poison messages to four partitions of the payments' topic, and good messages right behind.

    Three are payments of orders that do not exist, one cannot be read. The good messages are the payments of real
    orders, which are placed before, while payment-service is paused. Leaves no work in a payment.

    One row per message. Columns: `kind`, `order` (the key), `partition`, `arrived` (unix seconds), `ended` (when it
    was a dead letter, or its order done; empty when it never was), `letters` (its dead letters with its own bytes, its
    partition and offset, and the group), `attempt_1` to `attempt_<tries>` (failed ones, by the service's log; empty
    where there was none), `idle` (cores that no program used meanwhile, on average), `runtime`, `attempt`.
    """
    env.configure(PAYMENTS, PAYMENT_SECONDS=0)
    meter = IdleMeter()
    with env[PAYMENTS].paused():
        placed = place(env, orders)
        poisons = [publish_poison(env, partition, kind) for partition, kind in POISONED.items()]
    _wait_for_end(env, placed, poisons)
    idle = meter.cores()
    rows = [*_dead(env, poisons, tries), *_done(env, placed)]
    return pd.DataFrame(rows).assign(idle=idle, runtime=env.runtime, attempt=1)


def _wait_for_end(env: Environment, placed: list[str], poisons: list[dict[str, Any]]) -> None:
    """Wait until the orders are done and the poison messages are dead letters; what is missing then is missing."""
    follow(env, CONFIRMED, placed, by="order", seconds=DONE_SECONDS)
    keys = {poison["order"] for poison in poisons}
    wait_until(
        lambda: (
            keys <= set(env.kafka.dead_letters(PAID)["key"])
            or env.kafka.lag(ORDERS_GROUP)["lag"].sum() == 0
        ),
        timeout=DONE_SECONDS,
        every=0.2,
    )


def _dead(env: Environment, poisons: list[dict[str, Any]], tries: int) -> Iterator[dict[str, Any]]:
    letters, attempts = env.kafka.dead_letters(PAID), read_attempts(env[ORDERS].logs(LINES))
    for poison in poisons:
        own = letters[
            (letters["key"] == poison["order"])
            & (letters["value"] == poison["value"])
            & (letters["origin"] == PAID)
            & (letters["origin_partition"] == poison["partition"])
            & (letters["origin_offset"] == poison["offset"])
            & (letters["group"] == ORDERS_GROUP)
        ]
        failed = attempts[attempts["order"] == poison["order"]].set_index("attempt")["time"]
        yield {
            **{name: poison[name] for name in ("kind", "order", "partition", "arrived")},
            "ended": own["time"].min().timestamp() if len(own) else None,
            "letters": len(own),
            **{f"attempt_{n}": failed.get(n) for n in range(1, tries + 1)},
        }


def _done(env: Environment, placed: list[str]) -> Iterator[dict[str, Any]]:
    done = read_events(env, CONFIRMED).drop_duplicates("order").set_index("order")["time"]
    paid = read_events(env, PAID).drop_duplicates("order")
    for row in paid[paid["order"].isin(placed)].to_dict("records"):
        about = {name: row[name] for name in ("order", "partition")}
        ends = {"arrived": row["time"], "ended": done.get(row["order"])}
        yield {"kind": GOOD, **about, **ends, "letters": 0}


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count dead letters and good messages exactly, and compare waits within `TOLERANCE`.

    Policy: every attempt. A machine makes a wait longer, never shorter: so the shortest of the messages' waits is
    held to the upper bound, and where no core was idle one that is too long is in doubt. Also in doubt is an attempt
    in which no good message came while the poison before it was tried.
    """
    attempts = list(each_attempt(samples))
    waits = [_waits(part, prediction) for part in attempts]
    cases = [
        Case(f"wait {n}", [_as_predicted(rows[n - 1]) for rows in waits])
        for n in range(1, len(prediction))
    ]
    cases += [
        Case("", [_among_dead_letters(part, kind) for part in attempts])
        for kind in (UNKNOWN, UNREADABLE)
    ]
    cases += [Case("", [check(part) for part in attempts]) for check in (_processed, _held_up)]
    details = [
        {"waits": rows, "behind": len(_behind(part)), "good": int((part["kind"] == GOOD).sum())}
        for part, rows in zip(attempts, waits, strict=True)
    ]
    return verdict(__name__, JUDGED, cases, every_attempt, details={"attempts": details})


def _waits(samples: pd.DataFrame, prediction: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each wait of the messages that were tried: the shortest measured, and its predicted range."""
    tried = samples[samples["kind"] == UNKNOWN]
    rows = []
    for n in range(1, len(prediction)):
        low, high = (float(prediction[edge].diff().iloc[n]) for edge in ("low", "high"))
        wait = tried[f"attempt_{n + 1}"] - tried[f"attempt_{n}"]
        shortest = float(wait.min()) if wait.notna().all() else None
        idle = float(samples["idle"].iloc[0])
        rows.append({"wait": n, "shortest": shortest, "low": low, "high": high, "idle": idle})
    return rows


def _as_predicted(wait: Mapping[str, Any]) -> Finding:
    if wait["shortest"] is None:
        return failure("there was no attempt after it")
    if wait["shortest"] < (1 - TOLERANCE) * wait["low"] - TICK:
        return failure("shorter than predicted")
    if wait["shortest"] <= (1 + TOLERANCE) * wait["high"] + TICK:
        return SETTLED
    return (
        failure("longer than predicted")
        if wait["idle"] >= IDLE
        else doubt("too long, on busy cores")
    )


def _among_dead_letters(samples: pd.DataFrame, kind: str) -> Finding:
    absent = (samples["letters"][samples["kind"] == kind] == 0).any()
    return failure(f"a message {kind} is not among the dead letters") if absent else SETTLED


def _processed(samples: pd.DataFrame) -> Finding:
    lost = samples["ended"][samples["kind"] == GOOD].isna().any()
    return failure("a good message was not processed") if lost else SETTLED


def _held_up(samples: pd.DataFrame) -> Finding:
    behind = _behind(samples)
    if (behind["ended"] < behind["released"]).any():
        return failure("a good message overtook the poison before it")
    return SETTLED if len(behind) else doubt("no good message came right behind a poison")


def _behind(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the good messages that came while the poison before them was tried, and when it was `released`."""
    poison = samples[(samples["kind"] == UNKNOWN) & samples["ended"].notna()]
    poison = poison.set_index("partition")[["arrived", "ended"]]
    poison.columns = pd.Index(["began", "released"])
    good = samples[samples["kind"] == GOOD].join(poison, on="partition", how="inner")
    return good[good["arrived"].between(good["began"], good["released"])]


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return the message that was lost, or else one that was tried at other times than predicted."""
    good, poison = samples["kind"] == GOOD, samples["kind"].isin([UNKNOWN, UNREADABLE])
    waits = [wait for part in each_attempt(samples) for wait in _waits(part, prediction)]
    odd = any(_as_predicted(wait).kind is Kind.FAILURE for wait in waits)
    return first_order(
        samples,
        {
            "a message that is not among the dead letters": poison & (samples["letters"] == 0),
            "a good message that was not processed": good & samples["ended"].isna(),
            "a poison message, tried at other times than predicted": odd
            & (samples["kind"] == UNKNOWN),
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw a row per partition, of the latest attempt: attempts on its poison, and each good message to its end."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    poison, behind = last[last["kind"] != GOOD], _behind(last)
    delay = (behind["ended"] - behind["arrived"]).max()
    figure, (ax,) = canvas(
        f"{int((poison['letters'] > 0).sum())} of {len(poison)} dead letters; good messages behind "
        f"them waited {delay:.2f} s at most",
        runtime=last["runtime"].iloc[0],
        note=f"{len(last)} messages",
        height=4.6,
    )
    began = last["arrived"].min()
    for partition, messages in last.groupby("partition"):
        poison = messages[messages["kind"] != GOOD]
        _draw_good(ax, partition, messages[messages["kind"] == GOOD], began)
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
    """Draw one poison message's attempts and its end; the predicted times count from its first attempt."""
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
