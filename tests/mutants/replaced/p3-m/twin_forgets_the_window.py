"""A wrong twin: it looks at the last interval alone, and scales down as soon as the load falls."""


def choose(intervals, window):
    needed = []
    for replicas, utilisation in intervals[-1:]:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > TOLERANCE:
            replicas = math.ceil(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return max(needed)
