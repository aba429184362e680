"""A wrong twin: without load it chooses no replica, and then there is nothing to measure."""


def choose(intervals, window):
    needed = []
    for replicas, utilisation in intervals[-window:]:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > TOLERANCE:
            replicas = math.ceil(replicas * ratio)
        needed.append(replicas)
    return max(needed)
