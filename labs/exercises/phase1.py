"""The exercises of lab 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labs.exercises.checking import (
    Exercise,
    Level,
    OddAnswer,
    Varied,
    close,
    first_advice,
    number,
    numbers,
    word,
)
from labs.exercises.designs.comparisons import dashboard_and_part
from labs.experiments.phase1 import rate_limit, retry_storm

PATIENCE = "UPSTREAM_TIMEOUT_SECONDS"
"""The setting that the second exercise asks for."""

OUTAGE, TRIES = 10.0, 3
"""The fourth exercise: seconds for which an upstream is down, and the tries of the one layer that retries."""


CONTRACTS = [
    {"limit": 3, "seconds": 1},
    *({"limit": limit, "seconds": seconds} for limit in (2, 4, 6, 7, 8) for seconds in (1, 2, 3)),
]
"""The first exercise: requests per window, and its seconds. The lab itself measures a limit of five."""


def _worst_second(answer: Any, *, limit: int, seconds: int) -> str | None:
    given = number(answer)
    windows = rate_limit.predict(limit=limit, seconds=seconds).set_index("window")["most"]
    if given == windows["fixed"]:
        return None
    return first_advice(
        [
            (
                given == windows["moving"],
                "A moving window admits so many. When does the next fixed window begin?",
            ),
            (
                given == 2 * windows["moving"],
                f"Two whole windows need more than {_span(seconds)}: the first request of a window opens it.",
            ),
        ],
        "Let one window admit requests as late as possible, and the next one as early as possible.",
    )


def _span(seconds: int) -> str:
    return "a second" if seconds == 1 else f"{word(seconds)} seconds"


def _contract(limit: int, seconds: int) -> str:
    return f"{word(limit).capitalize()} per {_span(seconds).removeprefix('a ')}"


def _dashboard(answer: Any) -> str | None:
    if not isinstance(answer, Mapping) or len(answer) != 1:
        raise OddAnswer("write it as {SETTING: seconds}.")
    ((setting, seconds),) = answer.items()
    if setting != PATIENCE:
        return "Another setting decides how long the gateway waits for a service. What does `env.configure` take?"
    if not 0.9 <= number(seconds) <= 2:
        return "With that setting at one second: was order-service paused while you requested the dashboard?"
    return None


def _order_again(answer: Any) -> str | None:
    orders, charges = numbers(answer, 2)
    if (orders, charges) == (1, 1):
        return None
    return first_advice(
        [
            (
                orders == 0,
                "The second request has to wait for its answer: how long does the gateway wait now?",
            ),
            (orders > 1, "Both requests need the same header Idempotency-Key, and the same body."),
            (
                charges > 1,
                "Count the charges of this order alone: the breakage before made some of its own.",
            ),
        ],
        "Compare the `id` of the second response with the ledger of payment-service.",
    )


def _budget_of_retries(answer: Any) -> str | None:
    given = number(answer)
    table = retry_storm.predict(tries=[TRIES], seconds=OUTAGE).set_index("way")
    clicks, calls = (float(table[name][retry_storm.BUDGET]) for name in ("clicks", "calls"))
    if close(given, calls):
        return None
    return first_advice(
        [
            (given >= clicks * TRIES, "There would be so many calls without a budget."),
            (close(given, clicks), "These are the clicks. Are there no retries at all?"),
            (
                close(given, calls - clicks),
                "These are the retries alone. The upstream gets the first tries as well.",
            ),
            (
                close(given, clicks * (1 + retry_storm.SHARE), 0.005),
                "That counts only what each click adds to the budget. Two other terms add to it, too.",
            ),
        ],
        "The budget has three terms: what is saved before, what each click adds, and what each second adds.",
    )


EXERCISES = (
    Varied(_contract, Level.CHANGE, "a number of requests", _worst_second, CONTRACTS),
    Exercise(
        "A service that is paused",
        Level.CHANGE,
        "a setting and the seconds you measured",
        _dashboard,
    ),
    Exercise("The same order again", Level.DESIGN, "two numbers: orders and charges", _order_again),
    Exercise(
        "A budget of retries",
        Level.READ,
        "a number of calls",
        _budget_of_retries,
    ),
    Exercise(
        "Design a measurement: two services at once",
        Level.DESIGN,
        "a dictionary of plan, samples and conclusion",
        dashboard_and_part,
    ),
)
