"""Why each wrong twin is wrong: what its measurement finds, and the quick check that fails.

`None`: the measurement cannot see it, since payment-service has one part, the database, which limits its own answer.
"""

from labs.mechanisms.readiness import AWAY, STOPPING, WRONG

TWINS = {
    "always_ready": (f"{AWAY}: {WRONG[AWAY]}", "It is ready while it drains."),
    "ready_while_draining": (f"{STOPPING}: {WRONG[STOPPING]}", "It is ready while it drains."),
    "draining_alone": (f"{AWAY}: {WRONG[AWAY]}", "It is ready while a part returns a reason."),
    "remembers_ready": (
        f"{AWAY}: {WRONG[AWAY]}",
        "It is ready while a part returns a reason.",
    ),
    "waits_for_ever": (None, "It waits for a part that never answers."),
    "raises": (None, "It raises, or is ready, when a part raises."),
    "errors_are_fine": (None, "It raises, or is ready, when a part raises."),
    "first_part_alone": (None, "It is ready while a part that is not the first returns a reason."),
}
