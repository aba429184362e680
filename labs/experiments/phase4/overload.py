"""Overload: more orders than the payments can follow, with HTTP and with Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.idle import idle_during
from labs.experiments.phase4.names import HTTP, KAFKA, PAYMENTS, PAYMENTS_GROUP
from labs.experiments.phase4.orders import order_stream
from labs.experiments.phase4.overload_axes import (
    ACCEPTED,
    ANSWERED,
    DONE,
    LAG,
    LEFT,
    draw_http,
    draw_lag,
    draw_rates,
    finish_rates,
    name_colours,
    name_step,
)
from labs.figures import canvas, mark_set_aside, styled
from labs.guessing import Guess, within_points
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    Schedule,
    doubt,
    every_attempt,
    failure,
    on_schedule,
    verdict,
)
from labs.load.open_loop import Load
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What happens to more orders than the payments can follow, with HTTP and with Kafka?"

THEORY = (
    "At most mu = slots / s payments are made per second. When rho mu > mu orders per second are "
    "offered, a queue grows by (rho - 1) mu per second. With HTTP it is a queue of clients, and a "
    "client gives up after its timeout W: only the orders of the first (W - s) / (rho - 1) "
    "seconds are answered, although all of them are worked on. With Kafka the queue is the lag, "
    "and all orders are accepted."
)

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
"""Seconds between two samples of the lag."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: shares and slopes are judged here, and no latencies."""

IDLE = 0.5
"""Idle cores from which on the payments had what they needed: they wait more than they compute."""

ENOUGH = 10
"""Samples of the lag in each step."""

JUDGED = (
    "above capacity HTTP answers only the orders that came early enough, and Kafka accepts all, "
    "while its lag grows by lambda - mu: within 15 % of mu; below capacity both follow orders that "
    "are evenly spaced"
)

GUESSES = {
    "answered": Guess(
        "Twice as many orders come as payments can be made, for 3.5 s (15 s in the full profile), a "
        "payment takes 0.5 s, and each client leaves after 2 s. Which share of the orders is "
        "answered in time over HTTP?",
        "%",
        measured=lambda samples: 100 * _answered_at_the_most(samples),
        right=within_points(12),
        reference=40,
        theory=lambda prediction: 100 * _share_at_the_most(prediction),
    ),
}


def predict(*, slots: int, seconds: float, patience: float, step_seconds: float) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        slots: Payments that payment-service works on at once.
        seconds: Work on one payment.
        patience: W, the seconds after which a client gives up.
        step_seconds: Length of each of `STEPS`.

    Columns: `design`, `step` (offered / mu), `mu` and `offered` (orders per second), `share` (of the orders, answered
    in time), `slope` (of Kafka's lag, messages per second), `seconds`, `settled` (seconds of a step after which the
    lag is judged), `step_seconds`.
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
    env: Environment,
    http: Environment,
    *,
    slots: int = 5,
    seconds: float = 0.5,
    patience: float = 2,
    step_seconds: float = 4,
) -> pd.DataFrame:
    """Offer both designs even arrivals at each of `STEPS` times mu, `step_seconds` each, at the same time.

    Leaves payment-service with these slots and seconds, and with a queue.

    One row per order and per sample of the lag. Columns: `design`, `step`, `what` ("order" or "lag"), `intended`
    (unix seconds, of a sample as well), `since` (s since the step began), `lag` (of the load, s), `latency` (s),
    `ok`, `behind` (messages not yet paid for), `idle` (cores that no program used or waited for during the step),
    `runtime`, `attempt`.
    """
    for system in (http, env):
        system.configure(PAYMENTS, PAYMENT_SLOTS=slots, PAYMENT_SECONDS=seconds)
    edges = {step: number * step_seconds for number, step in enumerate(STEPS)}
    streams = [
        order_stream(
            f"{design} {step}",
            system,
            user=f"{design}-{step}",
            rate=step * slots / seconds,
            timeout=patience,
            begins=begins,
            ends=begins + step_seconds,
        )
        for design, system in ((HTTP, http), (KAFKA, env))
        for step, begins in edges.items()
    ]
    load = Load(*streams, seconds=len(STEPS) * step_seconds, seed=env.seed)
    with env.kafka.watch_lag(PAYMENTS_GROUP, every=SAMPLE) as watch, load:
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
    return samples.assign(runtime=env.runtime, attempt=1)


def _answered_at_the_most(samples: pd.DataFrame) -> float:
    orders = samples[(samples["design"] == HTTP) & (samples["what"] == "order")]
    return float(orders.loc[orders["step"] == orders["step"].max(), "ok"].mean())


def _share_at_the_most(prediction: pd.DataFrame) -> float:
    steps = prediction[prediction["design"] == HTTP].sort_values("step")
    return float(steps["share"].iloc[-1])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge each step's share of answers and growth of the lag against its prediction.

    Policy: every attempt. A step that differs is a failure only where cores were idle; where other programs had the
    cores, the payments may have waited for them, so that it is in doubt. Attempts whose load lagged are set aside.
    """
    schedule = _schedule(samples)
    cases = [
        Case(
            f"{row['design']} at {row['step']:g} mu",
            schedule.findings(partial(_follows, expected=row)),
        )
        for row in prediction.to_dict("records")
    ]
    cases.append(Case(KAFKA, schedule.findings(_all_accepted)))
    steps = [
        [step_of(part, row) for row in prediction.to_dict("records")] for part in schedule.kept
    ]
    return verdict(
        __name__, JUDGED, cases, every_attempt, details=schedule.details | {"steps": steps}
    )


def _schedule(samples: pd.DataFrame) -> Schedule:
    return on_schedule(
        samples, lag_limit=LAG_LIMIT, loads=lambda part: [part[part["what"] == "order"]]
    )


def _follows(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    step = step_of(part, expected)
    if step["design"] == KAFKA and step["looks"] < ENOUGH:
        return doubt("the lag was not seen often enough")
    differs = failure if step["idle"] >= IDLE else doubt
    if abs(step["answered"] - step["share"]) > SHARE:
        return differs("another share was answered in time than predicted")
    if abs(step["growth"] - step["slope"]) > TOLERANCE * step["mu"]:
        return differs("the lag grew otherwise than predicted")
    return SETTLED


def _all_accepted(part: pd.DataFrame) -> Finding:
    accepted = part["ok"][part["design"] == KAFKA].astype(bool).all()
    return SETTLED if accepted else failure("an order was not accepted")


def step_of(part: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a predicted row with what an attempt measured.

    That is `answered` (share), `growth` (of the lag, messages per second), `looks` (at the lag, once it is that of
    the step), `idle` (cores).
    """
    rows = part[(part["design"] == expected["design"]) & (part["step"] == expected["step"])]
    looks = rows[(rows["what"] == "lag") & (rows["since"] >= expected["settled"])]
    return {
        **expected,
        "answered": float(rows["ok"][rows["what"] == "order"].astype(bool).mean()),
        "growth": slope_of(looks["since"], looks["behind"]),
        "looks": len(looks),
        "idle": float(rows["idle"].min()),
    }


def slope_of(x: pd.Series[float], y: pd.Series[float]) -> float:
    """Return how fast y grows with x, by least squares; 0 where there are too few points."""
    if len(x) < ENOUGH:
        return 0.0
    return float(np.polyfit(x.to_numpy(dtype=float), y.to_numpy(dtype=float), 1)[0])


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw latencies with HTTP and Kafka's lag over time, and what was offered against accepted and done.

    The predictions are dashed. The third axes are in units of mu, and have the original's points. Attempts that do
    not count are hollow.
    """
    schedule = _schedule(samples)
    rows = prediction.to_dict("records")
    steps = {(row["design"], row["step"]): step_of(schedule.shown, row) for row in rows}
    http_most, kafka_most = steps[HTTP, max(STEPS)], steps[KAFKA, max(STEPS)]
    mu, length = prediction["mu"].iloc[0], prediction["step_seconds"].iloc[0]
    figure, (http, lag, rates) = canvas(
        f"At {max(STEPS):g} mu HTTP answered {http_most['answered']:.0%}; Kafka took "
        f"{kafka_most['answered']:.0%}, its lag grew by {kafka_most['growth']:.1f}/s",
        runtime=samples["runtime"].iloc[0],
        note=str(schedule.counted),
        rows=3,
        height=8.4,
        ratios=(1, 1, 1.2),
        share=False,
    )
    aside = schedule.aside
    at = aside["step"].map(STEPS.index) * length + aside["since"]
    answers, looks = aside["design"] == HTTP, aside["what"] == "lag"
    mark_set_aside(http, at[answers], aside["latency"][answers])
    mark_set_aside(lag, at[looks], aside["behind"][looks])
    for part in schedule.kept:
        for row in prediction.to_dict("records"):
            rows = part[(part["design"] == row["design"]) & (part["step"] == row["step"])]
            draw, ax = (draw_http, http) if row["design"] == HTTP else (draw_lag, lag)
            draw(ax, rows, row, STEPS.index(row["step"]) * length)
        draw_rates(rates, pd.DataFrame([step_of(part, r) for r in prediction.to_dict("records")]))
    finish_rates(rates, mu)
    for ax, what in ((http, "HTTP: latency (s)"), (lag, "Kafka: lag\n(messages)")):
        for number, step in enumerate(STEPS):
            name_step(ax, number * length, f"{step:g} mu")
        ax.set_xlim(0, len(STEPS) * length)
        ax.set_ylim(0, None)
        ax.set_ylabel(what)
    lag.set_xlabel("time since the load began (s)")
    name_colours(http, (".", ANSWERED, "answered"), ("x", LEFT, "the client left"))
    name_colours(lag, (".", LAG, "lag"))
    name_colours(
        rates,
        ("x", ANSWERED, "HTTP: answered"),
        ("o", ACCEPTED, "Kafka: accepted"),
        ("o", DONE, "Kafka: done"),
    )
    return figure
