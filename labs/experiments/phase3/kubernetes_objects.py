"""Kubernetes objects: the same system as manifests, checked, and how kube-proxy distributes its requests.

Nothing is started: the manifests are read, and kube-proxy is simulated.
"""

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
    list_arrows,
    list_objects,
    read_manifests,
    schema_problem,
    title,
)
from labs.experiments.phase3.kubernetes.views import draw_ways
from labs.figures import INK, PALETTE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, failure, latest, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = (
    "Do the manifests agree with docker-compose.yml, and how even is kube-proxy's choice of Pods?"
)

THEORY = (
    "kube-proxy's rules are tried in turn and take a connection with probability 1/n, 1/(n-1), ..., "
    "1: so each of n Pods gets it with probability p = 1/n. Such a choice is uniform, but not even: "
    "after k requests a Pod is about sqrt(k p (1 - p)) requests away from k/n, which grows, where "
    "round robin is never a whole request away."
)

PHASE = "phase2"
"""The phase whose system the manifests describe."""

DESCRIPTION = "docker-compose.yml"

ROUND_ROBIN, RANDOM = "round robin", "kube-proxy"
"""Two ways to distribute requests: in turn, and at random."""

SIGMAS = 4
"""Half the width of the band: a uniform choice is outside about once in ten thousand runs."""

ENOUGH = 100
"""Requests per Pod, below which a choice that is not uniform could stay inside the band."""

JUDGED = (
    "every object is valid in both versions of Kubernetes, together they agree with "
    "docker-compose.yml, and kube-proxy's choice of Pods is uniform but not even"
)

GUESSES = {
    "away": Guess(
        "kube-proxy chooses one of three Pods at random for each of 3,000 requests (30,000 in the "
        "full profile). How many requests is a Pod away from its third of them, at most?",
        "requests",
        measured=lambda samples: _furthest(samples),
        right=within_factor(3),
        reference=20,
    ),
}


def predict(pods: int, *, requests: int) -> pd.DataFrame:
    """Return `THEORY` as numbers, for n `pods` and up to that many `requests`.

    Columns: `way`, `pods`, `requests` (so far), `low` and `high` (a Pod's requests beyond k/n).
    """
    so_far = np.unique(np.linspace(0, requests, 61).round().astype(int))
    share = 1 / pods
    bounds = {
        ROUND_ROBIN: np.full(len(so_far), 1 - share),
        RANDOM: SIGMAS * np.sqrt(so_far * share * (1 - share)),
    }
    parts = [
        pd.DataFrame({"way": way, "pods": pods, "requests": so_far, "low": -bound, "high": bound})
        for way, bound in bounds.items()
    ]
    return pd.concat(parts, ignore_index=True)


def measure(env: Environment, *, pods: int, requests: int, folder: Path = BASE) -> pd.DataFrame:
    """Read the manifests in `folder`, check them, and distribute requests to Pods in two ways.

    Returns:
        One row per fact, by its `part`: those of `list_objects` (`object`) and `list_arrows`
        (`arrow`); a `check` of the object `name` against `kind`, with the problem in `says` (empty
        for none); and a `request`, sent in the way `kind` to Pod `number`, counted from 1. Further
        columns: `runtime`, `attempt`.
    """
    manifests = read_manifests(folder)
    sent = {
        ROUND_ROBIN: np.arange(requests) % pods + 1,
        RANDOM: choose_pods(pods, requests, env.seed),
    }
    parts = [
        list_objects(manifests).assign(part="object"),
        list_arrows(manifests).assign(part="arrow"),
        pd.DataFrame(_checks(manifests)).assign(part="check"),
        *(
            pd.DataFrame({"part": "request", "kind": way, "number": numbers})
            for way, numbers in sent.items()
        ),
    ]
    frame = pd.concat(parts, ignore_index=True)
    counts = {name: frame[name].fillna(0).astype(int) for name in ("pods", "number")}
    texts = {name: frame[name].fillna("") for name in ("name", "says", "to", "measured")}
    return frame.assign(**counts, **texts, runtime="none (read, and simulated)", attempt=1)


def chain(pods: int) -> list[float]:
    """Return kube-proxy's iptables rules for a Service of that many Pods.

    Each is the probability with which the rule takes a connection that those before it have left.
    """
    return [1 / (pods - passed) for passed in range(pods)]


def choose_pods(pods: int, requests: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the Pod, counted from 1, of each request, as the rules of `chain` are tried in turn."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(requests, dtype=np.int64)
    for pod, probability in enumerate(chain(pods), start=1):
        takes = random.random(requests) < probability
        chosen[(chosen == 0) & takes] = pod
    return chosen


def _checks(manifests: Sequence[Manifest]) -> Iterator[dict[str, str]]:
    for version in VERSIONS:
        for item in manifests:
            problem = schema_problem(item, version)
            yield {"kind": f"Kubernetes {version}", "name": title(item), "says": problem}
    description = read_description(variables=read_phase(PHASE))
    for problem in disagreements(manifests, description) or [""]:
        yield {"kind": DESCRIPTION, "name": "", "says": problem}


def _furthest(samples: pd.DataFrame) -> float:
    """Return how many requests a Pod had too many or too few, at the worst moment of the last attempt."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    chosen = last[(last["part"] == "request") & (last["kind"] == RANDOM)]["number"].to_numpy()
    pods = np.unique(chosen)
    so_far = np.arange(1, len(chosen) + 1) / len(pods)
    return float(max(np.abs((chosen == pod).cumsum() - so_far).max() for pod in pods))


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Require that no check finds a problem, and that each way stays in its band.

    Round robin stays within a request of even at every moment. kube-proxy's choice ends within its
    band, without having been even.

    Policy: latest. Each attempt reads the same files and chooses by the same seed, so that another
    one adds nothing.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    checks = last[last["part"] == "check"]
    kinds = [*(f"Kubernetes {version}" for version in VERSIONS), DESCRIPTION]
    cases = [case for kind in kinds for case in _checked(kind, checks[checks["kind"] == kind])]
    beyond = {way: surplus(last, prediction, way) for way in (ROUND_ROBIN, RANDOM)}
    cases += [Case(way, [_evenness(way, beyond[way], prediction)]) for way in beyond]
    furthest = {way: float(lines.abs().to_numpy().max(initial=0)) for way, lines in beyond.items()}
    objects = int((last["part"] == "object").sum())
    details = {"objects": objects, "checks": len(checks), "furthest": furthest}
    return verdict(__name__, JUDGED, cases, latest, details=details, extend=False)


def _checked(kind: str, checks: pd.DataFrame) -> Iterator[Case]:
    """Yield a case for each problem, so that the verdict names all of them; else one for the kind."""
    problems = checks[checks["says"] != ""]
    for row in problems.to_dict("records"):
        yield Case(kind, [failure(f"{row['name']} {row['says']}".strip())])
    if problems.empty:
        yield Case(kind, [doubt("not checked") if checks.empty else SETTLED])


def surplus(samples: pd.DataFrame, prediction: pd.DataFrame, way: str) -> pd.DataFrame:
    """Return how many requests each Pod has got beyond its even share.

    A row per request, and a column per predicted Pod.
    """
    pods = int(prediction["pods"].iloc[0])
    requests = samples[(samples["part"] == "request") & (samples["kind"] == way)]["number"]
    got = pd.DataFrame({pod: (requests == pod).cumsum() for pod in range(1, pods + 1)})
    so_far = np.arange(1, len(got) + 1)
    return got.set_axis(so_far).sub(so_far / pods, axis=0)


def _evenness(way: str, beyond: pd.DataFrame, prediction: pd.DataFrame) -> Finding:
    if len(beyond) < ENOUGH * int(prediction["pods"].iloc[0]):
        return doubt("too few requests to tell a uniform choice from another")
    # Sums of thirds are not exact.
    bound = prediction.loc[prediction["way"] == way, "high"].max() + 1e-9
    if way == ROUND_ROBIN:
        even = beyond.abs().to_numpy().max() <= bound
        return SETTLED if even else failure("the Pods' requests were not even")
    if beyond.iloc[-1].abs().max() > bound:
        return failure("the choice of Pods was not uniform")
    if beyond.abs().to_numpy().max() <= 1:
        return failure("the Pods' requests were even, as no random choice leaves them")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw a request's way from client to Pods, and how far each Pod is from its even share (requests)."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    beyond = {way: surplus(last, prediction, way) for way in (ROUND_ROBIN, RANDOM)}
    furthest = {way: lines.abs().to_numpy().max(initial=0) for way, lines in beyond.items()}
    figure, (picture, ax) = canvas(
        f"kube-proxy left a Pod up to {furthest[RANDOM]:.0f} requests from its share, round robin "
        f"{furthest[ROUND_ROBIN]:.1f}",
        runtime=last["runtime"].iloc[0],
        note=f"{len(beyond[RANDOM])} requests to {beyond[RANDOM].shape[1]} Pods",
        rows=2,
        height=8.2,
        ratios=(2.5, 1),
    )
    draw_ways(picture, last[last["part"] == "object"], last[last["part"] == "arrow"])
    _draw_surplus(ax, beyond, prediction)
    legend(figure, ax)
    return figure


def _draw_surplus(ax: Axes, beyond: Mapping[str, pd.DataFrame], prediction: pd.DataFrame) -> None:
    even, uneven = beyond[ROUND_ROBIN], beyond[RANDOM]
    look: dict[str, Any] = {"color": INK, "alpha": 0.35, "linewidth": 1}
    ax.fill_between(even.index, even.min(axis=1), even.max(axis=1), label=ROUND_ROBIN, **look)
    for place, pod in enumerate(uneven.columns):
        label = "kube-proxy (a line per Pod)" if place == 0 else None
        colour = PALETTE[place % len(PALETTE)]
        ax.plot(uneven.index, uneven[pod], color=colour, linewidth=1.4, label=label)
    band = prediction[prediction["way"] == RANDOM]
    ax.plot(band["requests"], band["high"], label=f"predicted, {SIGMAS} sigma", **PREDICTION)
    ax.plot(band["requests"], band["low"], **PREDICTION)
    ax.set_xlim(0, band["requests"].max())
    ax.set_xlabel("requests so far (count)")
    ax.set_ylabel("beyond an even share\n(requests)")
