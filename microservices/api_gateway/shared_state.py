"""The state that replicas share, in Valkey: it answers within a second, or the route is a 503 problem.

There is no fallback to memory: a limit or a count of one replica only would be wrong, and no error would show it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from limits.errors import StorageError
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from microservices.kit.http.problem import Problem
from microservices.kit.http.timeouts import CONNECT_SECONDS

TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": 1.0}
NO_ANSWER = (ValkeyError, StorageError, OSError, TimeoutError)


class SharedState:
    """The client of the session's Valkey; a part of the service."""

    def __init__(self, url: str) -> None:
        self.valkey: Valkey = Valkey.from_url(url, **TIMEOUTS)

    async def unavailable(self) -> str | None:
        """Return why Valkey cannot be used now; `None` when it answers."""
        try:
            await self.valkey.ping()
        except NO_ANSWER:
            return "Valkey, which this gateway counts and limits in, does not answer"
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.valkey.aclose()


@contextmanager
def answering() -> Iterator[None]:
    """Turn an error of Valkey into the documented problem.

    Raises:
        Problem: 503, with `Retry-After`.
    """
    try:
        yield
    except NO_ANSWER as error:
        detail = f"Valkey, where replicas count together, does not answer ({type(error).__name__})"
        raise Problem(503, detail, headers={"Retry-After": "1"}) from error
