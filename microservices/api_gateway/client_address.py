"""The address of a client: the peer of the socket; behind our own proxy, the address that the proxy names.

Any client can send any header. `X-Forwarded-For` is never read. `X-Real-IP` is accepted from one
peer only, TRUSTED_PROXY: our nginx, which overwrites the value that a client sent. The proxy's name
is looked up when it is needed, since a proxy may start, and move, after the gateway.
"""

import asyncio
import socket
from ipaddress import ip_address

from starlette.requests import Request

LOOKUP_SECONDS = 5.0
"""How long a resolved address is used."""


class ClientAddress:
    """Finds the client of a request; `trusted_proxy` is `host`, `host:port` or empty."""

    def __init__(self, trusted_proxy: str) -> None:
        self._host = trusted_proxy.partition(":")[0]
        self._addresses: frozenset[str] = frozenset()
        self._until = 0.0

    async def of(self, request: Request) -> str:
        """Return the address of the client."""
        peer = request.client.host if request.client else "unknown"
        named = request.headers.getlist("x-real-ip")
        if len(named) == 1 and self._host and peer in await self._trusted():
            return address(named[0]) or peer
        return peer

    async def _trusted(self) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until:
            try:
                resolved = await loop.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
            except OSError:
                resolved = []  # no such proxy now: no peer is trusted
            self._addresses = frozenset(str(sockaddr[0]) for *_, sockaddr in resolved)
            self._until = loop.time() + LOOKUP_SECONDS
        return self._addresses


def address(text: str) -> str | None:
    """Return an IP address in its canonical form, `None` for any other text."""
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return None
