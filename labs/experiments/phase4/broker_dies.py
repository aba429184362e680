"""The broker dies."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.orders import ITEMS, all_orders
from labs.figures import BLUE, FAULT, INK, ORANGE, PREDICTION, canvas, legend, name_fault, styled
from labs.load.open_loop import Load, Stream
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which orders are lost, and who has to be told that it is back?"

THEORY = (
    "What is committed with its order waits in the outbox until the broker has acknowledged"
    " it, and is sent again until then. So nothing that was accepted is lost when the "
    "broker hangs and is killed; what is placed while it is away is done when it is back. A"
    " consumer that was cut off for longer than its session timeout joins its group anew, "
    "and the group may wait as long for the member that it was, and `ALLOWANCE`."
)

BROKER = "kafka"

TOLD, DONE = "order-created", "order-confirmed"
"""The topics of an order's first event, and of its last."""

BEFORE, AWAY, AFTER = "before", "while it is away", "after"

RATE = 20
"""Orders per second."""

RESTART_SECONDS = 90.0
"""Longest restart of the broker under load; the environment gives up on one sooner."""

DONE_SECONDS = 30.0
"""How long the last order may take, once the broker is back, until nobody is coming back any more."""

ALLOWANCE = 5.0
"""Seconds of finding the broker again, and of a busy machine, in the time until orders are done."""

ENOUGH = 10
"""Orders of each moment."""

JUDGED = (
    "every order is accepted while the broker hangs and is dead; not one event is missing "
    "afterwards, and every order is completed, though no service was restarted"
)


def predict(*, session_timeout: float = 6.0) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `session_timeout` is in seconds. Columns: `moment` (at which an order is placed), `accepted`
    (share of the orders), `missing` (of those accepted, without an event), `early` and `late`
    (seconds from the broker's return until one is done; empty where it is done at once).
    """
    rows = [
        (BEFORE, 1.0, 0, float("nan"), float("nan")),
        (AWAY, 1.0, 0, 0.0, session_timeout + ALLOWANCE),
        (AFTER, 1.0, 0, 0.0, session_timeout + ALLOWANCE),
    ]
    return pd.DataFrame(rows, columns=["moment", "accepted", "missing", "early", "late"])


def measure(env: Environment, *, seconds: float = 1.5, paused: float = 1.0) -> pd.DataFrame:
    """Orders come steadily. After `seconds` the broker is paused, `paused` seconds later it is killed
    and started again, and the orders go on for another `seconds`. What is sent to a broker that
    hangs dies with it: a sender that did not wait for its word has lost it.

    One row per accepted order, by order-service's own list. Columns: `order`, `created` (unix
    seconds), `status`, `told` (its first events in the topic), `done` (unix seconds at which its
    last event was handed to Kafka; empty when it never was), `asked` and `accepted` (orders sent by
    the load, and answered with 201), `refused` (answered otherwise), `began`, `killed` and `ended`
    (of the fault, unix seconds), `runtime`, `attempt`.
    """
    user = f"user-{uuid.uuid4().hex[:12]}"
    body = {"userId": user, "items": ITEMS}
    url = f"{env['order-service'].url}/orders"
    orders = Stream("orders", url, rate=RATE, method="POST", body=body)
    broker = env[BROKER]
    with Load(orders, seconds=RESTART_SECONDS, seed=env.seed) as load:
        load.until(seconds)
        with broker.paused() as fault:
            load.until(seconds + paused)
            with broker.killed() as death:
                pass  # and at once it is started again
        load.end_in(seconds)
    status = load.samples["status"]
    return _fates(env, user).assign(
        asked=len(status),
        accepted=int((status == 201).sum()),
        refused=int((~status.isin([0, 201])).sum()),
        began=fault.began,
        killed=death.began,
        ended=death.ended,
        runtime=env.runtime,
        attempt=1,
    )


def _fates(env: Environment, user: str) -> pd.DataFrame:
    """What became of each order of a user. Events leave in the order of commits: once the last order
    is told, whatever could be told of the others was."""
    mine = all_orders(env).query("user == @user").sort_values("created")["order"]
    follow(env, TOLD, mine.tail(1), by="order", seconds=DONE_SECONDS)
    told = read_events(env, TOLD)["order"].value_counts()
    known = [order for order in mine if order in told]
    done = follow(env, DONE, known, by="order", seconds=DONE_SECONDS)
    ended = done.drop_duplicates("order").set_index("order")["time"].astype(float)
    orders = all_orders(env).query("user == @user").drop(columns="user").reset_index(drop=True)
    return orders.assign(
        told=orders["order"].map(told).fillna(0).astype(int), done=orders["order"].map(ended)
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact: no event of an accepted order is missing, whatever else is in doubt. When the orders are
    done is shown, and not judged: on a busy machine that is the machine's time.

    Inconclusive where too few orders were placed before, during or after, and where some got no
    answer at all.
    """
    failures, doubtful, details = [], [], []
    for _, mine in samples.groupby("attempt"):
        moments = _moments(mine)
        missing = moments[mine["told"] == 0]
        placed = {moment: int((moments == moment).sum()) for moment in prediction["moment"]}
        failures += [f"orders placed {moment}: events missing" for moment in missing]
        failures += _losses(mine)
        doubtful.append([f"too few orders {moment}" for moment, n in placed.items() if n < ENOUGH])
        if (mine["accepted"] + mine["refused"] < mine["asked"]).any():
            doubtful[-1].append("orders were not answered")
        late = float((mine["done"] - mine["ended"]).max())
        details.append({"placed": placed, "missing": len(missing), "last_done": late})
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=[] if [] in doubtful else doubtful[-1],
        details={"attempts": details},
    )


def _losses(orders: pd.DataFrame) -> list[str]:
    """What else than an event is missing."""
    pending = (orders["told"] > 0) & (orders["status"] != "completed")
    found = ["accepted orders are not there"] * bool(len(orders) < orders["accepted"].iloc[0])
    found += ["orders were refused"] * bool(orders["refused"].iloc[0])
    if pending.any():
        found.append("orders were never completed: a service did not come back by itself")
    return found


def _moments(orders: pd.DataFrame) -> pd.Series[str]:
    """When each order was placed: before the broker hung, while it was away, or after."""
    moments = pd.Series(AWAY, index=orders.index)
    moments[orders["created"] < orders["began"]] = BEFORE
    moments[orders["created"] > orders["ended"]] = AFTER
    return moments


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Orders accepted so far and done so far, over the time in which the broker is away."""
    last = samples[samples["attempt"] == samples["attempt"].max()].sort_values("created")
    missing = int((last["told"] == 0).sum())
    figure, (ax,) = canvas(
        "Orders while the broker hangs, dies and comes back",
        runtime=last["runtime"].iloc[0],
        note=f"{len(last)} accepted, {missing} of them without an event",
        height=4.2,
    )
    began = last["began"].iloc[0]
    created = (last["created"] - began).to_numpy()
    done = (last["done"] - began).dropna().sort_values().to_numpy()
    killed, ended = (last[moment].iloc[0] - began for moment in ("killed", "ended"))
    for since, until, words in ((0.0, killed, "hangs"), (killed, ended, "is dead, and starts")):
        ax.axvspan(since, until, **FAULT)
        name_fault(ax, since, until, words)
    ax.axvline(killed, color="white", linewidth=1.5, zorder=0.6)
    style: dict[str, Any] = {"where": "post"}
    ax.step(created, range(1, len(created) + 1), color=ORANGE, label="accepted", **style)
    ax.step(done, range(1, len(done) + 1), color=BLUE, label="done", **style)
    early, late = (_predicted(created, last, prediction[edge].max()) for edge in ("early", "late"))
    ax.plot(early, range(1, len(created) + 1), label="done, predicted", **PREDICTION)
    ax.fill_betweenx(range(1, len(created) + 1), early, late, color=INK, alpha=0.1, linewidth=0)
    ax.set_ylim(0, None)
    ax.set_xlabel("time since the broker hangs (s)")
    ax.set_ylabel("orders so far (count)")
    legend(figure, ax)
    return figure


def _predicted(created: Any, orders: pd.DataFrame, seconds: float) -> list[float]:
    """When each order is done: as it is placed, or so many seconds after the broker is back."""
    back = orders["ended"].iloc[0] - orders["began"].iloc[0] + seconds
    return [moment if moment < 0 else max(moment, back) for moment in created]
