"""Money: what is charged, refunded and owed, order by order and in sum, once the system is at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.orders import get
from labs.experiments.phase5.ends import has_wrong_net
from labs.experiments.phase5.names import ANALYTICS, PAYMENTS
from labs.experiments.phase5.orders import cents, place, read_orders
from labs.experiments.phase5.rest import wait_for_rest
from labs.figures import BLUE, INK, ORANGE, PREDICTION, SOFT, canvas, legend, styled
from labs.guessing import EXACT, Guess
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, latest, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Does the money add up, without a transaction over the services?"

THEORY = (
    "At rest each order's net amount, its charges minus its refunds, is its total when it is completed and zero "
    "otherwise. Every entry moves an amount from one account to another, so that all balances add up to zero, nothing "
    "is owed, and the revenue that analytics-service counts is the shop's balance."
)

NET, BALANCES, OWED, REVENUE = (
    "orders whose net amount is wrong",
    "sum of the balances",
    "owed to customers",
    "analytics' revenue without the shop's balance",
)

FEWEST = 20
"""Refunds that the check needs: without any, nothing had to be undone."""

JUDGED = (
    "every order's net amount is its total when it is completed, else zero; all balances add up to zero, nothing is "
    "owed, and analytics-service counts the same revenue: to the cent"
)

GUESSES = {
    "wrong": Guess(
        "Hundreds of orders are completed, or cancelled and refunded, and no transaction spans the "
        "services. For how many of them are the charges less the refunds not what they should be?",
        "orders",
        measured=lambda samples: _wrong_net_amounts(samples),
        right=EXACT,
        reference=0,
    ),
}


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `sum` (what is added up), `expected` (a count, or cents).
    """
    return pd.DataFrame({"sum": [NET, BALANCES, OWED, REVENUE], "expected": 0})


def measure(env: Environment, *, orders: int = 200, user: str = "payer") -> pd.DataFrame:
    """Place orders, and read the books once the system is at rest: of these orders and of all before them.

    One row per order, amounts in cents. Columns: `order`, `status`, `total`, `charges` and `refunds` (how many),
    `charged`, `refunded`; the balances `customers`, `shop`, `owed` and analytics-service's `revenue`, the same in each
    row; `unordered` (entries of the ledger for orders that do not exist), `resting` (whether the system was at rest),
    `runtime`, `attempt`.
    """
    place(env, (f"k{number}" for number in range(orders)), user=user)
    resting = wait_for_rest(env)
    ledger, view = get(env, PAYMENTS, "/ledger"), get(env, ANALYTICS, "/analytics")
    samples = read_orders(env).drop(columns="created")
    for entries, amount in (("charges", "charged"), ("refunds", "refunded")):
        counts, sums = _by_order(ledger[entries])
        samples[entries] = [counts[order] for order in samples["order"]]
        samples[amount] = [sums[order] for order in samples["order"]]
    return samples.assign(
        **{account: cents(amount) for account, amount in ledger["balances"].items()},
        revenue=cents(view["totalRevenue"]),
        unordered=_unordered(ledger, samples["order"]),
        resting=resting,
        runtime=env.runtime,
        attempt=1,
    )


def _by_order(entries: Iterable[Mapping[str, Any]]) -> tuple[Counter[str], Counter[str]]:
    """Return how many entries of the ledger each order has, and their sum in cents."""
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for entry in entries:
        counts[entry["orderId"]] += 1
        sums[entry["orderId"]] += cents(entry["amount"])
    return counts, sums


def _unordered(ledger: Mapping[str, Any], orders: Iterable[str]) -> int:
    """Return the number of entries that belong to no order that order-service lists."""
    known = set(orders)
    return sum(entry["orderId"] not in known for entry in ledger["charges"] + ledger["refunds"])


def _wrong_net_amounts(samples: pd.DataFrame) -> int:
    owed = samples["total"].where(samples["status"] == "completed", 0)
    return int((samples["charged"] - samples["refunded"] != owed).sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare to the cent.

    Policy: the latest attempt, which reads the whole books again. A second charge, and a refund that exceeds the
    charge, fail at any moment; everything else is judged at rest only.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(
            row["sum"],
            [_adds_up(part, row) for part in attempts],
            {"is": sums(attempts[-1])[row["sum"]]},
        )
        for row in prediction.to_dict("records")
    ]
    last = attempts[-1]
    details = {
        "orders": len(last),
        "charged": int(last["charged"].sum()),
        "refunded": int(last["refunded"].sum()),
        "refunds": int(last["refunds"].sum()),
    }
    return verdict(__name__, JUDGED, cases, latest, details=details)


def _adds_up(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if (part["charges"] > 1).any():
        return failure("an order was charged more than once", certain=True)
    if (part["refunded"] > part["charged"]).any():
        return failure("more was refunded than charged", certain=True)
    if (part["unordered"] > 0).any():
        return failure("the ledger has entries of orders that do not exist", certain=True)
    if not part["resting"].all() or (part["status"] == "pending").any():
        return doubt("the system did not come to rest in time")
    if sums(part)[expected["sum"]] != expected["expected"]:
        return failure("not zero")
    if part["refunds"].sum() < FEWEST:
        return doubt("too few refunds")
    return SETTLED


def sums(part: pd.DataFrame) -> dict[str, int]:
    """Return the sums of one attempt, by their names in the prediction."""
    row = part.iloc[0]
    return {
        NET: int(has_wrong_net(part).sum()),
        BALANCES: int(row["customers"] + row["shop"] + row["owed"]),
        OWED: int(row["owed"]),
        REVENUE: int(row["revenue"] - row["shop"]),
    }


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order whose charges and refunds do not add up."""
    last = list(each_attempt(samples))[-1]
    return first_order(
        last,
        {
            "an order that was charged more than once": last["charges"] > 1,
            "an order of which more was refunded than charged": last["refunded"] > last["charged"],
            "an order that keeps money that is not its own, or lacks some": has_wrong_net(last),
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the flow of the money, from charges over refunds to what the shop keeps, and the balances below it."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    wrong, row = int(has_wrong_net(last).sum()), last.iloc[0]
    figure, (above, below) = canvas(
        f"{wrong} of {len(last):,} orders have a wrong net amount",
        runtime=row["runtime"],
        note=f"{int(last['charges'].sum()):,} charges, {int(last['refunds'].sum()):,} refunds",
        rows=2,
        height=5.2,
        ratios=(1.2, 1.0),
        share=False,
    )
    _draw_flow(above, last)
    balances = {account: int(row[account]) for account in ("customers", "shop", "owed")}
    _draw_balances(below, balances | {"sum": sum(balances.values())})
    legend(figure, above)
    return figure


def _draw_flow(ax: Axes, last: pd.DataFrame) -> None:
    charged, refunded = last["charged"].sum() / 100, last["refunded"].sum() / 100
    completed = last.loc[last["status"] == "completed", "total"].sum() / 100
    bars = [
        ("charged", 0.0, charged, BLUE),
        ("refunded", charged - refunded, refunded, ORANGE),
        ("kept by the shop", 0.0, charged - refunded, BLUE),
        ("analytics' revenue", 0.0, last["revenue"].iloc[0] / 100, SOFT),
    ]
    for y, (_, left, width, colour) in enumerate(bars):
        ax.barh(y, width, left=left, height=0.6, color=colour)
        ax.annotate(
            f"{width:,.2f}", (left + width, y), (5, 0), textcoords="offset points", va="center"
        )
    label = "predicted: the totals of the completed orders"
    ax.plot([completed] * 2, [0.6, len(bars) - 0.55], label=label, **PREDICTION)
    ax.set_yticks(range(len(bars)), [name for name, *_ in bars])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.15 * max(charged, 1.0))
    ax.set_xlabel("money of all orders (currency units)")
    ax.grid(visible=False, axis="y")


def _draw_balances(ax: Axes, balances: Mapping[str, int]) -> None:
    largest = max(100, *(abs(amount) for amount in balances.values())) / 100
    for y, (account, amount_cents) in enumerate(balances.items()):
        amount = amount_cents / 100
        ax.barh(y, amount, height=0.6, color=INK if account == "sum" else BLUE)
        side = "left" if amount >= 0 else "right"
        shift = (5 if amount >= 0 else -5, 0)
        text = f"{amount:,.2f}"
        ax.annotate(text, (amount, y), shift, textcoords="offset points", va="center", ha=side)
    ax.axvline(0, color=INK, linewidth=1)
    ax.set_yticks(range(len(balances)), [*balances])
    ax.invert_yaxis()
    ax.set_xlim(-1.3 * largest, 1.3 * largest)
    ax.set_xlabel("money at rest (currency units)")
    ax.grid(visible=False, axis="y")
