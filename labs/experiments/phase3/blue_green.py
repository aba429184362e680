"""Blue-green: one reload of nginx switches all clients from one set of replicas to another, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from labs.experiments.phase3.releases import (
    RATE,
    SERVICE,
    Posts,
    judge_release,
    plot_release,
    start_version_1,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many requests are lost when all clients are switched to another version, and back?"

THEORY = (
    "Blue is version 1 and serves, green is version 2 and stands by; one reload of nginx exchanges "
    "them. New requests go to one of them alone, and those under way end where they began: no POST "
    "is lost. To switch back takes the same reload, and the same time."
)

BLUE, SWITCH, GREEN, BACK, AGAIN = "blue", "switch", "green", "back", "blue again"

JUDGED = (
    "no POST is lost by the switch nor by the switch back, each user is created once, and the "
    "colour that stands by serves no request"
)


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `step`, `share` (of version 2, 0 to 1), `changing` (whether nginx reloads in this
    step), `failed` (share of the POSTs).
    """
    rows = [(BLUE, 0), (SWITCH, 0), (SWITCH, 1), (GREEN, 1), (BACK, 1), (BACK, 0), (AGAIN, 0)]
    table = pd.DataFrame(rows, columns=["step", "share"]).astype({"share": float})
    return table.assign(changing=table["step"].isin([SWITCH, BACK]), failed=0)


def measure(
    env: Environment, *, replicas: int = 2, rate: float = RATE, seconds: float = 0.5
) -> pd.DataFrame:
    """Switch from `replicas` blue ones to as many green ones of version 2, and back, under load.

    `rate` users per second are created, for `seconds` with each colour. `user-service` must take
    its time over each user: configure USER_SECONDS. Leaves the blue replicas.

    Returns:
        Columns: those of `Posts.samples`, `runtime`, `attempt`.
    """
    start_version_1(env, 2 * replicas)
    blue, green = (1,) * replicas + (0,) * replicas, (0,) * replicas + (1,) * replicas
    env.balance("round_robin", SERVICE, weights=blue)
    env.roll(SERVICE, 2, replicas=range(replicas + 1, 2 * replicas + 1))
    with Posts(env, rate=rate) as posts:
        posts.step(BLUE, seconds=seconds)
        posts.step(SWITCH)
        env.balance("round_robin", SERVICE, weights=green)
        posts.step(GREEN, seconds=seconds)
        posts.step(BACK)
        env.balance("round_robin", SERVICE, weights=blue)
        posts.step(AGAIN, seconds=seconds)
    env.scale(SERVICE, replicas)
    env.balance("round_robin", SERVICE)
    return posts.samples.assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Require that every POST is answered and creates one user, and that colours keep to their steps.

    Policy: every attempt, since a POST that was lost once was lost (see `judge_release`).
    """
    return judge_release(__name__, JUDGED, samples, prediction)


def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw which replica served each request over time (s), and version 2's share (%)."""
    return plot_release(
        samples,
        prediction,
        action="All clients were switched to version 2, and back",
        time_label="time since the switch began (s)",
        height=4.6,
    )
