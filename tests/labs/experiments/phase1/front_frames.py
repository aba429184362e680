"""Synthetic samples of the experiments with a gateway's routes and dashboard, for judging without a system."""

import pandas as pd

from labs.experiments.phase1 import aggregation, auth, hop, partial_answers
from labs.experiments.phase1.aggregation import DASHBOARD, ORDERS, USERS
from labs.experiments.phase1.hop import DIRECT, GATEWAY, HOP
from labs.experiments.phase1.partial_answers import AFTER, ANSWERS, ASKED, BEFORE, DURING, SILENT

BEGAN = 1.7e9
USERS_SECONDS, ORDERS_SECONDS = 0.5, (0.25, 1.0)
LATENCIES = {DIRECT: 0.003, HOP: 0.002, GATEWAY: 0.004}


def hop_prediction() -> pd.DataFrame:
    return hop.predict(pd.Series([0.003] * 3), pd.Series([0.002] * 3))


def hop_samples(**slower: float) -> pd.DataFrame:
    """200 requests each way in turns; `everywhere` and `through` are seconds added to the usual ones."""
    added = {way: slower.get("everywhere", 0.0) for way in LATENCIES}
    added[GATEWAY] += slower.get("through", 0.0)
    rows = [
        _answered(way, number / 50, latency + added[way] + 0.0001 * (number % 7))
        for number in range(200)
        for way, latency in LATENCIES.items()
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def _answered(stream: str, offset: float, latency: float) -> dict[str, object]:
    return {
        "stream": stream,
        "intended": BEGAN + offset,
        "lag": 0.0005,
        "latency": latency,
        "status": 200,
        "error": "",
        "ok": True,
    }


def aggregation_prediction() -> pd.DataFrame:
    return aggregation.predict(USERS_SECONDS, ORDERS_SECONDS)


def aggregation_samples(dashboard: str = "parallel", *, late: float = 0.005) -> pd.DataFrame:
    """Twelve requests of each stream at each delay, all `late` seconds slower than the delays."""
    rows = []
    for index, expected in enumerate(aggregation_prediction().to_dict("records")):
        latencies = {
            USERS: USERS_SECONDS,
            ORDERS: expected["orders_seconds"],
            DASHBOARD: expected[dashboard],
        }
        rows += [
            _answered(stream, 5 * index + number / 8, latency + late)
            | {"orders_seconds": expected["orders_seconds"]}
            for number in range(12)
            for stream, latency in latencies.items()
        ]
    return pd.DataFrame(rows).assign(users_seconds=USERS_SECONDS, runtime="process", attempt=1)


def partial_answers_prediction() -> pd.DataFrame:
    return partial_answers.predict()


def partial_answers_samples(during: str = SILENT) -> pd.DataFrame:
    """Three dashboards at each moment, as predicted for what order-service did `during` its fault."""
    asked = {BEFORE: ANSWERS, DURING: during, AFTER: ANSWERS}
    direct = [{"moment": m, "check": ASKED, "observed": answer} for m, answer in asked.items()]
    answers = partial_answers.predict().rename(columns={"expected": "observed"})
    if during == ANSWERS:
        whole = answers.loc[answers["moment"] == BEFORE, "observed"]
        answers.loc[answers["moment"] == DURING, "observed"] = whole.to_list()
    samples = pd.concat([answers] * 3 + [pd.DataFrame(direct)], ignore_index=True)
    return samples.assign(waited=0.003, runtime="process", attempt=1)


def auth_prediction() -> pd.DataFrame:
    return auth.predict("demo-token")


def auth_samples() -> pd.DataFrame:
    """Every answer as predicted."""
    answers = auth_prediction().rename(columns={"expected": "observed"})
    return answers.assign(runtime="process", attempt=1)
