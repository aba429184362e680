"""The reference answer: only what shows that the upstream itself fails opens the breaker."""


def is_failure(self, status):
    """Return whether a response with this status is a failure of the upstream."""
    return status >= 500
