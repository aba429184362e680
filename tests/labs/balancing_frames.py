"""Synthetic samples of phase 3's experiments: what a judge sees, without a system."""

import pandas as pd

from labs.experiments.distribution import predict_distribution

WEIGHTS = (3, 2, 1)
CLIENTS = ("10.0.1.1", "10.0.1.99", "10.0.2.1", "10.0.3.1", "10.0.4.1", "10.0.5.1")


def distribution_prediction() -> pd.DataFrame:
    return predict_distribution(WEIGHTS, CLIENTS, requests=60)


def distribution() -> pd.DataFrame:
    """Every replica gets what was predicted."""
    predicted = distribution_prediction()
    rows = predicted.loc[predicted.index.repeat(predicted["requests"])].drop(columns="requests")
    return rows.reset_index(drop=True).assign(runtime="process", attempt=1)
