"""Calls: a number of requests, some at a time, and the response of each. For counting.

`labs.load.open_loop` keeps a rate and `labs.load.burst` an order; here each of the callers sends its next request when
it has received a response.

    ask(f"{env['api-gateway'].url}/api/count", requests=30)                   one after the other
    ask(f"{env['api-gateway'].url}/api/limited", requests=60, together=60)    all at once
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pandas as pd


def ask(url: str, *, requests: int, together: int = 1, timeout: float = 60) -> pd.DataFrame:
    """GET `url` on new connections, and return one row per request.

    Columns: `number` (from 1, in the order of sending), `sent` and `ended` (unix seconds), `status` (0 when there was
    no response within `timeout`), and the fields of the JSON objects in the responses.

    Args:
        url: What to get.
        requests: How many requests to send.
        together: How many of them at a time.
        timeout: The limit of one request, in seconds.
    """
    # In a thread of its own: a notebook's thread has an event loop already.
    with ThreadPoolExecutor(1) as thread:
        rows = thread.submit(asyncio.run, _ask_all(url, requests, together, timeout)).result()
    return pd.DataFrame(rows).sort_values("number", ignore_index=True)


def ask_in_turn(schedules: Mapping[str, Sequence[float]], *, timeout: float = 60) -> pd.DataFrame:
    """GET each URL on its schedule by one caller, which sends nothing before it has the last response.

    This is a closed loop: a request that is due while another one is under way is sent late, and the caller's own
    clock does not show that. All URLs are called at the same time.

    Args:
        schedules: For each URL, the seconds from now at which its requests are due, in order.
        timeout: The limit of one request, in seconds.

    Returns:
        One row per request: `url`, `due`, `sent` and `ended` (unix seconds), `status`, and the fields of the responses.
    """
    with ThreadPoolExecutor(1) as thread:
        return pd.DataFrame(thread.submit(asyncio.run, _ask_in_turn(schedules, timeout)).result())


async def _ask_in_turn(
    schedules: Mapping[str, Sequence[float]], timeout: float
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    began = time.time()

    async def call(url: str, moments: Sequence[float]) -> None:
        for moment in moments:
            due = began + moment
            await asyncio.sleep(max(0.0, due - time.time()))
            sent = time.time()
            response = await _ask(session, url)
            times = {"due": due, "sent": sent, "ended": time.time()}
            rows.append({"url": url, **response, **times})

    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(timeout=limits) as session:
        await asyncio.gather(*(call(url, moments) for url, moments in schedules.items()))
    return rows


async def _ask_all(url: str, requests: int, together: int, timeout: float) -> list[dict[str, Any]]:
    numbers = iter(range(1, requests + 1))
    rows: list[dict[str, Any]] = []

    async def one_after_the_other() -> None:
        for number in numbers:
            sent = time.time()
            response = await _ask(session, url)
            rows.append({"number": number, "sent": sent, "ended": time.time(), **response})

    limits = aiohttp.ClientTimeout(total=timeout)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        await asyncio.gather(*(one_after_the_other() for _ in range(together)))
    return rows


async def _ask(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(url) as response:
            fields = await response.json() if response.content_type == "application/json" else {}
            return {**fields, "status": response.status}
    except (aiohttp.ClientError, OSError, TimeoutError):
        return {"status": 0}
