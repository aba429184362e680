"""Progress of long work: one line at a time, for people."""

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes one line of progress for people."""


def silent(line: str) -> None:
    """Drop a line of progress."""
