"""Synthetic samples of phase 5: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.phase5 import (
    compensation_first,
    coordination,
    crash_anywhere,
    deadline,
    duration,
    engine,
    give_up,
    interleavings,
    lambda_kappa,
    money,
    outcomes,
    refunds,
    saga_throughput,
    story,
    windows,
)
from labs.experiments.phase5.names import COMPLETED, INVENTORY, INVENTORY_FAILED, ORDERS, OUTCOMES
from labs.experiments.phase5.stream_log import COLUMNS

ENDS = {COMPLETED: ("completed", 1, 0), INVENTORY_FAILED: ("cancelled", 1, 1)}
"""The status, charges and refunds of an order by its outcome; of any other one nothing is charged."""

PRICE = 1999

BEGAN = 1.7e9


def interleavings_prediction() -> pd.DataFrame:
    return interleavings.predict()


def interleavings_samples() -> pd.DataFrame:
    """Every walk as predicted; the drawn design breaks its property in the eight steps."""
    trace = [
        "publish OrderCreated",
        "deadline",
        "publish OrderCancelled",
        "payment reads OrderCancelled",
        "payment reads OrderCreated",
        "publish PaymentCompleted",
        "inventory reads OrderCancelled",
        "inventory reads PaymentCompleted",
    ]
    rows = interleavings_prediction().drop(columns=["kind", "arguments"])
    wrong = rows["steps"] > 0
    return rows.assign(
        broken=["a promise" if each else "" for each in wrong],
        trace=["\n".join(trace) if each else "" for each in wrong],
        seconds=0.01,
        runtime="none (a model)",
        attempt=1,
    )


def outcomes_prediction() -> pd.DataFrame:
    return outcomes.predict(orders=200)


def outcomes_samples() -> pd.DataFrame:
    """Every order as the coin says."""
    return outcomes_prediction().assign(shelf=100_000, resting=True, runtime="process", attempt=1)


def money_prediction() -> pd.DataFrame:
    return money.predict()


def money_samples(each: int = 25) -> pd.DataFrame:
    """So many orders of each outcome."""
    rows = []
    for outcome in OUTCOMES:
        status, charges, refunds = ENDS.get(outcome, ("cancelled", 0, 0))
        rows += [
            {
                "order": f"{outcome}-{number}",
                "status": status,
                "total": PRICE,
                "charges": charges,
                "charged": charges * PRICE,
                "refunds": refunds,
                "refunded": refunds * PRICE,
            }
            for number in range(each)
        ]
    kept = each * PRICE
    return pd.DataFrame(rows).assign(
        customers=-kept,
        shop=kept,
        owed=0,
        revenue=kept,
        unordered=0,
        resting=True,
        runtime="process",
        attempt=1,
    )


def deadline_prediction() -> pd.DataFrame:
    return deadline.predict()


def deadline_samples(orders: int = 6) -> pd.DataFrame:
    """Orders that end 4 s after they are placed; inventory-service's were charged, order-service's answers waited."""
    rows = deadline_prediction().drop(columns=["low", "high"])
    rows = rows.loc[rows.index.repeat(orders)].reset_index(drop=True)
    away = rows["silent"] == ORDERS
    charged = away | (rows["silent"] == INVENTORY)
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        total=PRICE,
        created=BEGAN,
        ended=BEGAN + 4 + 2 * away,
        charged=PRICE * charged,
        refunded=PRICE * (charged & ~away),
        began=BEGAN + np.where(away, 1, -1),
        back=BEGAN + 5.0,
        timeout=3.0,
        answered=True,
        resting=True,
        runtime="process",
        attempt=1,
    )


def compensation_first_prediction() -> pd.DataFrame:
    return compensation_first.predict(orders=6)


def compensation_first_samples() -> pd.DataFrame:
    """Six cancelled orders of each reader; inventory-service's were charged and refunded."""
    rows = compensation_first_prediction()[["reader"]]
    rows = rows.loc[rows.index.repeat(6)].reset_index(drop=True)
    charged = PRICE * (rows["reader"] == INVENTORY)
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        status="cancelled",
        total=PRICE,
        created=BEGAN,
        ended=BEGAN + 2,
        charged=charged,
        refunded=charged,
        effects=0,
        cancelled_first=True,
        read_again=6,
        resting=True,
        runtime="process",
        attempt=1,
    )


def refunds_prediction() -> pd.DataFrame:
    return refunds.predict()


def refunds_samples() -> pd.DataFrame:
    """Every refund paid after the predicted attempts."""
    rows = refunds_prediction()
    return rows.drop(columns="attempts").assign(
        charges=1, refunds=1, refused=rows["attempts"] - 1, rate=0.5, runtime="process", attempt=1
    )


TRACE = [
    ("publish OrderCreated", True, "pending/none/none", "pending/none/none"),
    ("deadline", True, "cancelled/none/none", "cancelled/none/none"),
    ("publish OrderCancelled", True, "cancelled/none/none", "cancelled/none/none"),
    ("payment reads OrderCancelled", True, "cancelled/barred/none", "cancelled/none/none"),
    ("payment reads OrderCreated", True, "cancelled/barred/none", "cancelled/charged/none"),
    ("publish PaymentCompleted", False, "cancelled/barred/none", "cancelled/charged/none"),
    (
        "inventory reads OrderCancelled",
        True,
        "cancelled/barred/barred",
        "cancelled/charged/barred",
    ),
    (
        "inventory reads PaymentCompleted",
        False,
        "cancelled/barred/barred",
        "cancelled/charged/barred",
    ),
]


def trace_replay_prediction() -> pd.DataFrame:
    """The eight actions that the checker finds for a payment-service without a tombstone."""
    rows = [(number, *row) for number, row in enumerate(TRACE, 1)]
    return pd.DataFrame(rows, columns=["step", "action", "possible", "states", "wrong"])


def trace_replay_samples() -> pd.DataFrame:
    """Each action as predicted, and an allowed end."""
    rows = trace_replay_prediction().drop(columns="wrong")
    last = {"step": 9, "action": "at rest", "possible": True, "states": rows["states"].iloc[-1]}
    return pd.concat([rows, pd.DataFrame([last])], ignore_index=True).assign(
        allowed=True, resting=True, runtime="process", attempt=1
    )


KILL_ENDS = {
    "completed": "completed/settled/sold",
    "payment failed": "cancelled/failed/barred",
    "inventory failed": "cancelled/refunded/failed",
}


def crash_anywhere_prediction() -> pd.DataFrame:
    return crash_anywhere.predict()


def crash_anywhere_samples(at_random: int = 0) -> pd.DataFrame:
    """Each kill hit its point, and each order ended as the coin says."""
    rows = crash_anywhere_prediction()[["kill", "outcome"]].rename(columns={"outcome": "coin"})
    names = [f"at random {number}, order" for number in range(1, at_random + 1)]
    more = [{"kill": name, "coin": coin} for name in names for coin in KILL_ENDS]
    rows = pd.DataFrame([*rows.to_dict("records"), *more])
    return rows.assign(
        hit=True,
        again=1,
        order=[f"order-{n}" for n in rows.index],
        outcome=rows["coin"],
        states=rows["coin"].map(KILL_ENDS),
        allowed=True,
        wrong=False,
        seconds=6.5,
        quiet=True,
        runtime="process",
        attempt=1,
    )


GIVEN_UP = {
    "payment/OrderCancelled": 8,
    "inventory/OrderCancelled": 11,
    "inventory/OrderConfirmed": 9,
}
"""The steps to a wrong state when this reading is given up; of any other one there are none."""


def give_up_prediction() -> pd.DataFrame:
    """Every reading, as the checker judges it."""
    rows = [
        {"reading": reading.name, "steps": GIVEN_UP.get(reading.name, 0)}
        for reading in give_up.READINGS
    ]
    table = pd.DataFrame(rows).assign(broken="")
    table.insert(1, "safe", table["steps"] == 0)
    table.loc[~table["safe"], "broken"] = "a completed order is paid, and a cancelled one is not"
    return table


def give_up_samples() -> pd.DataFrame:
    """A dead letter where it may be given up; elsewhere a partition that waits, and a wrong state meanwhile."""
    rows = give_up_prediction()
    return rows[["reading"]].assign(
        order=[f"order-{n}" for n in rows.index],
        letters=rows["safe"].astype(int),
        waited=~rows["safe"],
        ended=True,
        wrong=~rows["safe"],
        wrong_after=False,
        quiet=True,
        runtime="process",
        attempt=1,
    )


def story_prediction() -> pd.DataFrame:
    return story.predict()


def story_samples(orders: int = 4) -> pd.DataFrame:
    """So many orders of each outcome, as predicted; the trace is that of a payment that failed."""
    rows = story_prediction()
    rows = rows.loc[rows.index.repeat(orders)].reset_index(drop=True)
    trace = ("publish OrderCreated", "payment reads OrderCreated", "publish PaymentFailed")
    return rows.assign(
        order=[f"order-{n}" for n in rows.index],
        roots=1,
        orphans=0,
        correlations=1,
        traces=1,
        own=True,
        reversed=0,
        ended=True,
        trace="\n".join(trace),
        complete=True,
        runtime="process",
        attempt=1,
    )


def coordination_prediction() -> pd.DataFrame:
    return coordination.predict()


def coordination_samples(hop: float = 0.015) -> pd.DataFrame:
    """Both systems as predicted: 56, 30 and 14 of 100 orders, a part of them while order-service is away."""
    rows = []
    shares = dict(zip(OUTCOMES, (56, 30, 14), strict=True))
    for row in coordination_prediction().to_dict("records"):
        for number in range(shares[row["outcome"]]):
            away = number % 5 == 0
            rows.append(
                {
                    "coordination": row["coordination"],
                    "resting": True,
                    "part": coordination.AWAY if away else coordination.RUNNING,
                    "order": f"{row['outcome']}-{number}",
                    "expected": row["outcome"],
                    "outcome": row["outcome"],
                    "messages": row["messages"],
                    "seconds": 3.0 if away else row["hops"] * hop * (1 + number % 3 / 10),
                    "reserved_while_away": away and row["reserves_while_away"],
                }
            )
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def windows_prediction() -> pd.DataFrame:
    return windows.predict()


def windows_samples() -> pd.DataFrame:
    """Seven windows of 2 s, of which the last one is open; one was closed without its two late charges."""
    began, size, lateness = BEGAN, 2, 3.0
    starts = [began + size * number for number in range(7)]
    rows = pd.DataFrame({"kind": "window", "start": starts, "closed": [1.0] * 6 + [0.0]})
    rows["late"] = rows["delayed"] = [0.0, 0, 0, 2, 0, 0, 0]
    for name in COLUMNS:
        value = 20.0 * PRICE if name == "revenue" else 20.0
        missing = 2.0 * PRICE if name == "revenue" else 0.0
        rows[f"now_{name}"] = rows[f"log_{name}"] = value
        rows[f"first_{name}"] = [value] * 3 + [value - missing] + [value] * 2 + [np.nan]
    times = began + np.arange(0, 14, 0.5)
    looks = pd.DataFrame({"kind": "look", "time": times, "watermark": times - lateness})
    newest = began + 15.5
    return pd.concat([rows, looks], ignore_index=True).assign(
        began=began,
        reader_began=began + 1,
        reader_ended=began + 6,
        relay_began=began + 7,
        relay_ended=began + 12,
        newest=newest,
        idle=6,
        resting=True,
        mark=newest - lateness,
        size=size,
        lateness=lateness,
        runtime="process",
        attempt=1,
    )


def duration_prediction() -> pd.DataFrame:
    return duration.predict()


def duration_samples(hop: float = 0.02, orders: int = 10) -> pd.DataFrame:
    """So many orders of each outcome; a hop takes `hop` seconds, and a millisecond more or less."""
    rows = duration_prediction()
    rows = rows.loc[rows.index.repeat(orders)].reset_index(drop=True)
    jitter = np.tile([-0.001, 0.001], len(rows) // 2)
    return pd.DataFrame(
        {
            "order": [f"order-{n}" for n in rows.index],
            "outcome": rows["outcome"],
            "duration": rows["work"] + hop * rows["hops"] + jitter,
            "overdue": False,
            "runtime": "process",
            "attempt": 1,
        }
    )


def saga_throughput_prediction() -> pd.DataFrame:
    return saga_throughput.predict()


def saga_throughput_samples(seconds: float = 0.06, orders: int = 250) -> pd.DataFrame:
    """So many orders on each number of replicas, on time; all but one in fifty take `seconds`, these three times it."""
    parts = []
    for replicas in (1, 3):
        number = np.arange(orders)
        part = {
            "replicas": replicas,
            "intended": BEGAN + 100 * replicas + number / 50,
            "lag": 0.001,
            "latency": 0.01,
            "status": 201,
            "error": "",
            "ok": True,
            "order": [f"order-{replicas}-{n}" for n in number],
            "total": np.where(number % 50 == 0, 3 * seconds, seconds),
            "idle": 1.0,
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)


def lambda_kappa_prediction() -> pd.DataFrame:
    return lambda_kappa.predict()


def lambda_kappa_samples(log: int = 4000) -> pd.DataFrame:
    """Five batches over the log, and a view that is built again within two seconds."""
    rows: list[dict[str, object]] = []
    read = 0
    for number in range(1, 6):
        end = log * number // 5
        read += log // 5 + end
        rows.append({"kind": "batch", "events": float(end), "read": float(read), "jumped": 0.0})
    for tenth in range(11):
        rows.append({"kind": "replay", "seconds": 0.2 * tenth, "share": tenth / 10})
    rows.append({"kind": "view", "read": float(log), "differing": 0.0})
    return pd.DataFrame(rows).assign(
        log=log, resting=True, emptied=True, runtime="process", attempt=1
    )


def engine_prediction() -> pd.DataFrame:
    return engine.predict()


def engine_samples() -> pd.DataFrame:
    """Every case as predicted, with the engine installed."""
    rows = engine_prediction()
    cancelled = rows["status"] == "cancelled"
    return rows.drop(columns=["design", "charge"]).assign(
        arranged=True,
        payment=np.where(cancelled, np.where(rows["charges"] > 0, "charged", "barred"), "settled"),
        inventory=np.where(cancelled, "barred", "sold"),
        resting=True,
        installed=True,
        runtime=engine.RUNTIME,
        attempt=1,
    )
