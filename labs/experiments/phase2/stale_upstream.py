"""A stale upstream: replicas leave, nginx is not reloaded, and requests are sent to addresses that are dead."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.idle import IdleMeter
from labs.experiments.phase2.computations import warm_up
from labs.figures import (
    BLUE,
    FAULT_TEXT,
    GREEN,
    INK,
    ORANGE,
    PREDICTION,
    SOFT,
    canvas,
    legend,
    styled,
)
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, seen_twice, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "What do dead addresses in nginx's list cost a request?"

THEORY = (
    "nginx tries an address that refuses the connection, and goes on to the next one at once. At an address "
    "that does not answer it waits for its connect timeout, so that a request that tries d of them "
    "takes d timeouts longer. After a reload there is none to try."
)

GATEWAY, USERS = "api-gateway", "/api/users"

RELOADED, REFUSES, SILENT = "reloaded", "not reloaded, refuses", "not reloaded, silent"

COLOURS = {RELOADED: GREEN, REFUSES: BLUE, SILENT: ORANGE}

CONNECT_TIMEOUT = 0.3
"""Seconds: `proxy_connect_timeout` of our nginx. Its default is 60."""

DEFAULT_TIMEOUT = 60.0

GONE = 3.0
"""Seconds after which Linux gives up an address of its own network that no machine has: three requests for its
hardware address, one per second."""

PRINTED = 53.364
"""Seconds that the original course printed for one request after it had scaled from three instances to one."""

SPAN = 2.5
"""Seconds over which the requests are spread. nginx passes over an address for 1 s after a failure, by a clock of
whole seconds, so for up to 2 s: in less time it may not try a dead address at all."""

SLACK = 0.15
"""Seconds by which a request may take longer than what is predicted, on a busy machine too."""

IDLE = 0.5
"""Idle cores, below which other programs may be why a request took longer."""

JUDGED = (
    "each request takes as many connect timeouts longer as it tried silent addresses, within 0.15 s; an "
    "address that refuses costs nothing, and after a reload none is tried"
)


def predict(*, runtime: str, dead: int = 2) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    A port that no process listens on refuses; the address of a container that is gone is silent. So
    on containers no address refuses.

    Columns: `address`, `dead` (how many are in nginx's list), `wait` (s, for each that a request tries)
    and `longest` (s, of a request that tries all).
    """
    rows = [[RELOADED, 0, 0.0], [REFUSES, dead, 0.0], [SILENT, dead, CONNECT_TIMEOUT]]
    table = pd.DataFrame(rows, columns=["address", "dead", "wait"])
    table["longest"] = table["dead"] * table["wait"]
    return table[table["address"] != REFUSES] if runtime == "docker" else table


def suspects(*, unloaded: float) -> pd.DataFrame:
    """Return what each explanation of the original's 53 s predicts, by itself.

    `unloaded` is the latency without any of them. Columns: `suspect`, `seconds`.
    """
    gives = {
        "the script's own sleep": 0.1,
        "one computation of 3 s (what the script starts)": 3.0,
        "two dead addresses that refuse": 0.0,
        "two addresses of containers that are gone": 2 * GONE,
        "18 computations of 3 s (a number fitted to the result)": 54.0,
        "one silent address, nginx's default timeout": DEFAULT_TIMEOUT,
        "two silent addresses, nginx's default timeout": 2 * DEFAULT_TIMEOUT,
    }
    rows = [[suspect, unloaded + seconds] for suspect, seconds in gives.items()]
    return pd.DataFrame(rows, columns=["suspect", "seconds"])


def measure(env: Environment, *, dead: int = 2, requests: int = 30) -> pd.DataFrame:
    """Scale from 1 + `dead` replicas to one, without a reload of nginx and then with it, and request the users in turn.

    Where a removed replica's port refuses connections, the same is measured once more while the port
    is held by a listener that lets no connection in. Leaves one replica, and nginx reloaded.

    Returns:
        One row per request. Columns: `address` (kind of the dead ones), `number`, `latency` (s),
        `status`, `tried` (how many dead addresses nginx tried for it, by its log), `idle` (cores that
        no program used meanwhile), `runtime`, `attempt`.
    """
    leaving = env.scale(GATEWAY, 1 + dead).replicas[1:]
    warm_up(env)
    env.scale(GATEWAY, 1, reload=False)
    parts = []
    if env.runtime == "docker":
        parts.append(_send(env, requests).assign(address=SILENT))
    else:
        parts.append(_send(env, requests).assign(address=REFUSES))
        with ExitStack() as listeners:
            for replica in leaving:
                address = urlsplit(replica.url)
                listeners.enter_context(silent_listener(address.hostname or "", address.port or 0))
            parts.append(_send(env, requests).assign(address=SILENT))
    env.scale(GATEWAY, 1)  # this time with a reload
    parts.append(_send(env, requests).assign(address=RELOADED))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


@contextmanager
def silent_listener(host: str, port: int) -> Iterator[None]:
    """Listen at an address whose queue of connections is full: the kernel drops each further request for one."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):  # more than a queue of 0 holds on Linux and on macOS
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect((host, port))
        yield


def _send(env: Environment, requests: int) -> pd.DataFrame:
    """Request the users that many times, one after the other, and read from nginx's log what each tried."""
    rows, meter = [], IdleMeter()
    with httpx.Client(base_url=env[GATEWAY].url, timeout=30) as client:
        for number in range(1, requests + 1):
            name = uuid.uuid4().hex
            sent = time.perf_counter()
            status = client.get(USERS, headers={"X-Correlation-Id": name}).status_code
            latency = time.perf_counter() - sent
            rows.append({"name": name, "number": number, "latency": latency, "status": status})
            _pause(SPAN / requests)
    idle = meter.cores()
    alive = {replica.id for replica in env[GATEWAY].replicas}
    names = {row["name"] for row in rows}

    def log() -> pd.DataFrame:
        lines = env.access_log()
        return lines[(lines["service"] == GATEWAY) & lines["correlation_id"].isin(names)]

    wait_until(lambda: len(log()) >= requests, timeout=3)  # nginx answers first, and writes then
    attempts = log().set_index("correlation_id")["attempts"]
    tried = attempts.map(lambda replicas: sum(replica not in alive for replica in replicas))
    table = pd.DataFrame(rows)
    table["tried"] = table["name"].map(tried).astype(float)
    return table.drop(columns="name").assign(idle=idle)


def _pause(seconds: float) -> None:
    end = time.perf_counter() + seconds
    wait_until(lambda: time.perf_counter() >= end, timeout=seconds + 1, every=seconds / 4)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the latency of each request with the dead addresses that nginx tried for it, by its own log.

    Policy `seen_twice`: nothing makes a timeout shorter, so one that was too short fails at once, and so do
    a list that is not as stale as it is called and a request that was not answered. A busy machine
    makes a request longer, so that has to be seen twice, on idle cores.
    """
    cases = []
    expectations: list[dict[Any, Any]] = prediction.to_dict("records")
    for expected in expectations:
        own = samples[samples["address"] == expected["address"]]
        attempts = list(each_attempt(own))
        details = {"latency": own["latency"].tolist(), "tried": own["tried"].tolist()}
        findings = [_finding(part, expected) for part in attempts]
        cases.append(Case(str(expected["address"]), findings, {**expected, **details}))
    return verdict(__name__, JUDGED, cases, seen_twice)


def _finding(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if (part["status"] != 200).any():
        return failure("a request was not answered", certain=True)
    if part["tried"].isna().any():
        return doubt("nginx's log does not show every request")
    if expected["dead"] == 0 and part["tried"].any():
        return failure("nginx tried an address that is not in its list", certain=True)
    if expected["dead"] and not part["tried"].any():
        return failure("nginx tried no dead address: its list is not stale", certain=True)
    waited = part["latency"] - expected["wait"] * part["tried"]
    if (waited < 0).any():
        return failure("a request waited less than predicted", certain=True)
    if (waited <= SLACK).all():
        return SETTLED
    if part["idle"].iloc[0] < IDLE:
        return doubt("other programs kept the cores busy")
    return failure("a request waited longer than predicted")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the latency (s) of each request, and below it what each suspect predicts of the original's 53 s."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    longest = last.groupby("address")["latency"].max()
    shown = [address for address in COLOURS if address in longest.index]
    found = ", ".join(f"{longest[each]:.2f} s {each.split()[-1]}" for each in shown)
    figure, axes = canvas(
        f"The longest of {last['number'].max()} requests: {found}",
        runtime=last["runtime"].iloc[0],
        note=f"connect timeout {CONNECT_TIMEOUT:g} s",
        rows=2,
        height=6.0,
        share=False,
    )
    for address in shown:
        part = last[last["address"] == address]
        axes[0].plot(
            part["number"],
            part["latency"],
            "o-",
            ms=4,
            lw=0.8,
            color=COLOURS[address],
            label=address,
        )
    for row in prediction.to_dict("records"):
        if row["longest"]:
            axes[0].axhline(row["longest"], label="predicted longest", **PREDICTION)
    axes[0].set_xlabel("request, one after the other (number)")
    axes[0].set_ylabel(f"latency of GET {USERS} (s)")
    _draw_suspects(axes[1], suspects(unloaded=float(last["latency"].median())))
    legend(figure, axes[0])
    return figure


def _draw_suspects(ax: Axes, table: pd.DataFrame) -> None:
    ax.plot(table["seconds"], range(len(table)), "D", ms=6, color=INK)
    ax.axvline(PRINTED, color=FAULT_TEXT, linewidth=1.4, linestyle=":")
    ax.annotate(
        f"printed: {PRINTED:g} s",
        (PRINTED, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        size=9,
        color=FAULT_TEXT,
    )
    for row, seconds in enumerate(table["seconds"]):
        style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 8.5}
        ax.annotate(f"{seconds:.1f} s", (seconds, row), xytext=(8, 0), color=SOFT, **style)
    ax.set_xlim(-3, 1.15 * table["seconds"].max())
    ax.set_yticks(range(len(table)), list(table["suspect"]))
    ax.tick_params(axis="y", labelsize=8.5, labelcolor=SOFT)
    ax.invert_yaxis()
    ax.set_xlabel("what each suspect predicts by itself (s)")
