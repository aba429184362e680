"""A wrong twin: it counts the client's own mistakes."""


def is_failure(self, status):
    return not 200 <= status < 400
