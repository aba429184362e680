"""A wrong twin: it takes the mean utilisation of the window, and scales up as late as it scales down."""


def choose(intervals, window):
    last = intervals[-window:]
    replicas, _ = last[-1]
    ratio = sum(utilisation for _, utilisation in last) / len(last) / TARGET
    if abs(ratio - 1) > TOLERANCE:
        replicas = math.ceil(replicas * ratio)
    return min(MOST, max(LEAST, replicas))
