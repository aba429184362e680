"""Synthetic samples of phase 4's first experiments: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.above_capacity import STEPS, predict_above_capacity
from labs.experiments.accept_and_done import HTTP, KAFKA, predict_accept_and_done

BEGAN = 1.7e9


def accept_and_done_prediction() -> pd.DataFrame:
    return predict_accept_and_done(seconds=2)


def accept_and_done(*, accept: float = 0.01, done: float = 2.05) -> pd.DataFrame:
    """Forty orders of each design; the one that does not wait accepts and is done as told."""
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


def above_capacity_prediction() -> pd.DataFrame:
    return predict_above_capacity(slots=5, seconds=0.5, patience=2, step_seconds=4)


def above_capacity(*, patient: float = 1.5, growth: float = 10.0) -> pd.DataFrame:
    """Steps of 4 s: above capacity HTTP answers the first `patient` s, and the lag grows as told."""
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
    return samples.assign(lag=0.001, runtime="process", attempt=1)
