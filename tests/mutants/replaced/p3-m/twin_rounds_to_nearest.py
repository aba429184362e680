"""A wrong twin: it rounds to the nearest number, and is short of a replica in half of all cases."""


def choose(intervals, window):
    needed = []
    for replicas, utilisation in intervals[-window:]:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > TOLERANCE:
            replicas = round(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return max(needed)
