"""A wrong twin: it has no tolerance, and a utilisation a little above the target adds a replica."""


def choose(intervals, window):
    needed = []
    for replicas, utilisation in intervals[-window:]:
        ratio = utilisation / TARGET
        if abs(ratio - 1) > 0:
            replicas = math.ceil(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return max(needed)
