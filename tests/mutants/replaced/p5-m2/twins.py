"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment needs half a minute for each of them, and `tests/mutants/test_phase5.py` has it fail others.
"""

TWINS = {
    "of_the_clock": (
        None,
        "While partitions are active, it does not return the newest time of the one that is furthest behind.",
    ),
    "of_all": (
        None,
        "A partition that is silent and fully read holds the others back.",
    ),
    "fastest": (
        None,
        "While partitions are active, it does not return the newest time of the one that is furthest behind.",
    ),
    "by_clock": (
        None,
        "A partition with unread messages is passed over, because its reader was silent for long.",
    ),
    "forgets_unread": (
        None,
        "A time is returned while a partition has messages of which none was read: it may be older.",
    ),
    "stops": (
        None,
        "When every partition is silent and fully read, it does not return the time of the newest event.",
    ),
}
