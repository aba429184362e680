"""Distribution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from labs.figures import BLUE, PREDICTION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Who gets how many requests, by turns, by weights and by the client's address?"

THEORY = (
    "Round robin gives each of n replicas N / n requests, weights give N w / sum(w), and "
    "ip_hash gives all requests of a client to one replica, and of every client in its /24 "
    "network, too."
)

GATEWAY = "api-gateway"
PATH = "/api/non-blocking"
"""The gateway answers it alone, and says which replica it is."""

TURNS, WEIGHTS, CLIENTS = "round robin", "weights", "ip_hash"

ENOUGH = 10
"""Requests per replica on average, below which a case proves little."""

JUDGED = (
    "round robin gives each replica N / n requests, weights give shares in proportion, "
    "and ip_hash keeps each /24 network on the one replica that its three octets hash to"
)


def predict(weights: Sequence[int], clients: Iterable[str], *, requests: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `requests` is N of the first two, a multiple of n and of the sum of the weights; ip_hash gets
    about as many, alike from every client. nginx hashes a client's first three octets, from h = 89
    on, by h = (113 h + octet) mod 6271; the replica is h mod n (ngx_http_upstream_ip_hash_module.c).
    Columns: `case`, `client` (empty except for ip_hash), `replica` (from 1), `requests`.
    """
    n = len(weights)
    clients = list(clients)
    rows = [(TURNS, "", replica, requests // n) for replica in range(1, n + 1)]
    rows += [
        (WEIGHTS, "", replica, requests * weight // sum(weights))
        for replica, weight in enumerate(weights, start=1)
    ]
    for client in clients:
        value = 89
        for octet in IPv4Address(client).packed[:3]:
            value = (value * 113 + octet) % 6271
        rows.append((CLIENTS, client, 1 + value % n, requests // len(clients)))
    return pd.DataFrame(rows, columns=["case", "client", "replica", "requests"])


def measure(
    env: Environment, *, weights: Sequence[int], clients: Sequence[str], requests: int
) -> pd.DataFrame:
    """One row per answer: first by turns, then by `weights`, then each client in turn by ip_hash.

    Clients are named by X-Forwarded-For. The replica is what it says of itself in its answer.
    Leaves round robin on `len(weights)` gateways. Columns: `case`, `client`, `replica` (from 1, 0
    without an answer), `runtime`, `attempt`.
    """
    env.scale(GATEWAY, len(weights))
    env.balance("round_robin", GATEWAY)
    rows = _ask(env, TURNS, [""] * requests)
    env.balance("round_robin", GATEWAY, weights=weights)
    rows += _ask(env, WEIGHTS, [""] * requests)
    env.balance("ip_hash", GATEWAY, forwarded=True)
    rows += _ask(env, CLIENTS, list(clients) * (requests // len(clients)))
    env.balance("round_robin", GATEWAY)
    samples = pd.DataFrame(rows, columns=["case", "client", "replica"])
    return samples.assign(runtime=env.runtime, attempt=1)


def _ask(env: Environment, case: str, clients: Sequence[str]) -> list[tuple[str, str, int]]:
    """One request after the other; which replica answered each."""
    rows = []
    with httpx.Client(base_url=env[GATEWAY].url, timeout=10) as http:
        for client in clients:
            answer = http.get(PATH, headers={"X-Forwarded-For": client} if client else {})
            said = answer.json().get("instance", "-0") if answer.is_success else "-0"
            rows.append((case, client, int(said.rsplit("-", 1)[1])))
    return rows


def jain(counts: pd.Series[int]) -> float:
    """Jain's fairness index (sum x)^2 / (n sum x^2): 1 when all got alike, 1 / n when one got all."""
    return float(counts.sum() ** 2 / (len(counts) * (counts**2).sum()))


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Every count per replica, and for ip_hash per client and replica, is exactly the predicted.

    One request at a time leaves nothing to chance, and nothing to a busy machine.
    """
    failures, doubts, details = [], [], {}
    for case, expected in prediction.groupby("case", sort=False):
        name = str(case)
        mine = samples[samples["case"] == case]
        counts = _per_replica(mine, prediction)
        details[name] = {"counts": counts.to_dict(), "jain": jain(counts) if len(mine) else None}
        if (mine["replica"] == 0).any():
            failures.append(f"{name}: not every request was answered")
        elif len(mine) < ENOUGH * len(counts):
            doubts.append(f"{name}: too few requests")
        elif not _as_predicted(mine, expected):
            failures.append(f"{name}: not as predicted")
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def _as_predicted(samples: pd.DataFrame, expected: pd.DataFrame) -> bool:
    attempts = samples["attempt"].nunique()
    found = samples.groupby(["client", "replica"]).size()
    wanted = attempts * expected.set_index(["client", "replica"])["requests"]
    return bool(found.sort_index().to_dict() == wanted.sort_index().to_dict())


def _per_replica(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.Series[int]:
    """Requests per replica, those that got none included."""
    replicas = sorted(prediction["replica"].unique())
    return samples.groupby("replica").size().reindex(replicas, fill_value=0)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Requests per replica (bars) beside the predicted number (dashed), per case."""
    cases = list(prediction["case"].unique())
    figure, axes = canvas(
        "Who gets how many requests?",
        runtime=samples["runtime"].iloc[0],
        note=f"GET {PATH}, one at a time; Jain's index is 1 when all get alike",
        rows=len(cases),
        height=5.4,
    )
    for ax, case in zip(axes, cases, strict=True):
        counts = _per_replica(samples[samples["case"] == case], prediction)
        expected = prediction[prediction["case"] == case].groupby("replica")["requests"].sum()
        wanted = samples["attempt"].nunique() * expected.reindex(counts.index, fill_value=0)
        ax.barh(counts.index, counts, color=BLUE, height=0.6, label="measured")
        for number, (replica, requests) in enumerate(wanted.items()):
            edge = [replica - 0.42, replica + 0.42]
            ax.plot([requests] * 2, edge, label="predicted" if number == 0 else None, **PREDICTION)
        ax.set_yticks(counts.index, [f"gateway {replica}" for replica in counts.index])
        ax.set_ylim(len(counts) + 0.6, 0.4)
        ax.grid(axis="y", visible=False)
        clients = prediction.loc[prediction["case"] == case, "client"].nunique()
        who = f", {clients} clients" if clients > 1 else ""
        ax.set_title(f"{case}{who}: Jain's index {jain(counts):.2f}", size=10)
    axes[-1].set_xlabel("requests answered (count)")
    legend(figure, axes[0])
    return figure
