"""The client for calls to another service: one per downstream, shared by all requests."""

import httpx

from microservices.kit import correlation
from microservices.kit.http.timeouts import CONNECT_SECONDS, KEEPALIVE_SECONDS


def open_client(url: str, *, seconds: float) -> httpx.AsyncClient:
    """Return a client for the service at `url`; a read may last `seconds`."""
    return httpx.AsyncClient(
        base_url=url,
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=100, keepalive_expiry=KEEPALIVE_SECONDS),
        event_hooks={"request": [add_correlation_id]},
        trust_env=False,  # no proxy of the machine between two services
        verify=False,  # plain http; loading certificates would only delay the start
    )


async def add_correlation_id(request: httpx.Request) -> None:
    """Pass the correlation id on."""
    if correlation_id := correlation.current.get():
        request.headers[correlation.HEADER] = correlation_id
