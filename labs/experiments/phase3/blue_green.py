"""Blue-green."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from labs.experiments.phase3.releases import (
    RATE,
    SERVICE,
    Posts,
    draw_share,
    draw_takers,
    first_version,
    judge_release,
)
from labs.figures import canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does it cost to switch all clients to another version at once, and back?"

THEORY = (
    "Blue is version 1 and serves, green is version 2 and stands by; one reload of nginx "
    "exchanges them. New requests go to one of them alone, and those under way end where "
    "they began: no POST is lost, and the way back is as short."
)

BLUE, SWITCH, GREEN, BACK, AGAIN = "blue", "switch", "green", "back", "blue again"

JUDGED = (
    "no POST is lost by the switch nor by the way back, each user is there once, and the colour "
    "that stands by answers nobody"
)


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `step`, `share` (of version 2), `changing` (while nginx reloads), `failed` (POSTs).
    """
    rows = [(BLUE, 0), (SWITCH, 0), (SWITCH, 1), (GREEN, 1), (BACK, 1), (BACK, 0), (AGAIN, 0)]
    table = pd.DataFrame(rows, columns=["step", "share"]).astype({"share": float})
    return table.assign(changing=table["step"].isin([SWITCH, BACK]), failed=0)


def measure(
    env: Environment, *, replicas: int = 2, rate: float = RATE, seconds: float = 0.5
) -> pd.DataFrame:
    """As many green replicas of version 2 beside `replicas` blue ones; `seconds` for each colour.

    `user-service` must take its time over each user: configure USER_SECONDS. Leaves the blue ones.
    Columns: those of `Posts.samples`, `runtime`, `attempt`.
    """
    first_version(env, 2 * replicas)
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
    """Every POST is answered, its user is there once, and each colour answers in its time alone."""
    return judge_release(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Who took each request over time (s), and version 2's share (%) with the predicted one."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, axes = canvas(
        f"{SERVICE} is switched to version 2, and back",
        runtime=last["runtime"].iloc[0],
        note=f"{(~last['ok']).sum()} of {len(last)} POSTs failed; {prediction['failed'].sum()} predicted",
        rows=2,
        height=4.6,
        ratios=[1.5, 1],
    )
    draw_takers(axes[0], last)
    draw_share(axes[1], last, prediction)
    axes[1].set_xlabel("time since the switch began (s)")
    legend(figure, axes[0])
    return figure
