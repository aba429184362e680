"""Checks of a submitted breaker, in some tenths of a second: the docstring of each is the reason why it is wrong.

No check depends on how fast the machine is: an open time is far longer than the check, or waited for, or measured.
"""

import asyncio
import time
from types import ModuleType
from typing import Any

from microservices.api_gateway.http_client.connection import UpstreamResponse

LONG, AGAIN, SHORT = 60.0, 0.3, 0.02


class Upstream:
    """A breaker before an upstream that answers with each status in turn, and counts; `None` is no answer."""

    def __init__(
        self, module: ModuleType, *, failures: int = 3, open_seconds: float = LONG
    ) -> None:
        self.module, self.calls, self.changes = module, 0, []  # type: ignore[var-annotated]
        self.breaker = module.Breaker(
            failures=failures,
            open_seconds=open_seconds,
            changed=lambda old, new: self.changes.append((old, new)),
        )

    async def gets(self, *statuses: int | None) -> list[Any]:
        """Return what a client receives for each call: a status, the error's name, or the seconds to wait."""
        return [await self.get(status) for status in statuses]

    async def get(self, status: int | None, until: asyncio.Event | None = None) -> Any:
        async def send() -> UpstreamResponse:
            self.calls += 1
            if until:
                await until.wait()
            if status is None:
                raise ConnectionError
            return UpstreamResponse(status, [], b"")

        try:
            return (await self.breaker.call(send)).status
        except self.module.CircuitOpen as error:
            return float(error.retry_after)
        except ConnectionError:
            return "no answer"


async def passes_responses(module: ModuleType) -> None:
    """A closed breaker does not pass on what the upstream answers."""
    upstream = Upstream(module, failures=9)
    assert await upstream.gets(200, 404, 503, None) == [200, 404, 503, "no answer"]
    assert upstream.breaker.state == "closed"


async def counts_no_4xx(module: ModuleType) -> None:
    """It counts a 4xx as a failure."""
    upstream = Upstream(module)
    assert await upstream.gets(*[404, 429] * 5) == [404, 429] * 5


async def counts_every_5xx(module: ModuleType) -> None:
    """It does not open after three responses of 500, 502 and 503."""
    upstream = Upstream(module)
    await upstream.gets(500, 502, 503, 200)
    assert (upstream.calls, upstream.breaker.state) == (3, "open")


async def counts_no_answer(module: ModuleType) -> None:
    """It does not open after three calls without a response."""
    upstream = Upstream(module)
    await upstream.gets(None, None, None, 200)
    assert upstream.calls == 3


async def not_too_early(module: ModuleType) -> None:
    """It opens before the number of failures is reached."""
    upstream = Upstream(module, failures=5)
    await upstream.gets(503, 503, 503, 503)
    assert upstream.breaker.state == "closed"
    assert await upstream.gets(200) == [200]


async def only_in_a_row(module: ModuleType) -> None:
    """It counts failures that are not in a row: a success between them has to end the row."""
    upstream = Upstream(module)
    await upstream.gets(503, 503, 200, 503, 503, 404, 503, 503)
    assert upstream.breaker.state == "closed"
    assert await upstream.gets(200) == [200]


async def refuses_while_open(module: ModuleType) -> None:
    """While it is open a request reaches the upstream, or is refused without the seconds that remain."""
    upstream = Upstream(module)
    await upstream.gets(503, 503, 503)
    refused = await upstream.gets(*[200] * 5)
    assert upstream.calls == 3
    assert all(0 < each <= LONG for each in refused)
    assert refused[0] > 1


async def one_probe(module: ModuleType) -> None:
    """When the open time is over, not exactly one request passes until the probe has ended."""
    upstream = await opened(module, SHORT)
    answer = asyncio.Event()
    waiting = [asyncio.create_task(upstream.get(200, answer)) for _ in range(10)]
    await asyncio.sleep(2 * SHORT)
    assert (upstream.calls, upstream.breaker.state) == (4, "half-open")
    answer.set()
    results = await asyncio.gather(*waiting)
    assert results.count(200) == 1


async def closes_after_success(module: ModuleType) -> None:
    """It does not close after a probe that succeeded, or opens again before the whole number of failures."""
    upstream = await opened(module, SHORT)
    assert await upstream.gets(200, 200, 503, 503, 200) == [200, 200, 503, 503, 200]
    assert upstream.breaker.state == "closed"


async def opens_after_failed_probe(module: ModuleType) -> None:
    """After a probe that failed it is not open again at once."""
    upstream = await opened(module, AGAIN)
    assert await upstream.get(503) == 503
    assert upstream.breaker.state == "open"


async def stays_open_after_failed_probe(module: ModuleType) -> None:
    """After a probe that failed it is not open for the whole time again."""
    while True:  # until it was quick enough for the answer to mean something
        upstream = await opened(module, AGAIN)
        began, before = time.monotonic(), upstream.calls
        await upstream.gets(503, 200, 200)
        if time.monotonic() < began + AGAIN:
            break
    assert upstream.calls == before + 1


async def lost_probe(module: ModuleType) -> None:
    """After a probe whose client went away no other request ever passes."""
    upstream = await opened(module, SHORT)
    probe = asyncio.create_task(upstream.get(200, asyncio.Event()))
    await asyncio.sleep(SHORT)
    probe.cancel()
    await asyncio.wait([probe])
    await asyncio.sleep(2 * SHORT)
    assert await upstream.get(200) == 200


async def clients_that_go_away(module: ModuleType) -> None:
    """Requests whose clients went away count as failures of the upstream."""
    upstream = Upstream(module)
    for _ in range(4):
        request = asyncio.create_task(upstream.get(200, asyncio.Event()))
        await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.wait([request])
    assert await upstream.get(200) == 200


async def changes(module: ModuleType) -> None:
    """It does not call `changed` with the old and the new state at each change."""
    upstream = await opened(module, SHORT)
    await upstream.gets(200)
    ways = [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
    assert upstream.changes == ways


async def opened(module: ModuleType, open_seconds: float) -> Upstream:
    """Return an upstream behind a breaker that was opened, and whose open time is over."""
    upstream = Upstream(module, open_seconds=open_seconds)
    await upstream.gets(503, 503, 503)
    await asyncio.sleep(open_seconds + SHORT)
    return upstream


CHECKS = (
    *(passes_responses, counts_no_4xx, counts_every_5xx, counts_no_answer, not_too_early),
    *(only_in_a_row, refuses_while_open, one_probe, closes_after_success),
    *(opens_after_failed_probe, stays_open_after_failed_probe, lost_probe, clients_that_go_away),
    *(changes,),
)
