"""The child process of `labs.load.open_loop`: sends requests on a schedule, and exits with its parent.

Run as `python -m labs.load.worker`. It reads one JSON plan (a line) from standard input, prints one line when its
schedule begins, then one JSON line per request after all have ended. Standard input stays open for as long as the
parent lives: at its end the worker exits.
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
    """One request of the schedule: when it is due (s after the beginning), and its stream."""

    offset: float
    stream: int
    number: int


def arrivals(stream: Plan, seconds: float, seed: int, phase: float = 0.0) -> Iterator[float]:
    """Yield the offsets (s) of one stream's requests: evenly spaced, or a Poisson process of that rate.

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
    """Return every request of the plan, in the order in which they are due."""
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
    """Return for how many of the schedule's `seconds` the stream sends."""
    end = seconds if stream["ends"] is None else min(seconds, stream["ends"])
    return max(0.0, float(end - stream["begins"]))


def fill(template: Any, key: str, number: int) -> Any:
    """Return the template with `{key}` and `{number}` replaced in each of its strings, at any depth."""
    if isinstance(template, str):
        return template.replace("{key}", key).replace("{number}", str(number))
    if isinstance(template, dict):
        return {name: fill(value, key, number) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, key, number) for value in template]
    return template


class Sender:
    """Sends each request when it is due, and collects a row about each."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self.plan = plan
        self.session = session
        self.rows: list[list[Any]] = []
        self.end = math.inf
        self.begun = time.perf_counter() + SECONDS_TO_BEGIN
        self.begun_unix = time.time() + SECONDS_TO_BEGIN

    async def run(self) -> None:
        """Send all requests of the plan; the schedule never waits for a response."""
        print(json.dumps({"begun": self.begun_unix}), flush=True)
        async with asyncio.TaskGroup() as requests:
            for due in schedule(self.plan):
                await self.until(due)
                if due.offset > self.end:
                    break
                requests.create_task(self.send(due))

    async def until(self, due: Due) -> None:
        """Return when the request is due. Even an overdue one lets responses be received first."""
        await asyncio.sleep(0)
        # A timer of uvloop counts in milliseconds and may end early; then wait again.
        while (ahead := self.begun + due.offset - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)

    async def send(self, due: Due) -> None:
        """Send one request, and add its row."""
        stream = self.plan["streams"][due.stream]
        intended = self.begun + due.offset
        lag = time.perf_counter() - intended
        status, error = await self.request(stream, due)
        latency = time.perf_counter() - intended
        self.rows.append(
            [stream["name"], self.begun_unix + due.offset, lag, latency, status, error]
        )

    async def request(self, stream: Plan, due: Due) -> tuple[int, str]:
        """Return the status (0 without a response) and the error text of one request."""
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
    """Run the client's code once: its first request would otherwise start some ms late.

    The address is bound and does not listen, so that the request is refused and no service counts it.
    """
    with socket.socket() as bound, suppress(aiohttp.ClientError, OSError):
        bound.bind(("127.0.0.1", 0))
        await session.get(f"http://127.0.0.1:{bound.getsockname()[1]}/")


async def generate(plan: Plan) -> list[list[Any]]:
    """Send the requests of a plan, and return their rows."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        await warm_up(session)
        sender = Sender(plan, session)
        threading.Thread(target=read_ends, args=(sender,), daemon=True).start()
        # A garbage collection during the run would appear as lag.
        gc.collect()
        gc.freeze()
        gc.disable()
        await sender.run()
        return sender.rows


def read_ends(sender: Sender) -> None:
    """Take each line of standard input as a new end of the schedule (s), and exit at the end of input.

    Read without sys.stdin: its lock, held by this thread, would abort the interpreter's shutdown.
    """
    with suppress(OSError):
        while line := os.read(0, 100):
            sender.end = float(line.splitlines()[-1])
    os._exit(1)


def allow_many_sockets() -> None:
    """Raise the limit of open sockets: a stalled server at 1,000/s holds thousands, a shell often allows 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, 10_240):  # macOS refuses more, also where its hard limit is infinite
        with suppress(ValueError, OSError):
            return resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def run(main: Coroutine[Any, Any, list[list[Any]]]) -> list[list[Any]]:
    """Run the coroutine on uvloop where it is installed: it lags less under load."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def main() -> None:
    """Run the plan on standard input, and print the rows."""
    plan = json.loads(sys.stdin.buffer.readline())
    allow_many_sockets()
    for row in run(generate(plan)):
        print(json.dumps(row))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
