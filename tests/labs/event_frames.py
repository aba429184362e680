"""Synthetic samples of phase 4's first experiments: what a judge sees, without a system."""

import pandas as pd

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
