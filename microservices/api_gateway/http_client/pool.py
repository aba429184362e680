"""The connections to one upstream: kept open between requests, and closed in time."""

import asyncio
from typing import Self

from microservices.api_gateway.http_client.connection import (
    Connection,
    Unanswered,
    Unreachable,
    UpstreamResponse,
)
from microservices.kit.http.timeouts import CONNECT_SECONDS, KEEPALIVE_SECONDS

MAX_IDLE = 100


class Pool:
    """Sends requests to `host:port`, each on a connection of its own while it lasts."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()

    async def exchange(self, request: bytes, *, repeatable: bool) -> UpstreamResponse:
        """Send a request; return the response.

        An idle connection may have been closed by the other side a moment ago. When it ends before
        the first byte of a response, the request is sent once more, on a new connection; but only
        when it is `repeatable`, because the upstream may have received the first one.

        Raises:
            UpstreamError: There is no whole response.
        """
        connection = self._take()
        if connection is not None:
            try:
                return await self._exchange(connection, request)
            except Unanswered:
                if not repeatable:
                    raise
        return await self._exchange(await self._connect(), request)

    async def _exchange(self, connection: Connection, request: bytes) -> UpstreamResponse:
        response = await connection.exchange(request)
        if connection.open and len(self._idle) < MAX_IDLE:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def _take(self) -> Connection | None:
        """Return the connection that was idle for the shortest time."""
        oldest = asyncio.get_running_loop().time() - KEEPALIVE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.open and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._all.discard), self.host, self.port
                )
        except (OSError, TimeoutError) as error:
            what = str(error) or f"no connection within {CONNECT_SECONDS} s"
            raise Unreachable(what) from error
        self._all.add(connection)
        return connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in list(self._all):
            connection.close()
