"""The one piece of shared memory that a server would leave behind when it is killed.

Its buffers are memory that ends with the processes. Beside them it makes a small System V segment, by which a second
server on the same data folder would notice the first one; such a segment stays until it is removed. So it is marked for
removal as soon as the server has it: the kernel then frees it with the last process that uses it.
"""

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path

WAIT_SECONDS = 20.0
_REMOVE = 0  # shmctl(2)
_LINE = 6
"""Of postmaster.pid, from 0: the key and the id of the segment."""


def free_segment_at_end(pid_file: Path) -> None:
    """Leave a process behind that marks the segment of the server which this process becomes, and then ends."""
    if os.getpid() == 1:  # a container has its own shared memory, which ends with it
        return
    server = os.getpid()
    if os.fork():
        os.wait()
        return
    if os.fork():  # the server does not expect a child that it has not made
        os._exit(0)
    try:
        _mark(pid_file, server)
    finally:
        os._exit(0)


def _mark(pid_file: Path, server: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.02)
        os.kill(server, 0)  # raises when it has ended
        with suppress(OSError, ValueError, IndexError):
            lines = pid_file.read_text().splitlines()
            if int(lines[0]) == server:
                _, segment = lines[_LINE].split()
                ctypes.CDLL(None).shmctl(int(segment), _REMOVE, None)
                return
