"""Synthetic samples of each experiment, for judging without a system."""

import pandas as pd

from labs.experiments.phase0 import independence, startup, versions
from labs.experiments.phase0.independence import OWNERS, RATES

BEGAN, KILLED, READY = 1.7e9, 1.7e9 + 3.0, 1.7e9 + 6.3
WORK_SECONDS = 0.1


def independence_prediction() -> pd.DataFrame:
    calls = {"POST /orders": ["payment-service"]}
    return independence.predict("payment-service", calls=calls, work_seconds=WORK_SECONDS)


def independence_samples() -> pd.DataFrame:
    """Ten seconds of the system as predicted: payment-service is down from 3.0 s to 6.3 s."""
    rows = [
        _request(endpoint, BEGAN + number / rate)
        for endpoint, rate in RATES.items()
        for number in range(10 * rate)
    ]
    samples = pd.DataFrame(rows).sort_values("intended", ignore_index=True)
    return samples.assign(
        began=KILLED, ended=READY, killed="payment-service", runtime="process", attempt=1
    )


def _request(endpoint: str, intended: float) -> dict[str, object]:
    paid = endpoint.startswith("POST")
    latency = 0.003 + (WORK_SECONDS if paid else 0)
    lost = paid and intended + latency >= KILLED and intended <= READY
    if lost:
        latency = max(0.002, KILLED - intended + 0.001)
    return {
        "stream": endpoint,
        "intended": intended,
        "lag": 0.0005,
        "latency": latency,
        "status": 503 if lost else 200,
        "error": "payment-service does not answer" if lost else "",
        "ok": not lost,
    }


def failing(samples: pd.DataFrame, endpoint: str, *, since: float) -> pd.DataFrame:
    """The samples, with the first request to `endpoint` after `since` seconds lost."""
    late = samples[(samples["stream"] == endpoint) & (samples["intended"] >= BEGAN + since)]
    changed = samples.copy()
    changed.loc[late.index[0], ["ok", "status"]] = [False, 500]
    return changed


def answered(samples: pd.DataFrame, *endpoints: str) -> pd.DataFrame:
    """The samples, with every request to the endpoints answered."""
    changed = samples.copy()
    changed.loc[changed["stream"].isin(endpoints), "ok"] = True
    return changed


def startup_prediction() -> pd.DataFrame:
    return startup.predict([1.0, 1.0, 1.0], [0.9, 0.9, 0.9], cores=2)


def startup_samples(*, together: float, cores: int = 2, free: float = 2.0) -> pd.DataFrame:
    """Three services of 1 s each; `together` seconds until all are ready when started at once."""
    rows = []
    for round_number in (1, 2, 3):
        for index, service in enumerate(sorted(set(OWNERS.values()))):
            alone = {"mode": "one by one", "began": BEGAN + index, "seconds": 1.0}
            at_once = {"mode": "together", "began": BEGAN + 9, "seconds": together}
            rows += [
                row
                | {
                    "round": round_number,
                    "service": service,
                    "replica": f"{service}-1",
                    "ready": float(str(row["began"])) + float(str(row["seconds"])),
                    "cpu_seconds": 0.9,
                }
                for row in (alone, at_once)
            ]
    return pd.DataFrame(rows).assign(free=free, cores=cores, runtime="process", attempt=1)


def versions_prediction() -> pd.DataFrame:
    return versions.predict()


def versions_samples() -> pd.DataFrame:
    """Every answer as predicted."""
    answers = versions.predict().rename(columns={"expected": "observed"})
    return answers.assign(runtime="process", attempt=1)
