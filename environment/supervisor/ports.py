"""Host ports that stay ours while the replica behind them is down.

A port that was merely seen free can be taken by another program before it is used, or while its replica is being
restarted. So a session claims a block of ports, by holding the block's first port bound for as long as its supervisor
lives: the kernel keeps the claim across users and gives it up when the supervisor dies. The blocks lie below the range
from which Linux and macOS draw the ports of outgoing connections.

A client that outlives its session connects to the same ports for ever. So a block that has just been given up is taken
last: each block has its turn for a second, and where it is held, the search goes on with the blocks whose turns were
longest ago and are not to come soon.
"""

import errno
import socket
import time

import psutil

from environment.errors import LabError, PortBusy

FIRST, BLOCK, BLOCKS = 20_000, 100, 120

_OFFSETS = sorted(range(BLOCKS), key=lambda n: (n > 0, abs(n - BLOCKS // 2)))
"""Of the blocks to try, from the one whose turn it is: itself, then the far side of the ring, its neighbours last."""


def _bound(port: int, *, reuse: bool = True) -> socket.socket | None:
    held = socket.socket()
    # As every server does: without it a port with connections in TIME_WAIT would look busy. A claim goes without:
    # two sockets that both reuse an address, and do not listen, may be bound to it at the same time (socket(7)).
    if reuse:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", port))
    except OSError as error:
        held.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise
    return held


def holder(port: int) -> str:
    """Return the program that listens on a port, as far as this user may see."""
    try:
        for one in psutil.net_connections("tcp"):
            if (
                one.status == psutil.CONN_LISTEN
                and one.laddr
                and one.laddr.port == port
                and one.pid
            ):
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    except psutil.Error:
        pass
    return "another program"


def is_taken(port: int) -> bool:
    """Return whether a program holds a port on loopback."""
    probe = _bound(port)
    if probe:
        probe.close()
    return probe is None


class PortBlock:
    """The ports of one session."""

    def __init__(self) -> None:
        turn = int(time.monotonic())  # the same for all processes of this machine
        for offset in _OFFSETS:
            first = FIRST + (turn + offset) % BLOCKS * BLOCK
            claim = _bound(first, reuse=False)
            if claim is not None:
                self._claim = claim
                self._free = list(range(first + 1, first + BLOCK))
                return
        raise LabError(
            f"Every block of ports from {FIRST} on is taken: {BLOCKS} environments run on this machine. "
            "End some with `lab down --all`."
        )

    def take(self, port: int | None = None) -> int:
        """Return a port without a listener: any of the block, or the one asked for. Raises `PortBusy`."""
        if port is not None:
            self._check(port)
            return port
        while self._free:
            port = self._free.pop(0)
            if not is_taken(port):
                return port
        raise LabError("This session has used up its ports. Scale something down.")

    def give_back(self, port: int) -> None:
        """Make a port of the block free again; a fixed port does not belong to the block and is passed over."""
        if self._claim.getsockname()[1] < port < self._claim.getsockname()[1] + BLOCK:
            self._free.append(port)

    def close(self) -> None:
        """Give up the block."""
        self._claim.close()

    def _check(self, port: int) -> None:
        if is_taken(port):
            raise PortBusy(
                f"Port {port} on 127.0.0.1 is held by {holder(port)}. End that program, "
                "or start without `--ports fixed`: free ports are chosen then."
            )
