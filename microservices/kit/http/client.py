"""Calling another service: one shared client per downstream."""

import httpx

from microservices.kit import correlation
from microservices.kit.http.timeouts import CONNECT_SECONDS, KEEPALIVE_SECONDS


def open_client(url: str, *, seconds: float) -> httpx.AsyncClient:
    """Return a client for the service at `url`; an answer may take `seconds` in silence."""
    return httpx.AsyncClient(
        base_url=url,
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=100, keepalive_expiry=KEEPALIVE_SECONDS),
        event_hooks={"request": [add_correlation_id]},
        trust_env=False,  # a proxy of the machine has no business between two services
        verify=False,  # plain http; loading certificates would only delay the start
    )


async def add_correlation_id(request: httpx.Request) -> None:
    """Hand the correlation id on."""
    if found := correlation.current.get():
        request.headers[correlation.HEADER] = found
