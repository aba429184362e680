"""Latency against utilisation: even and Poisson arrivals, and a closed loop that does not see the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.idle import IdleMeter
from labs.experiments.phase2.queues import mean_wait, range_of_means, waits
from labs.figures import BLUE, GREEN, INK, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, every_attempt, failure, verdict
from labs.load.calls import ask, ask_in_turn
from labs.load.open_loop import Stream, run_load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "From which utilisation on do requests wait?"

THEORY = (
    "One server that needs s seconds per request is in use a share rho = rate x s of the time. Requests "
    "that come evenly never wait while rho is below 1. Poisson arrivals, as of independent clients, wait "
    "rho x s / (2 (1 - rho)) on average (Pollaczek and Khinchine). A client that sends its next request "
    "only after the last response never meets a queue, and sees s."
)

GATEWAY = "api-gateway"

EVEN, POISSON, CLOSED, HIDDEN = "even", "Poisson", "closed loop", "closed loop, from its schedule"

COLOURS = {EVEN: BLUE, POISSON: ORANGE, CLOSED: GREEN, HIDDEN: GREEN}

NAMES = {
    EVEN: "even",
    POISSON: "Poisson",
    CLOSED: "Poisson, one caller",
    HIDDEN: "its delay too",
}

UTILISATIONS = (0.2, 0.5, 0.7, 0.85, 0.95)
"""One replica for each, so that all are measured at the same time."""

PILOT, TOGETHER = 30, 3
"""Requests that a pilot sends to one replica, and how many of them at a time."""

EVENLY = 0.4
"""Variation of the times between arrivals (deviation / mean), below which they come evenly: that of Poisson
arrivals is about 1."""

TOLERANCE = 0.25
"""Of the service time or of the expected wait, whichever is longer."""

IDLE = 0.5
"""Idle cores, below which other programs may have slowed the replicas: they only sleep, and need no core."""

JUDGED = (
    "even and Poisson arrivals wait as long as their own schedules make them, and a caller that waits "
    "for each response sees the service time alone: within 25 %"
)


def service_time(env: Environment, *, wait: float = 0.025) -> float:
    """Return how long one request for a blocking `wait` occupies a replica: the median time between responses."""
    url = f"{env[GATEWAY].replicas[0].url}/api/blocking?seconds={wait}"
    ended = ask(url, requests=PILOT, together=TOGETHER)["ended"].sort_values()
    return float(ended.diff().median())


GUESSES = {
    "service_times": Guess(
        "Requests come at random moments, and would keep a replica busy for 95 % of the time. One "
        "caller sends them, each as soon as it has the response to the one before. How many times "
        "as long as a request that need not wait does the mean request take on this caller's clock?",
        "times",
        measured=lambda samples: _latency_of_one_caller(samples),
        right=within_factor(1.3),
        reference=1,
        theory=lambda prediction: _predicted_for_one_caller(prediction),
    ),
}


def predict(
    utilisations: Sequence[float] = UTILISATIONS,
    *,
    service: float,
    wait: float = 0.025,
    seconds: float = 3,
) -> pd.DataFrame:
    """Return `THEORY` as numbers: the mean latency for each kind of arrivals at each utilisation.

    Args:
        utilisations: rho, each below 1.
        service: s, in seconds: how long a request occupies the replica.
        wait: The part of s that is waited for, in seconds.
        seconds: How long each is measured. The mean of so short a run differs from that of a long one.

    Returns:
        Columns: `arrivals`, `utilisation`, `rate` (requests per second), `wait`, `service`, `latency`
        (the long run's mean, s), `low` and `high` (the range of so short a run's mean, s).
    """
    rows = []
    for rho in utilisations:
        rate = rho / service
        mean = mean_wait(rho, service=service)
        low, high = range_of_means(rate, service=service, seconds=seconds)
        ranges = {EVEN: (0, 0, 0), POISSON: (mean, low, high), CLOSED: (0, 0, 0)}
        ranges[HIDDEN] = ranges[POISSON]
        for arrivals, each in ranges.items():
            rows.append([arrivals, rho, rate, wait, service, *(service + queue for queue in each)])
    columns = ["arrivals", "utilisation", "rate", "wait", "service", "latency", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def measure(
    env: Environment,
    *,
    service: float,
    utilisations: Sequence[float] = UTILISATIONS,
    wait: float = 0.025,
    seconds: float = 3,
) -> pd.DataFrame:
    """Request a blocking `wait` of one replica for each utilisation, all at the same time, for `seconds`.

    First evenly, then as a Poisson process; then one caller per replica works off the same Poisson
    schedule, and sends no request before it has the last response. Leaves as many replicas as
    there are utilisations.

    Returns:
        One row per request. Columns: `arrivals`, `utilisation` (planned), `due` (when the schedule
        wanted it sent), `sent` and `ended` (unix seconds), `ok`, `idle` (cores that no program used
        meanwhile), `runtime`, `attempt`.
    """
    replicas = env.scale(GATEWAY, len(utilisations)).replicas
    path = f"/api/blocking?seconds={wait}"
    urls = {rho: each.url + path for rho, each in zip(utilisations, replicas, strict=True)}
    for url in urls.values():
        ask(url, requests=TOGETHER)
    even = _idle(lambda: _open(env, urls, EVEN, service=service, seconds=seconds))
    poisson = _idle(lambda: _open(env, urls, POISSON, service=service, seconds=seconds))
    closed = _idle(lambda: _closed(urls, poisson))
    samples = pd.concat([even, poisson, closed], ignore_index=True)
    return samples.assign(runtime=env.runtime, attempt=1)


def _idle(send: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return what `send` returns, with the cores that were idle meanwhile."""
    meter = IdleMeter()
    return send().assign(idle=meter.cores())


def _open(
    env: Environment, urls: Mapping[float, str], kind: str, *, service: float, seconds: float
) -> pd.DataFrame:
    arrivals: Any = kind.lower()
    streams = [
        Stream(str(rho), url, rate=rho / service, arrivals=arrivals, timeout=60)
        for rho, url in urls.items()
    ]
    sent = run_load(*streams, seconds=seconds, seed=env.seed)
    return pd.DataFrame(
        {
            "arrivals": kind,
            "utilisation": sent["stream"].astype(float),
            "due": sent["intended"],
            "sent": sent["intended"] + sent["lag"],
            "ended": sent["intended"] + sent["latency"],
            "ok": sent["ok"],
        }
    )


def _closed(urls: Mapping[float, str], schedule: pd.DataFrame) -> pd.DataFrame:
    """Let one caller per replica work off the schedule of the same replica's open loop."""
    began = float(schedule["due"].min())
    due = {
        url: (schedule[schedule["utilisation"] == rho]["due"] - began).tolist()
        for rho, url in urls.items()
    }
    rows = ask_in_turn(due)
    of_url = {url: rho for rho, url in urls.items()}
    return pd.DataFrame(
        {
            "arrivals": CLOSED,
            "utilisation": rows["url"].map(of_url),
            **{name: rows[name] for name in ("due", "sent", "ended")},
            "ok": rows["status"] == 200,
        }
    )


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per attempt, kind of arrivals and planned utilisation.

    Columns: `attempt`, `arrivals`, `utilisation` (planned), `occupied` (s that a request really
    occupied the replica, the mean), the mean `measured` latency (s), the `exact` one that this
    schedule gives on a server that needs `occupied` for each, the `variation` of the times between
    arrivals (deviation / mean: 0 for even ones, about 1 for Poisson), `idle` (cores), and `ok`.
    """
    rows = []
    for key, part in samples.groupby(["attempt", "arrivals", "utilisation"]):
        ordered = part.sort_values("ended")
        due, sent, ended = (ordered[name].to_numpy() for name in ("due", "sent", "ended"))
        occupied = float((ended - np.maximum(sent, np.append(-np.inf, ended[:-1]))).mean())
        gaps = np.diff(np.sort(due))
        facts = {
            "attempt": key[0],
            "utilisation": key[2],
            "occupied": occupied,
            "variation": float(gaps.std() / gaps.mean()),
            "idle": float(part["idle"].iloc[0]),
            "ok": bool(part["ok"].all()),
        }
        queued = occupied + float(waits(np.sort(due), service=occupied).mean())
        latency = float((ended - due).mean())
        if key[1] == CLOSED:
            own = float((ended - sent).mean())
            rows.append(facts | {"arrivals": CLOSED, "measured": own, "exact": occupied})
            rows.append(facts | {"arrivals": HIDDEN, "measured": latency, "exact": queued})
        else:
            rows.append(facts | {"arrivals": key[1], "measured": latency, "exact": queued})
    return pd.DataFrame(rows)


def _latency_of_one_caller(samples: pd.DataFrame) -> float:
    """Return the mean latency of the closed loop at the highest utilisation, in service times."""
    table = summarise(samples)
    busiest = table[table["utilisation"] == table["utilisation"].max()]
    rows = busiest[busiest["arrivals"] == CLOSED]
    return float((rows["measured"] / rows["occupied"]).mean())


def _predicted_for_one_caller(prediction: pd.DataFrame) -> float:
    rows = prediction[prediction["arrivals"] == CLOSED].sort_values("utilisation")
    return float(rows["latency"].iloc[-1] / rows["service"].iloc[-1])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each mean latency with that of its own schedule, and the schedule with its name.

    The time that a request occupied the replica is read from the responses, so that a replica that
    other programs slow is compared with a theory that is slowed by as much. It is never shorter than
    the wait itself, or the replica served several requests at a time. A difference that remains is in doubt
    where no core was idle.

    Policy `every_attempt`: an attempt in which the latency is that of the schedule shows that the
    system waits for nothing else.
    """
    table = summarise(samples)
    cases = []
    expectations: list[dict[Any, Any]] = prediction.to_dict("records")
    for expected in expectations:
        kind, rho = expected["arrivals"], expected["utilisation"]
        part = table[(table["arrivals"] == kind) & (table["utilisation"] == rho)]
        findings = [_finding(row, expected) for row in part.to_dict("records")]
        numbers = part[["measured", "exact", "occupied"]].to_dict("list")
        cases.append(Case(f"{kind} at {rho:g}", findings, {**expected, **numbers}))
    return verdict(__name__, JUDGED, cases, every_attempt)


def _finding(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    allowed = TOLERANCE * max(row["occupied"], row["exact"] - row["occupied"])
    if not row["ok"]:
        return failure("not every request was answered")
    if (row["variation"] < EVENLY) != (expected["arrivals"] == EVEN):
        return failure("the arrivals are of another kind than their name")
    if row["occupied"] < (1 - TOLERANCE) * expected["wait"]:
        return failure("the replica served several requests at a time")
    if abs(row["measured"] - row["exact"]) <= allowed:
        return SETTLED
    if row["idle"] < IDLE:
        return doubt("other programs kept the cores busy")
    return failure("requests did not wait for as long as their schedule makes them")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the mean latency (in service times) against utilisation (%), with the exact curve for Poisson arrivals."""
    table = summarise(samples)
    last = table[table["attempt"] == table["attempt"].max()]
    slowed = last["occupied"] / prediction["service"].iloc[0]
    last = last.assign(y=last["measured"] / last["occupied"], x=100 * slowed * last["utilisation"])
    most = last[last["utilisation"] == last["utilisation"].max()].set_index("arrivals")
    figure, (ax,) = canvas(
        f"At {most['x'][POISSON]:.0f} %: {most['y'][EVEN]:.1f} service times if even, "
        f"{most['y'][POISSON]:.1f} if Poisson, {most['y'][CLOSED]:.1f} for one caller",
        runtime=samples["runtime"].iloc[0],
        note=f"service {1000 * most['occupied'][POISSON]:.0f} ms; bars: so short a run",
        height=4.8,
    )
    _draw_theory(ax, prediction)
    for kind, colour in COLOURS.items():
        part = last[last["arrivals"] == kind]
        fill = "none" if kind == HIDDEN else colour
        ax.plot(part["x"], part["y"], "o", ms=7, color=colour, mfc=fill, label=NAMES[kind])
        if kind == POISSON:
            exact = part["exact"] / part["occupied"]
            ax.plot(part["x"], exact, "_", ms=14, mew=1.5, color=INK, label="its schedule")
    ax.set_xlim(0, max(101.0, 1.02 * last["x"].max()))
    ax.set_yscale("log")
    ticks = [1, 2, 5, 10, 20]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("utilisation: arrival rate x service time (%)")
    ax.set_ylabel("mean time until the response\n(service times, log)")
    legend(figure, ax)
    return figure


def _draw_theory(ax: Axes, prediction: pd.DataFrame) -> None:
    rho = np.linspace(0.01, 0.98, 98)
    ax.plot(100 * rho, 1 + rho / (2 * (1 - rho)), label="predicted", **PREDICTION)
    ax.axhline(1, **PREDICTION)
    for row in prediction[prediction["arrivals"] == POISSON].to_dict("records"):
        x, y = [100 * row["utilisation"]] * 2, np.array([row["low"], row["high"]]) / row["service"]
        ax.plot(x, y, color=ORANGE, alpha=0.3, linewidth=5)
