"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment cannot see it. In it no effect fails and no two deliveries of an event share a transaction, and a
dead letter is no second charge.
"""

TWICE = "INBOX=on, delivered 2 times: the payment was published more than once"
SECOND = "It accepts the second delivery of an event, or raises instead of returning false."
ROLLED_BACK = "It refuses an event whose transaction was rolled back: its effect is lost."

TWINS = {
    "inserts_nothing": (TWICE, SECOND),
    "ignores_the_row": (TWICE, SECOND),
    "only_the_last": (TWICE, "It accepts an event again when others came in between."),
    "without_looking": (None, SECOND),
    "in_memory": (None, ROLLED_BACK),
    "in_its_own_transaction": (None, ROLLED_BACK),
    "looks_elsewhere": (
        None,
        "In one transaction with other deliveries, as group commit has them, it does not accept each event once.",
    ),
}
