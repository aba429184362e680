"""Made samples of the Kubernetes objects: few of them, all in order."""

from itertools import pairwise

import pandas as pd

from labs.experiments.phase3 import kubernetes_objects
from labs.experiments.phase3.kubernetes_objects import RANDOM, ROUND_ROBIN, choose_pods

PODS, REQUESTS = 3, 300
PREDICTION = kubernetes_objects.predict(PODS, requests=REQUESTS)


def kubernetes_objects_samples() -> pd.DataFrame:
    """Return an Ingress, a Service and its Pods, a check without a problem, and the requests of both ways."""
    objects = [
        ("Ingress", "nginx", 0),
        ("Service", "api-gateway", 0),
        ("Deployment", "api-gateway", PODS),
    ]
    rows = [
        {"part": "object", "kind": kind, "name": name, "pods": pods} for kind, name, pods in objects
    ]
    ways = ["client", *(f"{kind}/{name}" for kind, name, _ in objects)]
    kinds = ("enters", "routes", "selects")
    rows += [
        {"part": "arrow", "kind": kind, "name": start, "to": end}
        for kind, (start, end) in zip(kinds, pairwise(ways), strict=True)
    ]
    rows += [{"part": "check", "kind": "Kubernetes 1.35", "name": "Service/api-gateway"}]
    turns = {
        ROUND_ROBIN: [n % PODS + 1 for n in range(REQUESTS)],
        RANDOM: choose_pods(PODS, REQUESTS, 7),
    }
    rows += [
        {"part": "request", "kind": way, "number": int(pod)}
        for way, numbers in turns.items()
        for pod in numbers
    ]
    texts = dict.fromkeys(("name", "says", "measured", "to"), "")
    frame = pd.DataFrame(rows).fillna(texts | {"pods": 0, "number": 0})
    return frame.assign(
        says="",
        measured="",
        runtime="none",
        attempt=1,
        pods=frame["pods"].astype(int),
        number=frame["number"].astype(int),
    )
