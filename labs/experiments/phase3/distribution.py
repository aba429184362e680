"""Distribution: how many requests each replica gets when the balancer ignores the replicas' state.

Requests are sent one at a time, so that nothing is left to chance and every count is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from labs.experiments.phase3.gateways import GATEWAY, PATH
from labs.figures import BLUE, INK, PALETTE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import SETTLED, Case, Finding, doubt, failure, pooled, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many requests does each replica get by turns, by weights and by the client's address?"

THEORY = (
    "Round robin gives each of n replicas N / n of N requests. Weights give each N w / sum(w). "
    "ip_hash gives all requests of a client to one replica, and those of every other client in "
    "its /24 network to the same one."
)

TURNS, WEIGHTS, CLIENTS = "round robin", "weights", "ip_hash"

ENOUGH = 10
"""Requests per replica on average, below which a case proves little."""

JUDGED = (
    "round robin gives each replica N / n requests, weights give shares in proportion, "
    "and ip_hash keeps each /24 network on the one replica that its three octets hash to"
)

GUESSES = {
    "busiest": Guess(
        "Six clients send as many requests each, two of them from one /24 network, and ip_hash "
        "chooses among the replicas. Which share of all requests does the busiest replica get?",
        "%",
        measured=lambda samples: 100 * _busiest(samples),
        right=within_points(12),
        reference=50,
        theory=lambda prediction: 100 * _predicted_for_the_busiest(prediction),
    ),
}


def predict(weights: Sequence[int], clients: Iterable[str], *, requests: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    nginx hashes a client's first three octets, from h = 89 on, by h = (113 h + octet) mod 6271; the
    replica is h mod n (ngx_http_upstream_ip_hash_module.c).

    Args:
        weights: One for each replica.
        clients: The IPv4 addresses of the clients.
        requests: N of round robin and of weights, a multiple of n and of the sum of the weights;
            ip_hash gets about as many, equally many from each client.

    Returns:
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
    """Send requests by turns, then by `weights`, then from each client in turn by ip_hash.

    A client is named by X-Forwarded-For. Leaves round robin on `len(weights)` gateways.

    Returns:
        One row per answer. Columns: `case`, `client`, `replica` (from 1, as the answer names it; 0
        without an answer), `runtime`, `attempt`.
    """
    env.scale(GATEWAY, len(weights))
    env.balance("round_robin", GATEWAY)
    rows = _send(env, TURNS, [""] * requests)
    env.balance("round_robin", GATEWAY, weights=weights)
    rows += _send(env, WEIGHTS, [""] * requests)
    env.balance("ip_hash", GATEWAY, forwarded=True)
    rows += _send(env, CLIENTS, list(clients) * (requests // len(clients)))
    env.balance("round_robin", GATEWAY)
    samples = pd.DataFrame(rows, columns=["case", "client", "replica"])
    return samples.assign(runtime=env.runtime, attempt=1)


def _send(env: Environment, case: str, clients: Sequence[str]) -> list[tuple[str, str, int]]:
    """Send one request after the other; return which replica answered each."""
    rows = []
    with httpx.Client(base_url=env[GATEWAY].url, timeout=10) as http:
        for client in clients:
            answer = http.get(PATH, headers={"X-Forwarded-For": client} if client else {})
            instance = answer.json().get("instance", "-0") if answer.is_success else "-0"
            rows.append((case, client, int(instance.rsplit("-", 1)[1])))
    return rows


def jain(counts: pd.Series[int]) -> float:
    """Return Jain's fairness index (sum x)^2 / (n sum x^2).

    It is 1 when all counts are equal, and 1 / n when one replica gets everything.
    """
    return float(counts.sum() ** 2 / (len(counts) * (counts**2).sum()))


def _busiest(samples: pd.DataFrame) -> float:
    hashed = samples[samples["case"] == CLIENTS]
    return float(hashed["replica"].value_counts(normalize=True).max())


def _predicted_for_the_busiest(prediction: pd.DataFrame) -> float:
    requests = prediction[prediction["case"] == CLIENTS].groupby("replica")["requests"].sum()
    return float(requests.max() / requests.sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare every count per replica, and for ip_hash per client and replica, with the predicted one.

    Policy: pooled. Counts of several attempts add up, so that too few become enough; one request
    that went elsewhere in any attempt still shows in the sum.
    """
    cases = [
        _case(str(name), samples[samples["case"] == name], expected, prediction)
        for name, expected in prediction.groupby("case", sort=False)
    ]
    return verdict(__name__, JUDGED, cases, pooled)


def _case(
    name: str, samples: pd.DataFrame, expected: pd.DataFrame, prediction: pd.DataFrame
) -> Case:
    counts = _per_replica(samples, prediction)
    details = {"counts": counts.to_dict(), "jain": jain(counts) if len(samples) else None}
    return Case(name, [_finding(samples, expected, replicas=len(counts))], details)


def _finding(samples: pd.DataFrame, expected: pd.DataFrame, *, replicas: int) -> Finding:
    if (samples["replica"] == 0).any():
        return failure("not every request was answered")
    if len(samples) < ENOUGH * replicas:
        return doubt("too few requests")
    return SETTLED if _as_predicted(samples, expected) else failure("not as predicted")


def _as_predicted(samples: pd.DataFrame, expected: pd.DataFrame) -> bool:
    attempts = samples["attempt"].nunique()
    measured = samples.groupby(["client", "replica"]).size()
    predicted = attempts * expected.set_index(["client", "replica"])["requests"]
    return bool(measured.sort_index().to_dict() == predicted.sort_index().to_dict())


def _per_replica(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.Series[int]:
    """Return the requests per replica, with 0 for those that got none."""
    replicas = sorted(prediction["replica"].unique())
    return samples.groupby("replica").size().reindex(replicas, fill_value=0)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the requests per replica (bars) beside the predicted number (dashed), per case.

    By ip_hash a bar is divided by clients; those of one /24 network have one colour.
    """
    cases = list(prediction["case"].unique())
    measured = {case: _per_replica(samples[samples["case"] == case], prediction) for case in cases}
    shares = {case: counts.max() / max(1, counts.sum()) for case, counts in measured.items()}
    figure, axes = canvas(
        f"The busiest replica got {shares[TURNS]:.0%} by turns and {shares[CLIENTS]:.0%} by ip_hash",
        runtime=samples["runtime"].iloc[0],
        note=f"{len(samples)} requests GET {PATH}, one at a time",
        rows=len(cases),
        height=5.8,
        ratios=[1.6 if case == CLIENTS else 1 for case in cases],
    )
    for ax, case in zip(axes, cases, strict=True):
        expected = prediction[prediction["case"] == case]
        counts = measured[case]
        predicted = expected.groupby("replica")["requests"].sum()
        predicted = predicted.reindex(counts.index, fill_value=0)
        _draw_counts(ax, counts, samples["attempt"].nunique() * predicted)
        named = case
        if case == CLIENTS:
            _draw_clients(ax, samples[samples["case"] == case])
            named = f"{case}, {expected['client'].nunique()} clients, a colour for each /24 network"
        ax.set_title(f"{named}: Jain's index {jain(counts):.2f}", size=10)
    axes[-1].set_xlabel("requests answered (count)")
    legend(figure, axes[0])
    return figure


def _draw_counts(ax: Axes, counts: pd.Series[int], predicted: pd.Series[int]) -> None:
    ax.barh(counts.index, counts, color=BLUE, height=0.6, label="measured")
    for number, (replica, requests) in enumerate(predicted.items()):
        edge = [float(str(replica)) - 0.42, float(str(replica)) + 0.42]
        ax.plot([requests] * 2, edge, label="predicted" if number == 0 else None, **PREDICTION)
    ax.set_yticks(counts.index, [f"gateway {replica}" for replica in counts.index])
    ax.set_ylim(len(counts) + 0.6, 0.4)
    ax.grid(axis="y", visible=False)


def _draw_clients(ax: Axes, samples: pd.DataFrame) -> None:
    """Divide each replica's bar by its clients."""
    networks = {client: client.rpartition(".")[0] for client in samples["client"].unique()}
    order = list(dict.fromkeys(networks.values()))
    for replica, requests in samples.groupby("replica"):
        begin = 0
        for client, count in requests.groupby("client", sort=False).size().items():
            colour = PALETTE[order.index(networks[str(client)]) % len(PALETTE)]
            at = float(str(replica))
            ax.barh(at, count, left=begin, height=0.6, color=colour, edgecolor="white")
            middle = (begin + count / 2, at)
            ink = "white" if colour == BLUE else INK
            ax.text(*middle, str(client), ha="center", va="center", size=8, color=ink)
            begin += count
