"""Refunds that fail: how often the bank is asked for each, when it refuses a share of the attempts."""

from __future__ import annotations

from collections import Counter
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.orders import get
from labs.experiments.phase5 import coin
from labs.experiments.phase5.log_lines import read_lines
from labs.experiments.phase5.names import INVENTORY_FAILED, PAYMENTS
from labs.experiments.phase5.orders import place
from labs.figures import BLUE, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, failure, latest, plural, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How often is the bank asked for a refund, when it refuses a share of the attempts?"

THEORY = (
    "A refund is a debt in the database, which is tried until it is paid. The coin of each attempt is known, so that "
    "the number of attempts is known for each order; when a share q is refused, the mean is 1 / (1 - q)."
)

REFUSED = "refund refused"
"""The line of payment-service's log for an attempt that the bank refused."""

FIRST_SECONDS, LONGEST_SECONDS = 0.22, 33.0
"""The longest wait after the first refusal, which doubles with each one, and the longest wait of all: with the tenth
that is added so that refunds that fail together are not tried together."""

SLACK_SECONDS = 20.0
"""How much longer than its attempts' waits a refund may take."""

FEWEST = 20
"""Refunds that the check needs."""

JUDGED = (
    "every refund is paid, once, after exactly the attempts that the coin predicts for its order"
)

GUESSES = {
    "attempts": Guess(
        "The bank refuses half of all attempts at a refund, and each refund is tried until it "
        "succeeds. How many attempts does a refund take in the mean?",
        "attempts",
        measured=lambda samples: (samples["refused"] + 1).mean(),
        right=within_factor(1.3),
        reference=2,
        theory=lambda prediction: prediction["attempts"].mean(),
    ),
}


def predict(
    *, orders: int = 24, rate: float = 0.5, seed: int = 7, user: str = "refunded"
) -> pd.DataFrame:
    """Return `THEORY` as numbers, for a user's first orders whose payment succeeds and whose reservation fails.

    Columns: `key`, `order` (its id), `attempts` (the refused ones, and the one that pays).
    """
    rows = []
    for key in islice(coin.keys_of(INVENTORY_FAILED, seed=seed, user=user), orders):
        order = coin.order_id(seed=seed, user=user, key=key)
        attempts = next(
            number
            for number in count(1)
            if not coin.fails(seed=seed, order=order, step=f"refund-{number}", rate=rate)
        )
        rows.append({"key": key, "order": order, "attempts": attempts})
    return pd.DataFrame(rows)


def measure(
    env: Environment, *, orders: int = 24, rate: float = 0.5, user: str = "refunded"
) -> pd.DataFrame:
    """Place orders that need a refund, at a bank that refuses this share of the attempts, and wait for the refunds.

    Leaves a bank that refuses nothing.

    One row per order. Columns: `key`, `order` (empty when it was not acknowledged), `charges`, `refunds` (how many the
    ledger has), `refused` (attempts, by the log), `rate`, `runtime`, `attempt`.
    """
    expected = predict(orders=orders, rate=rate, seed=env.seed, user=user)
    env.configure(PAYMENTS, REFUND_FAILURE_RATE=rate)
    try:
        placed = place(env, expected["key"], user=user)
        longest = longest_seconds(int(expected["attempts"].max())) + SLACK_SECONDS
        wait_until(lambda: set(placed.values()) <= set(_paid(env)), timeout=longest, every=0.2)
        paid, charged = _paid(env), _entries(env, "charges")
        refused = _refused(env[PAYMENTS].logs(1_000_000))
    finally:
        env.configure(PAYMENTS, REFUND_FAILURE_RATE=0)
    ids = [placed.get(key, "") for key in expected["key"]]
    return pd.DataFrame(
        {
            "key": expected["key"],
            "order": ids,
            "charges": [charged[order] for order in ids],
            "refunds": [paid[order] for order in ids],
            "refused": [refused[order] for order in ids],
            "rate": rate,
        }
    ).assign(runtime=env.runtime, attempt=1)


def longest_seconds(attempts: int) -> float:
    """Return the longest sum of the waits between so many attempts."""
    waits = (FIRST_SECONDS * 2.0**number for number in range(attempts - 1))
    return sum(min(wait, LONGEST_SECONDS) for wait in waits)


def _paid(env: Environment) -> Counter[str]:
    return _entries(env, "refunds")


def _entries(env: Environment, kind: str) -> Counter[str]:
    """Return how many entries of a kind the ledger has for each order."""
    return Counter(entry["orderId"] for entry in get(env, PAYMENTS, "/ledger")[kind])


def _refused(log: str) -> Counter[str]:
    """Return how many different attempts of each order were refused: a transaction that is repeated logs twice."""
    lines = read_lines(log, REFUSED)
    return Counter(order for order, _ in {(line["orderId"], line["attempt"]) for line in lines})


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare order by order, exactly.

    Policy: the latest attempt, which looks at the same orders again. A case is a number of attempts.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    both = _compared(last, prediction)
    cases = []
    for attempts in sorted(set(both["attempts"])):
        orders = both[both["attempts"] == attempts]
        finding = _as_predicted(orders, len(both))
        cases.append(Case(plural(attempts, "attempt"), [finding], {"orders": len(orders)}))
    measured = last["refused"] + 1
    details = {"orders": len(last), "mean": float(measured.mean()), "most": int(measured.max())}
    return verdict(__name__, JUDGED, cases, latest, details=details)


def _compared(last: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Return the predicted orders, each with what was seen of it in an attempt."""
    seen = last.drop(columns="attempt")
    return prediction.merge(seen, on="key", how="left", suffixes=("", "_seen"))


def _as_predicted(orders: pd.DataFrame, total: int) -> Finding:
    known = orders[orders["order_seen"].fillna("") != ""]
    if (known["refunds"] > 1).any() or (known["charges"] > 1).any():
        return failure("an order was charged or refunded more than once")
    if (known["refused"] + 1 > known["attempts"]).any():
        return failure("the bank was asked more often than predicted")
    if (known["refunds"] < 1)[known["charges"] > 0].any():
        return failure("orders were never refunded")
    if ((known["refused"] + 1 < known["attempts"]) & (known["refunds"] > 0)).any():
        return failure("the bank was asked less often than predicted")
    if len(known) < len(orders):
        return doubt("not every order was acknowledged")
    if (known["charges"] < 1).any():
        return doubt("orders were never charged")
    if total < FEWEST:
        return doubt("too few refunds")
    return SETTLED


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order that was refunded otherwise than predicted."""
    orders = _compared(samples[samples["attempt"] == samples["attempt"].max()], prediction)
    charged, asked = orders["charges"] > 0, orders["refused"] + 1
    return first_order(
        orders,
        {
            "an order that was charged more than once": orders["charges"] > 1,
            "an order that was refunded more than once": orders["refunds"] > 1,
            "an order for which the bank was asked too often": asked > orders["attempts"],
            "an order that was never refunded": charged & (orders["refunds"] < 1),
            "an order for which the bank was asked too seldom": (asked < orders["attempts"])
            & (orders["refunds"] > 0),
        },
        column="order_seen",
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw how many orders took how many attempts in the latest measurement, the coin's numbers dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    paid = last[last["refunds"] > 0]
    measured, rate = paid["refused"] + 1, float(last["rate"].iloc[0])
    figure, (ax,) = canvas(
        f"{len(paid)} of {len(prediction)} refunds were paid, after {measured.mean():.2f} attempts on average",
        runtime=last["runtime"].iloc[0],
        note=f"the bank refuses a share q = {rate:g}, 1 / (1 - q) = {1 / (1 - rate):.2f}",
        height=3.8,
    )
    most = int(max(measured.max(), prediction["attempts"].max()))
    for attempts in range(1, most + 1):
        style: dict[str, Any] = {"width": 0.6, "color": BLUE}
        ax.bar(attempts, int((measured == attempts).sum()), **style)
        label = "predicted by the coin" if attempts == 1 else None
        expected = int((prediction["attempts"] == attempts).sum())
        ax.plot([attempts - 0.42, attempts + 0.42], [expected] * 2, label=label, **PREDICTION)
    numbers = range(1, most + 1)
    mean = [len(prediction) * (1 - rate) * rate ** (number - 1) for number in numbers]
    ax.plot(numbers, mean, "o", ms=6, color=ORANGE, label="in the long run")
    ax.set_xticks(numbers)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("attempts until the refund was paid (count)")
    ax.set_ylabel("orders (count)")
    legend(figure, ax)
    return figure
