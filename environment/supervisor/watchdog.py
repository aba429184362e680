"""The watchdog: a process that sweeps when the supervisor is killed, so that nothing waits for the next start.

It is a shell that waits for the end of a pipe, which only the supervisor holds open, and then becomes the sweep. (The
signal that Linux sends on a parent's death, prctl(2), does not do: it comes when the thread that started a child ends,
reaches none of the child's own children, and macOS has none.)
"""

import subprocess
import sys

from environment.compose import ROOT

_WAIT_THEN_RUN = 'read -r line; exec "$@"'


class Watchdog:
    """Waits beside the supervisor, in a process session of its own: what is sent to the supervisor's spares it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [
                *("/bin/sh", "-c", _WAIT_THEN_RUN, "sh"),
                *(sys.executable, "-m", "environment.supervisor.sweep"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )

    def end(self) -> None:
        """End it: the session is removed, and nothing is left to sweep."""
        self._process.kill()
        self._process.wait()
