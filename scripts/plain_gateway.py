"""The plain gateway: what one writes first with FastAPI and httpx, with the features of ours.

`scripts/bench_gateway.py` measures ours against it. One shared client, parsed and encoded bodies, a middleware for
correlation ids and metrics; nothing here is slow on purpose.
"""

import asyncio
import hmac
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import interlock
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter, Histogram, make_asgi_app

UPSTREAM = os.environ["UPSTREAM"]
COUNT = itertools.count(1)
REQUESTS = Counter("http_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("http_request_duration_seconds", "Time to answer", ["method", "route"])
LIMITER = MovingWindowRateLimiter(MemoryStorage())
LIMIT = RateLimitItemPerSecond(5, 10)
BREAKER = interlock.CircuitBreaker(
    name="payment-service",
    config=interlock.Config(
        window_size=3,
        minimum_number_of_calls=3,
        failure_rate_threshold=1.0,
        wait_duration_in_open=5,
        permitted_calls_in_half_open=1,
    ),
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client of the upstream, and close it at the end."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30)
    timeout = httpx.Timeout(30, connect=0.3)
    async with httpx.AsyncClient(
        base_url=UPSTREAM, limits=limits, timeout=timeout, trust_env=False
    ) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/metrics", make_asgi_app())


@app.middleware("http")
async def observe(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Count and time a request, and return its correlation id."""
    request.state.correlation_id = request.headers.get("x-correlation-id") or str(uuid4())
    began = time.perf_counter()
    response = await call_next(request)
    route = getattr(request.scope.get("route"), "path", "none")
    REQUESTS.labels(request.method, route, response.status_code).inc()
    SECONDS.labels(request.method, route).observe(time.perf_counter() - began)
    response.headers["x-correlation-id"] = request.state.correlation_id
    return response


async def ask(request: Request, method: str, path: str, body: Any = None) -> httpx.Response:
    """Send a request to the upstream; return the response."""
    client: httpx.AsyncClient = request.app.state.client
    headers = {"x-correlation-id": request.state.correlation_id}
    try:
        return await client.request(method, path, json=body, headers=headers)
    except httpx.TimeoutException as error:
        raise HTTPException(504, "no answer in time") from error
    except httpx.HTTPError as error:
        raise HTTPException(502, "no answer") from error


def passed_on(answer: httpx.Response) -> JSONResponse:
    """Return a response of the upstream as our own."""
    return JSONResponse(answer.json(), answer.status_code)


@app.get("/api/users")
async def users(request: Request) -> Response:
    """Pass a request for all users on."""
    return passed_on(await ask(request, "GET", "/users"))


@app.get("/api/orders")
async def orders(request: Request) -> Response:
    """Pass a request for all orders on."""
    return passed_on(await ask(request, "GET", "/orders"))


@app.post("/api/orders")
async def post_order(request: Request) -> Response:
    """Pass a new order on."""
    return passed_on(await ask(request, "POST", "/orders", await request.json()))


@app.get("/api/orders/{id}")
async def order(request: Request, id: str) -> Response:
    """Pass a request for one order on."""
    return passed_on(await ask(request, "GET", f"/orders/{id}"))


@app.post("/api/pay")
async def pay(request: Request) -> Response:
    """Pass a payment on, through the circuit breaker."""
    try:
        body = await request.json()
        return passed_on(await BREAKER.call(ask, request, "POST", "/pay", body))
    except interlock.CircuitOpenError as error:
        raise HTTPException(503, "open", {"Retry-After": "5"}) from error


@app.get("/api/dashboard")
async def dashboard(request: Request) -> dict[str, Any]:
    """Return users and orders together."""
    names = ("users", "orders")
    responses = await asyncio.gather(
        *(ask(request, "GET", f"/{name}") for name in names), return_exceptions=True
    )
    lists = [None if isinstance(one, BaseException) else one.json() for one in responses]
    missing = [name for name, one in zip(names, lists, strict=True) if one is None]
    return {
        **dict(zip(names, lists, strict=True)),
        "partial": bool(missing),
        "unavailable": missing,
    }


@app.get("/api/secure")
async def secure(authorization: str = Header("")) -> dict[str, str]:
    """Admit requests with the right token."""
    if not hmac.compare_digest(authorization.encode(), b"Bearer demo-token"):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return {"message": "the token is right"}


@app.get("/api/limited")
async def limited(request: Request) -> dict[str, str]:
    """Admit five requests per ten seconds for each client."""
    assert request.client
    if not await LIMITER.hit(LIMIT, request.client.host):
        raise HTTPException(429, headers={"Retry-After": "10"})
    return {"message": "admitted"}


@app.get("/api/count")
async def count() -> dict[str, int]:
    """Count this call."""
    return {"count": next(COUNT), "processId": os.getpid()}


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
