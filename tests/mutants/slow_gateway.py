"""A mutant of hop: a gateway that takes another 50 ms over every response it passes back."""

import asyncio

from starlette.types import Send

from microservices.api_gateway import forward
from microservices.api_gateway.http_client.connection import UpstreamResponse
from tests.mutants.gateway import run_with

respond = forward.respond


async def slow_respond(send: Send, response: UpstreamResponse) -> None:
    await asyncio.sleep(0.05)
    await respond(send, response)


if __name__ == "__main__":
    run_with(forward, "respond", slow_respond)
