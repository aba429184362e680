"""The call to payment-service, and what its answer means for an order."""

import asyncio
from contextlib import suppress

import httpx

from microservices.kit.backoff import backoff
from microservices.kit.http.problem import Problem

PAY_SECONDS = 7.0
"""Longest wait for a payment: less than a drain lasts, and less than an idempotency claim."""


async def pay(
    client: httpx.AsyncClient, *, order_id: str, amount: float, tries: int = 1
) -> str | None:
    """Request the payment of an order; return `None` when it is paid, else why payment-service refused.

    A retry is safe, since payment-service charges an order id once. `tries` counts the first
    one, and PAY_SECONDS bounds all of them together.

    Raises:
        Problem: 503, the outcome is unknown: no connection, no answer in time, or a 5xx.
    """
    body = {"orderId": order_id, "amount": amount}
    try:
        async with asyncio.timeout(PAY_SECONDS):
            for number in range(1, tries):
                with suppress(httpx.HTTPError, Problem):
                    return verdict(await client.post("/pay", json=body))
                await asyncio.sleep(backoff(number))
            return verdict(await client.post("/pay", json=body))
    except (httpx.HTTPError, TimeoutError) as error:
        raise unavailable(type(error).__name__) from error


def verdict(response: httpx.Response) -> str | None:
    """Return `None` when an answer means paid, else why it was refused.

    Raises:
        Problem: 503, the answer is neither.
    """
    if response.is_success:
        return None
    if response.is_client_error:
        return f"payment-service refused with {response.status_code}"
    raise unavailable(f"status {response.status_code}")


def unavailable(what: str) -> Problem:
    """Return the problem of an order that could not be paid."""
    detail = f"payment-service does not answer ({what}); no order was made; try again"
    return Problem(503, detail, headers={"Retry-After": "1"})
