"""How many files and sockets this service may have open: a shell's soft limit is 256 on macOS, often 1024 on Linux."""

import resource
from contextlib import suppress

WANTED = 16_384
MOST_ON_MACOS = 10_240
"""macOS refuses more, also where its hard limit is infinite (setrlimit(2): OPEN_MAX)."""


def raise_file_limit() -> None:
    """Raise the soft limit to what the hard limit allows, at most `WANTED`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard), MOST_ON_MACOS):
        if soft == resource.RLIM_INFINITY or limit <= soft:
            return
        with suppress(ValueError, OSError):
            return resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
