"""A wrong twin: it takes the highest recommendation that there ever was, and never scales down."""


def choose(intervals, window):
    needed = []
    for replicas, utilisation in intervals:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > TOLERANCE:
            replicas = math.ceil(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return max(needed)
