"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment cannot see it. It has one client, which sends each burst when the window before has passed, and
its Valkey answers.
"""

ADMITTED = "admitted another number than predicted"

TWINS = {
    "a_window_per_replica": (
        f"one window in Valkey, 2 replicas: {ADMITTED}",
        "Two replicas that are asked in turn admit another number than five together.",
    ),
    "looks_and_then_adds": (
        f"one window in Valkey, 2 replicas: {ADMITTED}",
        "Of requests at the same time it admits another number than five: one came between two steps of another.",
    ),
    "two_at_once_are_one": (
        f"one window in Valkey, 1 replica: {ADMITTED}",
        "Of eight requests one after the other it does not admit the first five and refuse the others.",
    ),
    "fixed_window": (
        None,
        "It admits more than five requests within a window's length, or none when one of five has left the window.",
    ),
    "refused_ones_count": (
        None,
        "It counts requests that it refused, so that a client that goes on asking is not admitted again.",
    ),
    "one_window_for_all": (None, "Requests of one client use up the limit of another."),
    "never_expires": (
        None,
        "Its keys have no time to live: Valkey keeps something for every client that ever came.",
    ),
    "admits_without_valkey": (
        None,
        "When Valkey does not answer, the request is not answered with the problem 503.",
    ),
}
