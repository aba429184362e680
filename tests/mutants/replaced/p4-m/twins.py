"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment cannot see it, since no effect of it fails, no two deliveries of an event share a transaction,
and a dead letter is no second charge; or it finds there what it finds in the first twin.
"""

SECOND = "It accepts the second delivery of an event, or raises instead of returning false."
ROLLED_BACK = "It refuses an event whose transaction was rolled back: its effect is lost."

TWINS = {
    "inserts_nothing": (
        "INBOX=on, delivered 2 times: the payment was published more than once",
        SECOND,
    ),
    "ignores_the_row": (None, SECOND),
    "only_the_last": (None, "It accepts an event again when others came in between."),
    "without_looking": (None, SECOND),
    "in_memory": (None, ROLLED_BACK),
    "in_its_own_transaction": (None, ROLLED_BACK),
    "looks_elsewhere": (
        None,
        "In one transaction with other deliveries, as group commit has them, it does not accept each event once.",
    ),
}
