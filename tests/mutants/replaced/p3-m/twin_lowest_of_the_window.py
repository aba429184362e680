"""A wrong twin: it takes the lowest recommendation, and scales up when the whole window requires it."""


def choose(intervals, window):
    needed = []
    for replicas, utilisation in intervals[-window:]:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > TOLERANCE:
            replicas = math.ceil(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return min(needed)
