"""Limits that multiply: bursts to n replicas that keep one limit apart, and then together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, ORANGE, PREDICTION, SOFT, canvas, legend, styled
from labs.guessing import EXACT, Guess
from labs.judging import SETTLED, Case, Finding, doubt, every_attempt, failure, plural, verdict
from labs.load.calls import ask
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many requests does a limit of five admit when n replicas enforce it?"

THEORY = (
    "Each of n memories counts only the requests that it admitted itself, and together they admit "
    "n times the limit. A window that all replicas share admits the limit once, however many "
    "replicas there are."
)

GATEWAY = "api-gateway"

MEMORY, SHARED = "memory", "valkey"

NAMES = {MEMORY: "a window in each memory", SHARED: "one window in Valkey"}

COLOURS = {MEMORY: ORANGE, SHARED: BLUE}

EACH = 20
"""Requests per replica: more than the limit, so that every replica's window is filled."""

JUDGED = "n windows in memory admit n times the limit, one window in Valkey admits it once: exact"

GUESSES = {
    "admitted": Guess(
        "The gateway admits five requests of a client per window, and counts them in its memory. "
        "How many requests of one burst do three replicas admit together?",
        "requests",
        measured=lambda samples: _admitted(samples),
        right=EXACT,
        reference=15,
        theory=lambda prediction: prediction.loc[prediction["store"] == MEMORY, "admitted"].max(),
    ),
}


def predict(*, limit: int = 5, replicas: Sequence[int]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `store`, `replicas`, `requests` (sent at once), `admitted`.
    """
    return pd.DataFrame(
        [
            [store, n, EACH * n, limit * (n if store == MEMORY else 1)]
            for store in (MEMORY, SHARED)
            for n in replicas
        ],
        columns=["store", "replicas", "requests", "admitted"],
    )


def measure(
    env: Environment, *, limit: int = 5, seconds: int = 10, replicas: Sequence[int] = (1, 2, 3)
) -> pd.DataFrame:
    """Send 20 n requests at once to n replicas that keep a moving window, for each n.

    Of `seconds`, first each replica in its own memory, then all in Valkey. Leaves the window in
    Valkey, and the last number of replicas.

    Returns:
        One row per request. Columns: `store`, `replicas`, `window` (seconds), `sent` and `ended`
        (unix seconds), `status`, `runtime`, `attempt`.
    """
    settings = {"LIMIT_REQUESTS": limit, "LIMIT_SECONDS": seconds, "LIMIT_WINDOW": "moving"}
    parts: list[pd.DataFrame] = []
    for store in (MEMORY, SHARED):
        reset_replicas(env, GATEWAY, replicas[0], LIMIT_STORE=store, **settings)
        for n in replicas:
            url = env.scale(GATEWAY, n).url
            if parts:
                _until(parts[-1]["ended"].max() + seconds)
            answers = ask(f"{url}/api/limited", requests=EACH * n, together=EACH * n)
            parts.append(answers[["sent", "ended", "status"]].assign(store=store, replicas=n))
    return pd.concat(parts, ignore_index=True).assign(
        window=float(seconds), runtime=env.runtime, attempt=1
    )


def _until(moment: float) -> None:
    """Wait until the last burst's window has passed, and what it admitted no longer counts."""
    wait_until(lambda: time.time() > moment, timeout=moment - time.time() + 1)


def _admitted(samples: pd.DataFrame) -> int:
    """Return how many requests the most memories admitted, in the last attempt."""
    burst = samples[(samples["store"] == MEMORY) & (samples["replicas"] == 3)]
    last = burst[burst["attempt"] == burst["attempt"].max()]
    return int((last["status"] == 200).sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the number of admitted requests with the prediction, exactly.

    A failure in any attempt stands, because no machine changes a count. A burst that took longer
    than the window, which then admits more, or that got another answer than those two, is in doubt.
    """
    bursts = summarise(samples)
    cases = []
    for expected in prediction.to_dict("records"):
        n, store = expected["replicas"], expected["store"]
        part = bursts[(bursts["store"] == store) & (bursts["replicas"] == n)]
        findings = [_finding(burst, expected) for burst in part.to_dict("records")]
        admitted = {"admitted": list(part["admitted"]), "predicted": expected["admitted"]}
        cases.append(Case(f"{NAMES[store]}, {plural(n, 'replica')}", findings, admitted))
    return verdict(__name__, JUDGED, cases, every_attempt)


def _finding(burst: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    if not (burst["at_once"] and burst["answered"] and burst["sent"] == expected["requests"]):
        return doubt("the requests were not all answered within one window")
    if burst["admitted"] != expected["admitted"]:
        return failure("admitted another number than predicted")
    return SETTLED


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per burst.

    Columns: `attempt`, `store`, `replicas`, requests `sent` and `admitted`, whether all came
    `at_once` (within the window) and were `answered` with 200 or 429.
    """
    rows = []
    for key, part in samples.groupby(["attempt", "store", "replicas"]):
        span = part["ended"].max() - part["sent"].min()
        rows.append(
            {
                **dict(zip(("attempt", "store", "replicas"), key, strict=True)),
                "sent": len(part),
                "admitted": int((part["status"] == 200).sum()),
                "at_once": bool(span < part["window"].iloc[0]),
                "answered": bool(part["status"].isin([200, 429]).all()),
            }
        )
    return pd.DataFrame(rows)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw requests admitted against the number of replicas, a bar per store, the prediction dashed."""
    counted = summarise(samples[samples["attempt"] == samples["attempt"].max()])
    most = counted["replicas"].max()
    admitted = counted[counted["replicas"] == most].set_index("store")["admitted"]
    figure, (ax,) = canvas(
        f"{plural(most, 'replica')} admitted {admitted[MEMORY]} apart, {admitted[SHARED]} with a shared window",
        runtime=samples["runtime"].iloc[0],
        note=f"a limit of {prediction['admitted'].min()}; {EACH} per replica, at once",
    )
    for store, side in ((MEMORY, -0.2), (SHARED, 0.2)):
        part = counted[counted["store"] == store]
        ax.bar(
            part["replicas"] + side,
            part["admitted"],
            0.34,
            color=COLOURS[store],
            label=NAMES[store],
        )
        expected = prediction[prediction["store"] == store]
        _draw_prediction(ax, expected["replicas"] + side, expected["admitted"])
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_xticks(sorted(set(prediction["replicas"])))
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.set_ylim(0, 1.15 * max(prediction["admitted"].max(), counted["admitted"].max()))
    ax.locator_params(axis="y", integer=True)
    ax.set_xlabel("replicas (count)")
    ax.set_ylabel("requests admitted (count)")
    legend(figure, ax)
    return figure


def _draw_prediction(ax: Axes, at: pd.Series[float], heights: pd.Series[int]) -> None:
    for x, height in zip(at, heights, strict=True):
        ax.plot([x - 0.2, x + 0.2], [height] * 2, **PREDICTION)
        ax.annotate(
            str(height),
            (x, height),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            size=9,
            color=SOFT,
        )
