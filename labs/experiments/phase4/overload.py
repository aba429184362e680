"""Above capacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.idle import idle_during
from labs.experiments.phase4.accept_and_done import HTTP, KAFKA, order_stream
from labs.experiments.rates import settle
from labs.figures import BLUE, INK, ORANGE, PREDICTION, SOFT, VERMILLION, canvas, legend, styled
from labs.load.open_loop import Load
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What becomes of more orders than the payments can follow, with HTTP and with Kafka?"

THEORY = (
    "At most mu = slots / s payments are made per second. Whoever offers rho mu > mu lets a"
    " queue grow by (rho - 1) mu per second. With HTTP the customer stands in it, and "
    "leaves after his patience W: only who came in the first (W - s) / (rho - 1) seconds "
    "gets an answer, although the work is done for all. With Kafka the queue is the lag, "
    "and all are accepted."
)

PAYMENTS = "payment-service"
GROUP = "payment-service-group"

STEPS = (0.5, 0.9, 2.0)
"""Offered, in parts of what the payments can follow."""

TOLERANCE = 0.15
"""Of mu: by which the growth of the lag may differ from the predicted one."""

SHARE = 0.15
"""By which the share of orders that were answered in time may differ from the predicted one."""

SETTLE = 0.5
"""Seconds that an offset is committed late, and more: on top of the work on a payment, how long
after a step's beginning the lag is still that of the step before."""

SAMPLE = 0.1
"""Seconds between two looks at the lag."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: shares and slopes are judged here, and no latencies."""

IDLE = 0.5
"""Cores that nobody used, from which on the payments had what they needed: they wait more than they
compute."""

ENOUGH = 10
"""Looks at the lag in each step."""

ORIGINAL = (50, 1000)
"""Requests per second that the original course printed, for HTTP and for Kafka."""

JUDGED = (
    "above capacity HTTP answers only those who came early enough, and Kafka accepts all, while its "
    "lag grows by lambda - mu: within 15 % of mu; below capacity both follow"
)


def predict(*, slots: int, seconds: float, patience: float, step_seconds: float) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `design`, `step` (offered / mu), `mu` and `offered` (orders per second), `share` (of the
    orders, answered in time), `slope` (of Kafka's lag, messages per second), `seconds`, `settled`
    (seconds of a step after which the lag is judged), `step_seconds`.
    """
    mu = slots / seconds
    rows = []
    for step in STEPS:
        over = max(0.0, step - 1)
        early = (patience - seconds) / over if over else step_seconds
        share = min(1.0, max(0.0, early) / step_seconds)
        rows += [[HTTP, step, share, 0.0], [KAFKA, step, 1.0, over * mu]]
    table = pd.DataFrame(rows, columns=["design", "step", "share", "slope"])
    table = table.assign(mu=mu, offered=table["step"] * mu, seconds=seconds)
    return table.assign(settled=seconds + SETTLE, step_seconds=step_seconds)


def measure(
    kafka: Environment,
    http: Environment,
    *,
    slots: int = 5,
    seconds: float = 0.5,
    patience: float = 2,
    step_seconds: float = 4,
) -> pd.DataFrame:
    """Even arrivals at each of `STEPS` times mu, `step_seconds` each, to both designs at the same
    time. Leaves payment-service with these slots and seconds, and with a queue.

    One row per order and per look at the lag. Columns: `design`, `step`, `what` ("order" or "lag"),
    `intended` (unix seconds, of a look as well), `since` (s since the step began), `lag` (of the
    load, s), `latency` (s), `ok`, `behind` (messages not yet paid for), `idle` (cores that
    nobody used during the step), `runtime`, `attempt`.
    """
    for env in (http, kafka):
        env.configure(PAYMENTS, PAYMENT_SLOTS=slots, PAYMENT_SECONDS=seconds)
    edges = {step: number * step_seconds for number, step in enumerate(STEPS)}
    streams = [
        order_stream(
            f"{design} {step}",
            env,
            user=f"{design}-{step}",
            rate=step * slots / seconds,
            timeout=patience,
            begins=begins,
            ends=begins + step_seconds,
        )
        for design, env in ((HTTP, http), (KAFKA, kafka))
        for step, begins in edges.items()
    ]
    load = Load(*streams, seconds=len(STEPS) * step_seconds, seed=kafka.seed)
    with kafka.kafka.watch_lag(GROUP, every=SAMPLE) as watch, load:
        idle = {
            at: idle_during(load, begins, begins + step_seconds) for at, begins in edges.items()
        }
    names = load.samples["stream"].str.split(expand=True)
    step = names[1].astype(float)
    orders = load.samples.assign(design=names[0], step=step, what="order", behind=0)
    seen = watch.samples.groupby("time")["lag"].sum()
    looks = pd.DataFrame({"intended": seen.index, "behind": seen.to_numpy()})
    number = (looks["intended"] - load.begun) // step_seconds
    looks = looks.assign(design=KAFKA, step=number.map(dict(enumerate(STEPS))), what="lag")
    looks = looks.assign(lag=0.0, latency=0.0, ok=True).dropna(subset="step")
    columns = ["design", "step", "what", "intended", "lag", "latency", "ok", "behind"]
    samples = pd.concat([orders[columns], looks[columns]], ignore_index=True)
    since = samples["intended"] - load.begun - samples["step"].map(edges)
    samples = samples.assign(since=since, idle=samples["step"].map(idle))
    return samples.assign(runtime=kafka.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Each share and each slope against its prediction. One that differs is in doubt where other
    programs had the cores, since then the payments may have waited for them; with idle cores it is
    the system's own. Attempts (of the measurement) whose load lagged are set aside."""
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [summarise(part, prediction) for part in attempts if _load(part).kept_schedule]
    cases: dict[str, list[tuple[str, str]]] = {}
    for expected in prediction.to_dict("records"):
        name = f"{expected['design']} at {expected['step']:g} mu"
        cases[name] = []
        for table in kept:
            same = (table["design"] == expected["design"]) & (table["step"] == expected["step"])
            cases[name] += [compare(row) for row in table[same].to_dict("records")]
    refused = any(((t["design"] == KAFKA) & (t["answered"] < 1)).any() for t in kept)
    return settle(
        __name__,
        JUDGED,
        cases.items(),
        ["Kafka: an order was not accepted"] * refused,
        details={
            "load": [str(_load(part)) for part in attempts],
            "steps": [table.to_dict("records") for table in kept],
        },
    )


def compare(row: Mapping[Any, Any]) -> tuple[str, str]:
    """What one step of a design says: ("settled", ""), or a "doubt" or "failure" in words."""
    if row["design"] == KAFKA and row["looks"] < ENOUGH:
        return "doubt", "the lag was not seen often enough"
    other = "failure" if row["idle"] >= IDLE else "doubt"
    if abs(row["answered"] - row["share"]) > SHARE:
        return other, "another share was answered in time than predicted"
    if abs(row["growth"] - row["slope"]) > TOLERANCE * row["mu"]:
        return other, "the lag grew otherwise than predicted"
    return "settled", ""


def _load(part: pd.DataFrame) -> Any:
    return load_report(part[part["what"] == "order"], lag_limit=LAG_LIMIT)


def summarise(part: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """The prediction with what was measured: `answered` (share), `growth` (messages per second),
    `looks` (at the lag, once it is that of the step), `idle` (cores)."""
    rows = []
    for expected in prediction.to_dict("records"):
        mine = part[(part["design"] == expected["design"]) & (part["step"] == expected["step"])]
        looks = mine[(mine["what"] == "lag") & (mine["since"] >= expected["settled"])]
        measured = {
            "answered": float(mine["ok"][mine["what"] == "order"].astype(bool).mean()),
            "growth": slope_of(looks["since"], looks["behind"]),
            "looks": len(looks),
            "idle": float(mine["idle"].min()),
        }
        rows.append(expected | measured)
    return pd.DataFrame(rows)


def slope_of(x: pd.Series[float], y: pd.Series[float]) -> float:
    """How fast y grows with x, by least squares; 0 where too few points would tell."""
    if len(x) < ENOUGH:
        return 0.0
    return float(np.polyfit(x.to_numpy(dtype=float), y.to_numpy(dtype=float), 1)[0])


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Answers with HTTP and Kafka's lag over time, their predictions dashed; then what was offered
    against what was accepted and done, in units of mu, with the original's points."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    mu, length = prediction["mu"].iloc[0], prediction["step_seconds"].iloc[0]
    figure, (http, lag, rates) = canvas(
        "More orders than the payments can follow",
        runtime=last["runtime"].iloc[0],
        note=f"mu = {mu:g} payments/s",
        rows=3,
        height=7.6,
        ratios=(1, 1, 1.2),
        share=False,
    )
    for row in prediction.to_dict("records"):
        begins = STEPS.index(row["step"]) * length
        mine = last[(last["design"] == row["design"]) & (last["step"] == row["step"])]
        if row["design"] == HTTP:
            _draw_http(http, mine, row, begins)
        else:
            _draw_lag(lag, mine, row, begins)
    for ax, what in ((http, "HTTP: latency (s)"), (lag, "Kafka: lag\n(messages)")):
        for number, step in enumerate(STEPS):
            _name_step(ax, number * length, f"{step:g} mu")
        ax.set_xlim(0, len(STEPS) * length)
        ax.set_ylim(0, None)
        ax.set_ylabel(what)
    lag.set_xlabel("time since the load began (s)")
    _draw_rates(rates, summarise(last, prediction))
    legend(figure, rates)
    return figure


def _name_step(ax: Axes, begins: float, words: str) -> None:
    ax.axvline(begins, color=SOFT, linewidth=0.8)
    ax.annotate(
        words,
        (begins, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, 2),
        textcoords="offset points",
        size=8.5,
        color=SOFT,
    )


def _draw_http(ax: Axes, mine: pd.DataFrame, row: dict[Any, Any], begins: float) -> None:
    at, ok = begins + mine["since"], mine["ok"].astype(bool)
    ax.plot(at[ok], mine["latency"][ok], ".", color=BLUE, ms=4)
    ax.plot(at[~ok], mine["latency"][~ok], "x", color=VERMILLION, ms=5)
    over = max(0.0, row["step"] - 1)
    edges = np.array([0, row["share"] * row["step_seconds"]])
    ax.plot(begins + edges, row["seconds"] + over * edges, **PREDICTION)


def _draw_lag(ax: Axes, mine: pd.DataFrame, row: dict[Any, Any], begins: float) -> None:
    looks = mine[mine["what"] == "lag"]
    ax.plot(begins + looks["since"], looks["behind"], ".", color=ORANGE, ms=4)
    settled = looks[looks["since"] >= row["settled"]]
    if not settled.empty:
        middle = settled["since"].mean()
        edges = np.array([row["settled"], row["step_seconds"]])
        line = settled["behind"].mean() + row["slope"] * (edges - middle)
        ax.plot(begins + edges, line, **PREDICTION)


def _draw_rates(ax: Axes, table: pd.DataFrame) -> None:
    """Accepted and done against offered, in units of mu."""
    http, kafka = (table[table["design"] == design] for design in (HTTP, KAFKA))
    offered = np.array([0.3, 1, 40])
    ax.plot(offered, np.minimum(offered, 1), label="predicted", **PREDICTION)
    ax.plot(offered, offered, **{**PREDICTION, "linewidth": 0.9})
    accepted = kafka["step"] * kafka["answered"]
    done = kafka["step"] - kafka["growth"] / kafka["mu"]
    ax.plot(kafka["step"], accepted, "o", color=BLUE, ms=8, label="Kafka: accepted")
    ax.plot(kafka["step"], done, "o", color=ORANGE, ms=8, label="Kafka: done")
    answered = http["step"] * http["answered"]
    ax.plot(http["step"], answered, "x", color=VERMILLION, ms=8, mew=2, label="HTTP: answered")
    before, after = ORIGINAL
    ax.plot([1, after / before], [1, after / before], "*", ms=15, color=INK, mfc="none", zorder=5)
    words = f"the original: {after}+ requests/s,\naccepted, and not done"
    note: dict[str, Any] = {"textcoords": "offset points", "size": 8.5, "color": SOFT}
    ax.annotate(words, (after / before, after / before), xytext=(14, -46), ha="right", **note)
    ax.annotate(f"the original: {before} requests/s", (1, 1), xytext=(-2, 10), ha="right", **note)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    ax.set_xlim(0.4, 30)
    ax.set_ylim(0.3, 40)
    ax.set_xlabel("orders offered (in units of mu)")
    ax.set_ylabel("orders per second\n(in units of mu)")
