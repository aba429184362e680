"""A mutant of partial answers: a dashboard that fails as a whole when one of its parts does."""

from microservices.api_gateway import dashboard
from microservices.api_gateway.http_client.upstream import Upstream, UpstreamRequest
from tests.mutants.gateway import run_with


async def needed_part(upstream: Upstream, target: bytes) -> bytes:
    return (await upstream.send(UpstreamRequest(b"GET", target))).body


if __name__ == "__main__":
    run_with(dashboard, "part", needed_part)
