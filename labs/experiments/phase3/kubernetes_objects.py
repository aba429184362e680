"""Kubernetes objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from environment.compose import read_description
from environment.phases import read_phase
from labs.experiments.phase3.kubernetes import (
    BASE,
    VERSIONS,
    Manifest,
    disagreements,
    read_manifests,
    schema_problem,
    title,
)
from labs.experiments.phase3.kubernetes.views import draw_ways, list_arrows, list_objects
from labs.figures import INK, PALETTE, PREDICTION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Do they say what docker-compose.yml says, and how even is kube-proxy's lot?"

THEORY = (
    "kube-proxy's rules are tried in turn and take a connection with probability 1/n, "
    "1/(n-1), ..., 1: each of n Pods gets it with probability p = 1/n. So the lot is "
    "uniform, and not even: after k requests a Pod is about sqrt(k p (1 - p)) away from "
    "k/n, further and further, where round robin is never a whole request away."
)

PHASE = "phase2"
"""The phase whose system the manifests describe."""

DESCRIPTION = "docker-compose.yml"

ROUND_ROBIN, LOT = "round robin", "kube-proxy"
"""Two ways to deal out requests."""

SIGMAS = 4
"""Half the width of the band: a fair lot is outside about once in ten thousand runs."""

ENOUGH = 100
"""Requests per Pod, below which an unfair lot would hide in the band."""

JUDGED = (
    "every object is valid in both versions of Kubernetes, together they agree with "
    "docker-compose.yml, and kube-proxy's lot is uniform but not even"
)


def predict(pods: int, *, requests: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `way`, `pods`, `requests` (so far), `low` and `high` (a Pod's requests beyond k/n).
    """
    so_far = np.unique(np.linspace(0, requests, 61).round().astype(int))
    share = 1 / pods
    bounds = {
        ROUND_ROBIN: np.full(len(so_far), 1 - share),
        LOT: SIGMAS * np.sqrt(so_far * share * (1 - share)),
    }
    parts = [
        pd.DataFrame({"way": way, "pods": pods, "requests": so_far, "low": -bound, "high": bound})
        for way, bound in bounds.items()
    ]
    return pd.concat(parts, ignore_index=True)


def measure(env: Environment, *, pods: int, requests: int, folder: Path = BASE) -> pd.DataFrame:
    """Read the manifests in `folder`, check them, and deal out requests to Pods in two ways.

    Nothing is started: the manifests are read, and kube-proxy is simulated. One row per fact, by
    its `part`: those of `list_objects` (`object`) and `list_arrows` (`arrow`); a `check` of what
    `name` says against `kind`, with what was wrong in `says` (empty: nothing); and a `request`,
    dealt out in the way `kind` to Pod `number`, counted from 1.

    Further columns: `runtime`, `attempt`.
    """
    manifests = read_manifests(folder)
    dealt = {ROUND_ROBIN: np.arange(requests) % pods + 1, LOT: draw(pods, requests, env.seed)}
    parts = [
        list_objects(manifests).assign(part="object"),
        list_arrows(manifests).assign(part="arrow"),
        pd.DataFrame(_checks(manifests)).assign(part="check"),
        *(
            pd.DataFrame({"part": "request", "kind": way, "number": numbers})
            for way, numbers in dealt.items()
        ),
    ]
    frame = pd.concat(parts, ignore_index=True)
    counts = {name: frame[name].fillna(0).astype(int) for name in ("pods", "number")}
    texts = {name: frame[name].fillna("") for name in ("name", "says", "to", "measured")}
    return frame.assign(**counts, **texts, runtime="none (read, and simulated)", attempt=1)


def chain(pods: int) -> list[float]:
    """kube-proxy's iptables rules for a Service: the probability with which each takes a connection
    that those before it have left."""
    return [1 / (pods - passed) for passed in range(pods)]


def draw(pods: int, requests: int, seed: int) -> npt.NDArray[np.int64]:
    """The Pod, counted from 1, that each request gets as the rules of `chain` are tried in turn."""
    luck = np.random.default_rng(seed)
    got = np.zeros(requests, dtype=np.int64)
    for pod, probability in enumerate(chain(pods), start=1):
        takes = luck.random(requests) < probability
        got[(got == 0) & takes] = pod
    return got


def _checks(manifests: Sequence[Manifest]) -> Iterator[dict[str, str]]:
    for version in VERSIONS:
        for item in manifests:
            said = schema_problem(item, version)
            yield {"kind": f"Kubernetes {version}", "name": title(item), "says": said}
    description = read_description(variables=read_phase(PHASE))
    for said in disagreements(manifests, description) or [""]:
        yield {"kind": DESCRIPTION, "name": "", "says": said}


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """No check found anything; round robin stays within a request of even at every moment, and the
    lot ends within its band, without having been even."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    checks = last[last["part"] == "check"].to_dict("records")
    beyond = {way: surplus(last, prediction, way) for way in (ROUND_ROBIN, LOT)}
    failures = [
        f"{row['kind']}: {row['name']}{' ' * bool(row['name'])}{row['says']}"
        for row in checks
        if row["says"]
    ]
    against = {row["kind"] for row in checks}
    wanted = [*(f"Kubernetes {version}" for version in VERSIONS), DESCRIPTION]
    doubts = [f"not held against {kind}" for kind in wanted if kind not in against]
    if min(len(lines) for lines in beyond.values()) < ENOUGH * int(prediction["pods"].iloc[0]):
        doubts.append("too few requests to tell a fair lot from another")
    else:
        failures += _unfair(beyond, prediction)
    furthest = {way: float(lines.abs().to_numpy().max(initial=0)) for way, lines in beyond.items()}
    objects = int((last["part"] == "object").sum())
    details = {"objects": objects, "checks": len(checks), "furthest": furthest}
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def surplus(samples: pd.DataFrame, prediction: pd.DataFrame, way: str) -> pd.DataFrame:
    """How many requests each Pod has got beyond its even share: a row per request, a column per Pod
    that the prediction knows."""
    pods = int(prediction["pods"].iloc[0])
    mine = samples[(samples["part"] == "request") & (samples["kind"] == way)]["number"]
    got = pd.DataFrame({pod: (mine == pod).cumsum() for pod in range(1, pods + 1)})
    so_far = np.arange(1, len(got) + 1)
    return got.set_axis(so_far).sub(so_far / pods, axis=0)


def _unfair(beyond: Mapping[str, pd.DataFrame], prediction: pd.DataFrame) -> Iterator[str]:
    bound = prediction.groupby("way")["high"].max() + 1e-9  # sums of thirds are not exact
    if beyond[ROUND_ROBIN].abs().to_numpy().max() > bound[ROUND_ROBIN]:
        yield "round robin was not even"
    if beyond[LOT].iloc[-1].abs().max() > bound[LOT]:
        yield "kube-proxy's lot was not uniform"
    if beyond[LOT].abs().to_numpy().max() <= 1:
        yield "kube-proxy's lot was even, as no lot is"


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Above, the way of a request: client, Ingress, Services, Pods. Below, how far each Pod is from
    its even share (requests), and how far it may be (dashed)."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, (picture, ax) = canvas(
        "The same system as Kubernetes objects, and kube-proxy's lot",
        runtime=last["runtime"].iloc[0],
        rows=2,
        height=8.2,
        ratios=(2.5, 1),
    )
    draw_ways(picture, last[last["part"] == "object"], last[last["part"] == "arrow"])
    _draw_lot(ax, last, prediction)
    legend(figure, ax)
    return figure


def _draw_lot(ax: Axes, samples: pd.DataFrame, prediction: pd.DataFrame) -> None:
    even = surplus(samples, prediction, ROUND_ROBIN)
    look: dict[str, Any] = {"color": INK, "alpha": 0.35, "linewidth": 1}
    ax.fill_between(even.index, even.min(axis=1), even.max(axis=1), label=ROUND_ROBIN, **look)
    lot = surplus(samples, prediction, LOT)
    for place, pod in enumerate(lot.columns):
        label = "kube-proxy (a line per Pod)" if place == 0 else None
        colour = PALETTE[place % len(PALETTE)]
        ax.plot(lot.index, lot[pod], color=colour, linewidth=1.4, label=label)
    band = prediction[prediction["way"] == LOT]
    ax.plot(band["requests"], band["high"], label="predicted", **PREDICTION)
    ax.plot(band["requests"], band["low"], **PREDICTION)
    ax.set_xlim(0, band["requests"].max())
    ax.set_xlabel("requests so far (count)")
    ax.set_ylabel("beyond an even share\n(requests)")
