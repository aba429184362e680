"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment cannot see it, since no order of it has two reasons to be cancelled, and nothing waits for the
event of a refund; or the order keeps its charge, as its judge's own tests have it.
"""

UNDONE = "The charge of a cancelled order does not become what is owed to the customer."
SECOND = "A second reason to cancel an order that is owed fails, or changes what is owed."

TWINS = {
    "without_tombstone": (
        "payment-service: acted on an order that it had read to be cancelled",
        "An order whose cancel is read first is charged when its own event is read later.",
    ),
    "without_debt": (None, UNDONE),
    "bars_the_charged": (None, UNDONE),
    "refunds_at_once": (None, UNDONE),
    "each_time": (None, SECOND),
    "bars_all": (None, SECOND),
}
