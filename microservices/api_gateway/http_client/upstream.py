"""An upstream as the routes see it: asked within a time, again when that does no harm, or a problem."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from microservices.api_gateway.breaker import Breaker, CircuitOpen
from microservices.api_gateway.budget import RetryBudget
from microservices.api_gateway.http_client.connection import Answer, Unreachable, UpstreamError
from microservices.api_gateway.http_client.pool import Pool
from microservices.kit import correlation
from microservices.kit.backoff import backoff
from microservices.kit.http.problem import Problem

TRANSIENT = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Question:
    """A request to an upstream. ``target`` is path and query, encoded."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    @property
    def repeatable(self) -> bool:
        """True when asking twice has the effect of asking once."""
        return self.method == b"GET" or any(name == b"idempotency-key" for name, _ in self.headers)


class Upstream:
    """One service behind the gateway. ``tries`` counts the first one too.

    ``seconds`` bounds all tries together, so that retries never make a client wait longer; a budget
    bounds the retries of all requests together.
    """

    def __init__(
        self, name: str, url: str, *, seconds: float, tries: int, breaker: Breaker | None = None
    ) -> None:
        parts = urlsplit(url)
        self.name, self.seconds, self.tries, self.breaker = name, seconds, tries, breaker
        self.budget = RetryBudget()
        self.pool = Pool(parts.hostname or "", parts.port or 80)
        self._host = parts.netloc.encode("ascii")

    async def ask(self, question: Question) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            Problem: 502, 503 or 504, when there is none.
        """
        deadline = asyncio.get_running_loop().time() + self.seconds
        try:
            return await self._tries(question, deadline)
        except TimeoutError:
            detail = f"{self.name} did not answer within {self.seconds:g} s"
            raise Problem(504, detail) from None
        except Unreachable as error:
            detail = f"{self.name} cannot be reached: {error}"
            raise Problem(503, detail, headers={"Retry-After": "1"}) from None
        except UpstreamError as error:
            raise Problem(502, f"{self.name} gave no usable answer: {error}") from None
        except CircuitOpen as error:
            seconds = str(max(1, round(error.retry_after + 0.5)))
            detail = f"{self.name} failed too often; nothing is sent to it for {seconds} s or less"
            raise Problem(503, detail, headers={"Retry-After": seconds}) from None

    async def _tries(self, question: Question, deadline: float) -> Answer:
        message = self._encode(question)
        self.budget.pay_in()
        for number in range(1, self.tries + 1):
            try:
                answer = await self._try(message, question.repeatable, deadline)
                if not (worth_retrying(answer.status, question) and self._may_retry(number)):
                    return answer
            except UpstreamError as error:
                harmless = question.repeatable or isinstance(error, Unreachable)
                if not (harmless and self._may_retry(number)):
                    raise
            async with asyncio.timeout_at(deadline):
                await asyncio.sleep(backoff(number))
        raise AssertionError("tries is at least 1")

    def _may_retry(self, number: int) -> bool:
        return number < self.tries and self.budget.spend()

    async def _try(self, message: bytes, repeatable: bool, deadline: float) -> Answer:
        async def once() -> Answer:
            async with asyncio.timeout_at(deadline):
                return await self.pool.exchange(message, repeatable=repeatable)

        return await (self.breaker.call(once) if self.breaker else once())

    def _encode(self, question: Question) -> bytes:
        lines = [question.method + b" " + question.target + b" HTTP/1.1\r\nhost: " + self._host]
        lines += [name + b": " + value for name, value in question.headers]
        if found := correlation.current.get():
            lines.append(b"x-correlation-id: " + found.encode("ascii"))
        if question.method != b"GET":
            lines.append(b"content-length: %d" % len(question.body))
        return b"\r\n".join([*lines, b"", question.body])


def worth_retrying(status: int, question: Question) -> bool:
    """Tell whether another try may end better and cannot do harm.

    503 is the upstream's word that it did nothing; after a 502 or 504 it may have done it all.
    """
    return status == 503 or (status in TRANSIENT and question.repeatable)
