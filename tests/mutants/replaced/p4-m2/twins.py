"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment cannot see it, or it takes half a minute to see there what a quick check sees at once.
"""

TWINS = {
    "deletes_first": (
        "OUTBOX=on, in the gap: events were never published, and their orders stay pending",
        "An event is deleted before Kafka has it: a replica that is killed then loses it.",
    ),
    "deletes_all": (
        None,
        "An event that is written while others are sent is deleted without being published.",
    ),
    "newest_first": (
        None,
        "The events of the outbox are not published, each once and in the order of their positions.",
    ),
    "gives_up": (None, "While Kafka is away, events are deleted that it never had."),
    "one_blocks_all": (
        None,
        "An event that its topic refuses for good is no dead letter, or holds back the others.",
    ),
    "never_deletes": (
        None,
        "What Kafka has stays in the outbox, so that it is published again and again.",
    ),
}
