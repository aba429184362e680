"""A wrong twin: it takes the replicas of now for each utilisation of the window, and goes up without a load."""


def choose(intervals, window):
    needed = []
    now, _ = intervals[-1]
    for _, utilisation in intervals[-window:]:
        ratio, replicas = utilisation / TARGET, now
        if abs(ratio - 1) > TOLERANCE:
            replicas = math.ceil(replicas * ratio)
        needed.append(min(MOST, max(LEAST, replicas)))
    return max(needed)
