"""Why each wrong twin is wrong: what the lab's experiment finds, and the quick check that fails.

`None`: not measured, since a measurement takes half a minute. tests/labs/experiments/phase3/test_autoscaling.py has
what the experiment's judge finds in samples of a loop by these twins.
"""

STEP = "a step was not the formula's"

TWINS = {
    "forgets_the_window": (
        f"with a window: {STEP}",
        "With a window it scales down before no interval of the window required more.",
    ),
    "rounds_to_nearest": (
        None,
        "It does not choose replicas x utilisation / target, rounded up.",
    ),
    "mean_of_the_window": (
        None,
        "With a window it does not scale up at once when the load rises.",
    ),
    "lowest_of_the_window": (
        None,
        "With a window it does not scale up at once when the load rises.",
    ),
    "never_scales_down": (
        None,
        "It does not scale down although no interval of the window required more.",
    ),
    "replicas_of_now": (
        None,
        "It does not multiply the utilisation of an interval by the replicas that this interval had.",
    ),
    "no_tolerance": (
        None,
        "It changes the number although the utilisation is within a tenth of the target.",
    ),
    "no_bounds": (None, "Without load it does not choose the least number of replicas."),
}
