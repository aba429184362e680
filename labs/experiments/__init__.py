"""The experiments: one module each, with its `predict_`, `measure_`, `judge_` and `plot_` function.

`predict_*` is theory as a function of numbers, and returns a DataFrame. `measure_*` returns a tidy
DataFrame that says all that judging and drawing need, the runtime included, so that both work from
a record; its column `attempt` is 1, and counts on where `until_conclusive` extends the sample.
`judge_*(samples, prediction)` returns a `Verdict`; `plot_*(samples, prediction)` draws.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pandas as pd

from environment.errors import UnknownName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from labs.verdicts import Verdict

EXPERIMENTS = (
    "independence",
    "startup",
    "versions",
    "hop",
    "aggregation",
    "partial_answers",
    "auth",
    "rate_limit",
    "circuit_breaker",
    "retry_storm",
    "blocking",
    "cpu_blocking",
    "bystanders",
    "famous_ratio",
    "off_the_loop",
    "loop_delay",
    "counter_drift",
    "counter_cure",
    "limits",
    "throughput",
    "workers",
    "distribution",
    "health_check",
    "long_request",
    "slow_replica",
    "autoscaling",
    "rolling_replacement",
    "blue_green",
    "canary",
    "kubernetes_objects",
    "accept_and_done",
    "above_capacity",
    "key_order",
    "consumer_group",
    "rebalance",
    "duplicates",
    "replay",
    "dual_write",
    "broker_dies",
    "retry_and_dead_letters",
)


def _part(kind: str, name: str) -> Callable[..., object]:
    if name not in EXPERIMENTS:
        raise UnknownName(f"no experiment {name!r}; there are: {', '.join(EXPERIMENTS)}")
    module = importlib.import_module(f"labs.experiments.{name}")
    return cast("Callable[..., object]", getattr(module, f"{kind}_{name}"))


def judge(name: str, samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """The verdict of the named experiment on these samples."""
    return cast("Verdict", _part("judge", name)(samples, prediction))


def plot(name: str, samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """The figure of the named experiment."""
    return cast("Figure", _part("plot", name)(samples, prediction))


def theory(name: str) -> str:
    """What the named experiment predicts, in words: the head of its `predict_*` docstring."""
    text = inspect.getdoc(_part("predict", name)) or ""
    return " ".join(text.split("\n\n")[0].split())
