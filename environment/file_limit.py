"""How many files and sockets a process may have open: the shell's soft limit is 256 on macOS, and often 1024 on Linux.

What the supervisor raises for itself is inherited by everything that it starts.
"""

import resource

WANTED = 16_384
"""Enough for nginx (4096 connections, and one to a service for each); more would only slow down programs that close
every number up to the limit."""

LITTLE = 4_096
"""Below this a lab with many clients may run out."""

_MOST_ON_MACOS = 10_240
"""macOS refuses more, also where its hard limit is infinite (setrlimit(2): OPEN_MAX)."""


def raise_file_limit() -> int:
    """Raise the soft limit of this process to what the hard limit allows, at most `WANTED`; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (allowed_files(), _MOST_ON_MACOS):
        if soft == resource.RLIM_INFINITY or limit <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return limit
        except (ValueError, OSError):
            continue
    return soft


def allowed_files() -> int:
    """Return how many files a process of this user may have open, at most `WANTED`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
