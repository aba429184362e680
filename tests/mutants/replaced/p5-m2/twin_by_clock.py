"""A wrong twin: a partition that is held up is taken for a silent one, whatever it has still to be read."""


def newest_common(partitions):
    active = [each.newest for each in partitions if each.silent_seconds < IDLE_SECONDS]
    if active:
        return None if None in active else min(active)
    return max((each.newest for each in partitions if each.newest is not None), default=None)
