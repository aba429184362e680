"""Synthetic samples of phase 4's first experiments: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.phase4 import accept_and_done, consumer_group, key_order, overload, rebalance
from labs.experiments.phase4.names import CREATED, HTTP, KAFKA, PAID
from labs.experiments.phase4.overload import STEPS
from labs.experiments.phase4.rebalance import DIES, JOINS, LEAVES

BEGAN = 1.7e9


def accept_and_done_prediction() -> pd.DataFrame:
    return accept_and_done.predict(seconds=2)


def accept_and_done_samples(*, accept: float = 0.01, done: float = 2.05) -> pd.DataFrame:
    """Forty orders of each design; the one that does not wait accepts and is done after the given times."""
    times = {HTTP: (2.02, 2.02), KAFKA: (accept, done)}
    rows = [
        {
            "design": design,
            "intended": BEGAN + number / 10,
            "lag": 0.001,
            "accept": accepted + number / 1e4,
            "ok": True,
            "done": ended + number / 1e4,
        }
        for design, (accepted, ended) in times.items()
        for number in range(40)
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def overload_prediction() -> pd.DataFrame:
    return overload.predict(slots=5, seconds=0.5, patience=2, step_seconds=4)


def overload_samples(
    *, patient: float = 1.5, growth: float = 10.0, idle: float = 1.0
) -> pd.DataFrame:
    """Steps of 4 s: above capacity HTTP answers the first `patient` s, and the lag grows by `growth`."""
    parts = []
    for number, step in enumerate(STEPS):
        orders = pd.DataFrame({"since": np.arange(0, 4, 0.1 / step)})
        waits = 0.5 + orders["since"] * max(0, step - 1)
        answered = orders["since"] < (patient if step > 1 else 4)
        http = {"ok": answered, "latency": waits.where(answered, 2.0)}
        quick = {"ok": True, "latency": 0.01}
        parts.append(orders.assign(design=HTTP, what="order", behind=0, **http))
        parts.append(orders.assign(design=KAFKA, what="order", behind=0, **quick))
        looks = pd.DataFrame({"since": np.arange(0, 4, 0.15)})
        behind = 5 + looks["since"] * (growth if step > 1 else 0)
        parts.append(looks.assign(design=KAFKA, what="lag", behind=behind.astype(int), **quick))
        for part in parts[-3:]:
            part["step"], part["intended"] = step, BEGAN + 4 * number + part["since"]
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(lag=0.001, idle=idle, runtime="process", attempt=1)


def key_order_prediction() -> pd.DataFrame:
    return key_order.predict(orders=2, steps=3)


def key_order_samples(*, behind: bool = True) -> pd.DataFrame:
    """Two orders of three steps; reader B, when it is behind, sees the payments first."""
    rows = []
    for reader, topics in (
        ("reader A", (CREATED, PAID)),
        ("reader B", (PAID, CREATED) if behind else (CREATED, PAID)),
    ):
        places = [(topic, order, step) for topic in topics for order in (0, 1) for step in range(3)]
        for seen, (topic, order, step) in enumerate(places):
            row = {"reader": reader, "topic": topic, "partition": order, "seen": seen}
            rows.append(row | {"order": f"order-{order}", "step": step})
    return pd.DataFrame(rows).assign(written=12, runtime="process", attempt=1)


def consumer_group_prediction() -> pd.DataFrame:
    return consumer_group.predict(messages=18, seconds=0.3, members=(1, 3, 4, 7))


def consumer_group_samples(
    *, late: float = 0.05, times: float = 1.0, idle: float = 1.2
) -> pd.DataFrame:
    """Drains of the predicted times, times a factor and `late` seconds."""
    rows = []
    for g in (1, 3, 4, 7):
        working = min(g, 6)
        busiest = -(-6 // working)
        for number in range(18):
            partition, turn = number % 6, number // 6 + 1
            place = partition // busiest if working < 4 else partition % working
            paid = BEGAN + late + times * 0.3 * busiest * turn
            row = {"members": g, "partition": partition, "member": f"payment-service-{place + 1}"}
            rows.append(row | {"published": BEGAN, "paid": paid})
    return pd.DataFrame(rows).assign(idle=idle, runtime="process", attempt=1)


def rebalance_prediction() -> pd.DataFrame:
    return rebalance.predict(seconds=1)


def rebalance_samples(
    *, missed: float = 6.0, handover: float = 0.0, lease: float = 2.0
) -> pd.DataFrame:
    """Fifteen orders a second; those of a dead member's partitions wait until it is missed.

    Orders placed as a member joins wait for `handover` seconds more, those of the others as one dies for its `lease`.
    """
    changes = {JOINS: (1.5, 4.0), LEAVES: (6.0, 7.0), DIES: (9.0, 18.0)}
    rows = []
    for number in range(21 * 15):
        published = number / 15
        waits = number % 2 and 8 < published < 9 + missed
        paid = 9 + missed + 1 if waits else published + 1.05
        paid += handover * (1.5 < published < 2.5)
        if not number % 2 and 8 < published < 8 + lease:
            paid = max(paid, 9 + lease)
        times = {"published": BEGAN + published, "paid": BEGAN + paid}
        rows.append({"order": f"order-{number}", "its": bool(number % 2), **times})
    edges = {name: BEGAN + began for name, (began, _) in changes.items()}
    edges |= {f"{name}_end": BEGAN + ended for name, (_, ended) in changes.items()}
    return pd.DataFrame(rows).assign(**edges, placed=len(rows), runtime="process", attempt=1)
