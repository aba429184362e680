"""A wrong twin: when every partition is silent there is no watermark, so that the last windows stay open."""


def newest_common(partitions):
    active = [each.newest for each in partitions if is_active(each)]
    return None if None in active else min(active, default=None)
