"""The child process behind `labs.load`: sends requests on a schedule, and dies with its parent.

Run as ``python -m labs.load.worker``. It reads one JSON plan (a line) from standard input, prints
one line when its schedule begins, then one JSON line per request once all have ended. Standard
input stays open for as long as the parent lives: its end of file is the order to vanish.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import random
import resource
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import aiohttp

Plan = dict[str, Any]

SECONDS_TO_BEGIN = 0.05
ERROR_CHARACTERS = 300


class Due(NamedTuple):
    """One request of the schedule: when it is due (s after the beginning), of which stream."""

    offset: float
    stream: int
    number: int


def arrivals(stream: Plan, seconds: float, seed: int, phase: float = 0.0) -> Iterator[float]:
    """Offsets (s) of one stream's requests: evenly spaced, or a Poisson process of that rate.

    `phase` (0 to 1) shifts an even stream by a part of its interval, so that streams of equal
    rates do not all fire in the same instant.
    """
    rate = float(stream["rate"])
    if stream["arrivals"] == "even":
        for number in range(round(seconds * rate)):
            yield (number + phase) / rate
        return
    chance = random.Random(f"{seed}:{stream['name']}")
    offset = chance.expovariate(rate)
    while offset < seconds:
        yield offset
        offset += chance.expovariate(rate)


def schedule(plan: Plan) -> list[Due]:
    """Every request of the plan, in the order in which they are due."""
    streams = plan["streams"]
    return sorted(
        Due(stream["begins"] + offset, index, number)
        for index, stream in enumerate(streams)
        for number, offset in enumerate(
            arrivals(
                stream, duration(stream, plan["seconds"]), plan["seed"], phase=index / len(streams)
            )
        )
    )


def duration(stream: Plan, seconds: float) -> float:
    """For how many of the schedule's `seconds` the stream sends."""
    end = seconds if stream["ends"] is None else min(seconds, stream["ends"])
    return max(0.0, float(end - stream["begins"]))


def fill(template: Any, key: str, number: int) -> Any:
    """The template with `{key}` and `{number}` replaced in each of its strings, at any depth."""
    if isinstance(template, str):
        return template.replace("{key}", key).replace("{number}", str(number))
    if isinstance(template, dict):
        return {name: fill(value, key, number) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, key, number) for value in template]
    return template


class Sender:
    """Sends each request when it is due, and keeps a row about each."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self.plan = plan
        self.session = session
        self.rows: list[list[Any]] = []
        self.end = math.inf
        self.begun = time.perf_counter() + SECONDS_TO_BEGIN
        self.begun_unix = time.time() + SECONDS_TO_BEGIN

    async def run(self) -> None:
        """Open loop: the schedule never waits for an answer."""
        print(json.dumps({"begun": self.begun_unix}), flush=True)
        async with asyncio.TaskGroup() as requests:
            for due in schedule(self.plan):
                await self.moment(due)
                if due.offset > self.end:
                    break
                requests.create_task(self.send(due))

    async def moment(self, due: Due) -> None:
        """Return when the request is due. Even an overdue one lets answers in first."""
        await asyncio.sleep(0)
        # uvloop's timers count in milliseconds and may end early: then once more.
        while (ahead := self.begun + due.offset - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)

    async def send(self, due: Due) -> None:
        stream = self.plan["streams"][due.stream]
        intended = self.begun + due.offset
        lag = time.perf_counter() - intended
        status, error = await self.answer(stream, due)
        latency = time.perf_counter() - intended
        self.rows.append(
            [stream["name"], self.begun_unix + due.offset, lag, latency, status, error]
        )

    async def answer(self, stream: Plan, due: Due) -> tuple[int, str]:
        """Status (0 when there is none) and error text of one request."""
        key = f"{self.plan['key']}-{due.stream}-{due.number}"
        status = 0
        try:
            async with self.session.request(
                stream["method"],
                stream["url"],
                json=fill(stream["body"], key, due.number),
                headers=fill(stream["headers"], key, due.number),
                timeout=aiohttp.ClientTimeout(total=stream["timeout"]),
                allow_redirects=False,
            ) as response:
                status = response.status
                body = await response.read()
        except TimeoutError:
            return status, f"timed out after {stream['timeout']:g} s"
        except (aiohttp.ClientError, OSError) as problem:
            return status, f"{type(problem).__name__}: {problem}"
        if status < 400:
            return status, ""
        return status, body[:ERROR_CHARACTERS].decode(errors="replace")


async def warm_up(session: aiohttp.ClientSession) -> None:
    """Walk once through the client's code: its first request would else start some ms late.

    The address is bound and not listened on, so the request is refused and nobody counts it.
    """
    with socket.socket() as deaf, suppress(aiohttp.ClientError, OSError):
        deaf.bind(("127.0.0.1", 0))
        await session.get(f"http://127.0.0.1:{deaf.getsockname()[1]}/")


async def generate(plan: Plan) -> list[list[Any]]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        await warm_up(session)
        sender = Sender(plan, session)
        threading.Thread(target=obey, args=(sender,), daemon=True).start()
        # Collections in the middle of a run show up as lag.
        gc.collect()
        gc.freeze()
        gc.disable()
        await sender.run()
        return sender.rows


def obey(sender: Sender) -> None:
    """Each line of standard input is a new end of the schedule (s); its own end is the parent's.

    Read without sys.stdin: its lock, held by this thread, would abort the interpreter's shutdown.
    """
    with suppress(OSError):
        while line := os.read(0, 100):
            sender.end = float(line.splitlines()[-1])
    os._exit(1)


def allow_many_sockets() -> None:
    """A stalled server at 1,000/s holds thousands of sockets; a shell often allows 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(main: Coroutine[Any, Any, list[list[Any]]]) -> list[list[Any]]:
    """On uvloop where it is installed: it lags less under load."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def main() -> None:
    plan = json.loads(sys.stdin.buffer.readline())
    allow_many_sockets()
    for row in run(generate(plan)):
        print(json.dumps(row))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
