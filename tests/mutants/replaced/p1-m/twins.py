"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: the experiment cannot see it. It sends no request whose client goes away, its failures all come in a row, and
each of its failures has a response.
"""

from labs.experiments.phase1.circuit_breaker import AFTER, FAILURES, REFUSALS, WAITING, WRONG

TWINS = {
    "counts_refusals": (f"{REFUSALS}: {WRONG[REFUSALS]}", "It counts a 4xx as a failure."),
    "only_500": (
        f"{FAILURES}: {WRONG[FAILURES]}",
        "It does not open after three responses of 500, 502 and 503.",
    ),
    "one_too_many": (
        f"{FAILURES}: {WRONG[FAILURES]}",
        "It does not open after three responses of 500, 502 and 503.",
    ),
    "many_probes": (
        f"{WAITING}: {WRONG[WAITING]}",
        "When the open time is over, not exactly one request passes until the probe has ended.",
    ),
    "never_closes": (
        f"{AFTER}: {WRONG[AFTER]}",
        "It does not close after a probe that succeeded, or opens again before the whole number of failures.",
    ),
    "not_in_a_row": (
        None,
        "It counts failures that are not in a row: a success between them has to end the row.",
    ),
    "lost_probe": (
        None,
        "After a probe whose client went away no other request ever passes.",
    ),
    "no_answer_is_no_failure": (
        None,
        "It does not open after three calls without a response.",
    ),
}
