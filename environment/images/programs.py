"""Runs another program as one step of a build: with its lines as progress and its failure explained."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from environment.errors import LabError
from environment.outside import back_outside
from environment.waiting import wait_until

_LAST_LINES = 12
_END_SECONDS = 5.0


def run_program(
    command: Sequence[str],
    *,
    action: str,
    next_step: str,
    each: Callable[[str], None],
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run `command`, which may download, and hand each line it writes to `each`.

    `variables` are its environment; by default this process's, with those of the network outside.

    Raises `LabError` with its last lines when it fails. However this function is left, nothing of it runs on.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=back_outside(os.environ) if variables is None else variables,
        start_new_session=True,  # so that its children can be ended with it
    ) as program:
        try:
            assert program.stdout is not None
            for line in program.stdout:
                last.append(line.rstrip())
                each(line.rstrip())
            code = program.wait()
        finally:
            if program.poll() is None:
                _end(program)
    if code:
        raise LabError(
            f"{action} failed (exit code {code}). {next_step} Its last lines:\n" + "\n".join(last)
        )


def _end(program: "subprocess.Popen[str]") -> None:
    """Kill a program with all that it started, and wait until they are gone: they may still be writing."""
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    wait_until(lambda: not _is_alive(program.pid), timeout=_END_SECONDS)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS raises this for a group in which only zombies are left
        return False
    return True
