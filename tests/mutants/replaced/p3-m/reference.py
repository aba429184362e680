"""The reference answer: each interval by the formula, with the replicas that it had; then the highest of the window."""


def choose(intervals, window):
    """Return how many replicas to run in the next interval."""
    needed = []
    for replicas, utilisation in intervals[-window:]:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > TOLERANCE:
            replicas = math.ceil(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return max(needed)
