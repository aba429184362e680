"""What `predict` of this clone returns for the inputs that a prediction itself states.

A judge compares samples with the prediction in the bundle, so that a changed prediction changes the verdict. Most
predictions state what they were made from: numbers of replicas, of requests, seconds. From these, this module makes
them again. It does not for an experiment that is not in `INPUTS`: `handbook/decisions/18-evidence-bundles.md` lists
those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from labs.experiment import find

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and the keyword arguments of a `predict`."""


def predicted(
    name: str, prediction: pd.DataFrame, record: Mapping[str, Any]
) -> pd.DataFrame | None:
    """Return what this clone predicts for the inputs of a prediction; None where that is not known.

    Args:
        name: The experiment.
        prediction: The prediction in the bundle.
        record: The run's record, for its seed, runtime and cores.
    """
    if name not in INPUTS:
        return None
    positional, named = INPUTS[name](prediction, record)
    return find(name).predict(*positional, **named)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two predictions have the same columns, rows and values, up to the last digits of a number."""
    if set(one) != set(other) or len(one) != len(other):
        return False
    return all(_same_column(one[name], other[name]) for name in one)


def _same_column(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    if all(pd.api.types.is_numeric_dtype(each) for each in (one, other)):
        left, right = one.to_numpy(float), other.to_numpy(float)
        return bool(np.allclose(left, right, rtol=1e-9, atol=1e-12, equal_nan=True))
    return one.astype(str).to_list() == other.astype(str).to_list()


def _nothing(*_: Any) -> Inputs:
    return (), {}


def _unique(prediction: pd.DataFrame, column: str) -> list[Any]:
    """Return the values of a column, each once, in their order."""
    return list(dict.fromkeys(prediction[column].tolist()))


def _of(**inputs: Callable[[pd.DataFrame], Any]) -> Callable[..., Inputs]:
    """Return a function that computes these keyword arguments from a prediction."""
    return lambda prediction, _: ((), {key: read(prediction) for key, read in inputs.items()})


def _each(column: str) -> Callable[[pd.DataFrame], Any]:
    return lambda prediction: _unique(prediction, column)


def _first(column: str) -> Callable[[pd.DataFrame], Any]:
    return lambda prediction: prediction[column].tolist()[0]


def _calls(part: str) -> Callable[[pd.DataFrame], Any]:
    return lambda prediction: int(prediction.loc[prediction["part"] == part, "calls"].iloc[0])


def _independence(prediction: pd.DataFrame, _: Any) -> Inputs:
    calls = {"POST /orders": ["payment-service"]}
    seconds = float(prediction["exposed"].max())
    return ("payment-service",), {"calls": calls, "work_seconds": seconds}


def _hop(prediction: pd.DataFrame, _: Any) -> Inputs:
    return tuple(pd.Series([seconds]) for seconds in prediction["seconds"].iloc[:2]), {}


def _aggregation(prediction: pd.DataFrame, _: Any) -> Inputs:
    users = prediction["sequential"].iloc[0] - prediction["orders_seconds"].iloc[0]
    return (float(users), prediction["orders_seconds"].tolist()), {}


def _retry_storm(prediction: pd.DataFrame, _: Any) -> Inputs:
    clicks = prediction["clicks"].tolist()
    seconds = clicks[-1] / find("retry_storm").RATE  # type: ignore[attr-defined]
    return (), {"tries": _unique(prediction, "tries"), "clicks": clicks[0], "seconds": seconds}


def _atomic_counter(prediction: pd.DataFrame, _: Any) -> Inputs:
    requests = int(prediction["requests"].iloc[0])
    replicas = round(requests / prediction["low"].iloc[0])
    return (requests,), {"concurrency": _unique(prediction, "concurrency"), "replicas": replicas}


def _key_order(prediction: pd.DataFrame, _: Any) -> Inputs:
    within, across = prediction["of"].tolist()[:2]
    orders = across - within // 2
    return (), {"orders": orders, "steps": across // orders}


def _counter_drift(prediction: pd.DataFrame, _: Any) -> Inputs:
    return (int(prediction["requests"].iloc[0]),), {"replicas": _unique(prediction, "replicas")}


def _slow_replica(prediction: pd.DataFrame, _: Any) -> Inputs:
    pairs = zip(prediction["rate"].tolist(), prediction["delay"].tolist(), strict=True)
    return (list(dict.fromkeys(pairs)),), {}


def _overload(prediction: pd.DataFrame, _: Any) -> Inputs:
    seconds = float(prediction["seconds"].iloc[0])
    slots = round(float(prediction["mu"].iloc[0]) * seconds)
    step = float(prediction["step_seconds"].iloc[0])
    return (), {"slots": slots, "seconds": seconds, "patience": 2, "step_seconds": step}


def _dual_write(prediction: pd.DataFrame, _: Any) -> Inputs:
    return (), {"kills": 1, "orders": int(prediction["orders"].iloc[0])}


def _outcomes(prediction: pd.DataFrame, record: Mapping[str, Any]) -> Inputs:
    replicas = _unique(prediction, "replicas")
    orders = len(prediction) // len(replicas)
    return (), {"orders": orders, "replicas": replicas, "seed": record["seed"]}


def _refunds(prediction: pd.DataFrame, record: Mapping[str, Any]) -> Inputs:
    return (), {"orders": len(prediction), "rate": 0.5, "seed": record["seed"]}


INPUTS: dict[str, Callable[[pd.DataFrame, Mapping[str, Any]], Inputs]] = {
    "independence": _independence,
    "versions": _nothing,
    "hop": _hop,
    "aggregation": _aggregation,
    "partial_answers": _nothing,
    "auth": lambda *_: (("demo-token",), {}),
    "rate_limit": _of(limit=_first("limit"), seconds=_first("seconds")),
    "circuit_breaker": _of(refusals=_calls("refusals"), failures=lambda _: 3),
    "retry_storm": _retry_storm,
    "blocking": _of(calls=lambda each: int(each["call"].max()), seconds=_first("seconds")),
    "head_of_line_blocking": lambda each, _: ((_unique(each, "replicas"),), {}),
    "stale_upstream": lambda _, record: ((), {"runtime": record["runtime"]}),
    "counter_drift": _counter_drift,
    "atomic_counter": _atomic_counter,
    "limits": _of(replicas=_each("replicas")),
    "throughput": _of(seconds=_first("seconds"), cores=_first("cores"), replicas=_each("replicas")),
    "waits": _of(seconds=_first("seconds"), replicas=_each("replicas")),
    "slow_replica": _slow_replica,
    "long_request": lambda each, _: ((_unique(each, "algorithm"),), {"replicas": 3}),
    "rolling_replacement": lambda *_: ((), {"replicas": 3}),
    "blue_green": _nothing,
    "accept_and_done": _of(seconds=_first("done")),
    "overload": _overload,
    "key_order": _key_order,
    "consumer_group": _of(
        messages=_first("messages"), seconds=_first("seconds"), members=_each("members")
    ),
    "rebalance": _of(seconds=_first("seconds")),
    "retry_and_dead_letters": _of(tries=len),
    "duplicates": _of(deliveries=_each("deliveries")),
    "replay": _nothing,
    "broker_dies": _nothing,
    "dual_write": _dual_write,
    "money": _nothing,
    "story": _nothing,
    "coordination": _nothing,
    "windows": _nothing,
    "compensation_first": _of(orders=_first("orders")),
    "outcomes": _outcomes,
    "refunds": _refunds,
    "deadline": _of(timeout=lambda each: float(each["low"].max()), silent=_each("silent")),
}
"""How the inputs of a `predict` are read from what it returned. A constant is one that the lab has, too."""
