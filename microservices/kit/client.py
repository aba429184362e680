"""Calling another service: one shared client per downstream."""

import httpx

from microservices.kit import correlation

CONNECT_SECONDS = 0.3
"""A live service accepts at once; a dead container's address takes seconds to say no."""

KEEPALIVE_SECONDS = 30
"""Less than nginx's 60 s and uvicorn's 75 s: we never send on a connection they just closed."""


def open_client(url: str, *, seconds: float) -> httpx.AsyncClient:
    """Return a client for the service at ``url``; an answer may take ``seconds`` in silence."""
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
