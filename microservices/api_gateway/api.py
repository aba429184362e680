"""The gateway's own routes."""

import asyncio
import os
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from microservices.api_gateway import process
from microservices.api_gateway.client_address import ClientAddress
from microservices.api_gateway.computation import Computation, Stopped, Where
from microservices.api_gateway.counter import Counter
from microservices.api_gateway.limiter import Limiter
from microservices.api_gateway.loop_delay import LoopDelay
from microservices.kit.http.bearer import check_bearer
from microservices.kit.http.metrics import Metrics
from microservices.kit.http.problem import Problem, documented, problem_response
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import WireModel, encode

router = APIRouter(prefix="/api", tags=["gateway"])

MAX_SECONDS = 60
Seconds = Annotated[float, Query(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]

BLOCKED_SECONDS = 2
"""How long `/api/blocking` blocks the event loop, unless a client names another time."""

COMPUTED_SECONDS = 3
"""CPU time that `/api/cpu-bound` uses, unless a client names another time."""


class Message(WireModel):
    """A text."""

    message: str


class Waited(WireModel):
    """Which replica waited, and for how long."""

    seconds: float
    instance: str
    process_id: int


class Computed(WireModel):
    """Which replica computed, where, and how much CPU time it used."""

    seconds: float
    cpu_seconds: float
    where: Where
    instance: str
    process_id: int


class Count(WireModel):
    """The number of calls, as counted in the counter's store."""

    count: int
    instance: str
    process_id: int


class Delay(WireModel):
    """How late the event loop was, in seconds, at a time in Unix seconds."""

    time: float
    seconds: float


class ProcessMetrics(WireModel):
    """This replica's process: `uptime` in seconds, `memory` in bytes, requests answered."""

    process_id: int
    instance: str
    uptime: float
    memory: int
    event_loop_delay: list[Delay]
    requests: int


@router.get("/secure", response_model=Message, responses=documented(401))
async def get_secure(request: Request) -> Response:
    """Answer requests with `Authorization: Bearer <AUTH_TOKEN>`, and refuse all others."""
    check_bearer(request, request.app.state.settings.auth_token, "AUTH_TOKEN of this gateway")
    return json_response(encode({"message": "the token is right"}))


@router.get("/limited", response_model=Message, responses=documented(429, 503))
async def get_limited(request: Request) -> Response:
    """Admit LIMIT_REQUESTS per LIMIT_SECONDS for each client; 503 when the store does not answer."""
    limiter: Limiter = request.app.state.limiter
    clients: ClientAddress = request.app.state.clients
    verdict = await limiter.hit(await clients.of(request))
    if verdict.admitted:
        return json_response(encode({"message": "admitted"}), headers=verdict.headers)
    detail = f"more than {verdict.limit} requests in {verdict.window_seconds} s; wait"
    return problem_response(429, detail, headers=verdict.headers)


@router.get("/blocking", response_model=Waited, responses=documented(422))
async def get_blocking(request: Request, seconds: Seconds = BLOCKED_SECONDS) -> Response:
    """Wait in a way that blocks the event loop: no other request is answered until it ends."""
    time.sleep(seconds)
    return json_response(encode({"seconds": seconds} | identity(request)))


@router.get("/non-blocking", response_model=Waited, responses=documented(422))
async def get_non_blocking(request: Request, seconds: Seconds = 0) -> Response:
    """Wait while other requests are answered; without `seconds`, answer at once."""
    await asyncio.sleep(seconds)
    return json_response(encode({"seconds": seconds} | identity(request)))


@router.get("/cpu-bound", response_model=Computed, responses=documented(422, 503))
async def get_cpu_bound(
    request: Request, seconds: Seconds = COMPUTED_SECONDS, where: Where = "loop"
) -> Response:
    """Compute for `seconds` of CPU time: on the event loop, in a thread, or in a process."""
    computation: Computation = request.app.state.computation
    try:
        used = await computation.run(seconds, where)
    except Stopped:
        raise Problem(503, "the computation was stopped half way; ask again") from None
    answer = {"seconds": seconds, "cpuSeconds": used, "where": where} | identity(request)
    return json_response(encode(answer))


@router.get("/count", response_model=Count, responses=documented(503))
async def get_count(request: Request) -> Response:
    """Count this call in COUNTER_STORE; 503 when the store does not answer."""
    counter: Counter = request.app.state.counter
    return json_response(encode({"count": await counter.next()} | identity(request)))


@router.get("/metrics", response_model=ProcessMetrics)
async def get_process_metrics(request: Request) -> Response:
    """Show this process from inside; the delay of its event loop as a series, ten per second."""
    delay: LoopDelay = request.app.state.loop_delay
    metrics: Metrics = request.app.state.metrics
    answer = identity(request) | {
        "uptime": process.uptime(),
        "memory": process.memory(),
        "eventLoopDelay": [{"time": at, "seconds": seconds} for at, seconds in delay.series],
        "requests": metrics.answered,
    }
    return json_response(encode(answer))


def identity(request: Request) -> dict[str, object]:
    """Return which process answers."""
    return {"instance": request.app.state.settings.instance, "processId": os.getpid()}
