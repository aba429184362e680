"""An upstream as the routes see it: a response within a time limit, retries where they are safe, or a problem."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from microservices.api_gateway.breaker import Breaker, CircuitOpen
from microservices.api_gateway.budget import RetryBudget
from microservices.api_gateway.http_client.connection import (
    Unreachable,
    UpstreamError,
    UpstreamResponse,
)
from microservices.api_gateway.http_client.pool import Pool
from microservices.kit import correlation
from microservices.kit.backoff import backoff
from microservices.kit.http.problem import Problem

TRANSIENT = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request to an upstream. `target` is path and query, encoded."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    @property
    def repeatable(self) -> bool:
        """True when sending it twice has the effect of sending it once."""
        return self.method == b"GET" or any(name == b"idempotency-key" for name, _ in self.headers)


class Upstream:
    """One service behind the gateway.

    `tries` counts the first one too. `seconds` bounds all tries together, so that retries never make a
    client wait longer; a budget bounds the retries of all requests together.
    """

    def __init__(
        self, name: str, url: str, *, seconds: float, tries: int, breaker: Breaker | None = None
    ) -> None:
        parts = urlsplit(url)
        self.name, self.seconds, self.tries, self.breaker = name, seconds, tries, breaker
        self.budget = RetryBudget()
        self.pool = Pool(parts.hostname or "", parts.port or 80)
        self._host = parts.netloc.encode("ascii")

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request; return the response, whatever its status.

        Raises:
            Problem: 502, 503 or 504, when there is no response.
        """
        deadline = asyncio.get_running_loop().time() + self.seconds
        try:
            return await self._tries(request, deadline)
        except TimeoutError:
            detail = f"{self.name} did not answer within {self.seconds:g} s"
            raise Problem(504, detail) from None
        except Unreachable as error:
            detail = f"{self.name} cannot be reached: {error}"
            raise Problem(503, detail, headers={"Retry-After": "1"}) from None
        except UpstreamError as error:
            raise Problem(502, f"{self.name} gave no usable answer: {error}") from error
        except CircuitOpen as error:
            seconds = str(max(1, round(error.retry_after + 0.5)))
            detail = f"{self.name} failed too often; nothing is sent to it for {seconds} s or less"
            raise Problem(503, detail, headers={"Retry-After": seconds}) from None

    async def _tries(self, request: UpstreamRequest, deadline: float) -> UpstreamResponse:
        message = self._encode(request)
        self.budget.pay_in()
        for number in range(1, self.tries + 1):
            try:
                response = await self._try(message, request.repeatable, deadline)
                if not (worth_retrying(response.status, request) and self._may_retry(number)):
                    return response
            except UpstreamError as error:
                harmless = request.repeatable or isinstance(error, Unreachable)
                if not (harmless and self._may_retry(number)):
                    raise
            async with asyncio.timeout_at(deadline):
                await asyncio.sleep(backoff(number))
        raise AssertionError("tries is at least 1")

    def _may_retry(self, number: int) -> bool:
        return number < self.tries and self.budget.spend()

    async def _try(self, message: bytes, repeatable: bool, deadline: float) -> UpstreamResponse:
        async def once() -> UpstreamResponse:
            async with asyncio.timeout_at(deadline):
                return await self.pool.exchange(message, repeatable=repeatable)

        return await (self.breaker.call(once) if self.breaker else once())

    def _encode(self, request: UpstreamRequest) -> bytes:
        lines = [request.method + b" " + request.target + b" HTTP/1.1\r\nhost: " + self._host]
        lines += [name + b": " + value for name, value in request.headers]
        if correlation_id := correlation.current.get():
            lines.append(b"x-correlation-id: " + correlation_id.encode("ascii"))
        if request.method != b"GET":
            lines.append(b"content-length: %d" % len(request.body))
        return b"\r\n".join([*lines, b"", request.body])


def worth_retrying(status: int, request: UpstreamRequest) -> bool:
    """Return whether another try may succeed and is safe.

    Each of these statuses, 503 as well, may come from a service that has done part of the work: order-service returns
    503 when it waited in vain for a payment that may have been made.
    """
    return status in TRANSIENT and request.repeatable
