"""A wrong twin: the time of the clock, as if every event were read at once."""

import time


def newest_common(partitions):
    return time.time() if partitions else None
