"""Probes: whether the process is alive (`/health`), and whether it takes requests (`/ready`)."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from fastapi import APIRouter, FastAPI, Request, Response

from microservices.kit.drain import Drain
from microservices.kit.http.metrics import get_metrics
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import WireModel, encode

NEED_SECONDS = 2.0
"""A part that has not answered by then is not usable. The parts' own limits are shorter."""

NUMBERS = re.compile(r"[\d.]+")

log = logging.getLogger(__name__)

Need = Callable[[], Awaitable[str | None]]
"""Checks something that belongs to the service; returns why it does not answer, `None` when it does."""

router = APIRouter(tags=["probes"])
router.add_route("/metrics", get_metrics, methods=["GET"], include_in_schema=False)


class Health(WireModel):
    """The identity of the process that answers."""

    status: Literal["ok"]
    service: str
    version: str
    instance: str


class Ready(WireModel):
    """This replica takes requests."""

    status: Literal["ready"]


@router.get("/health", response_model=Health)
async def get_health(request: Request) -> Response:
    """Answer that the process is alive, with its identity. No other part is checked."""
    return json_response(request.app.state.health)


@router.get("/ready", response_model=Ready, responses=documented(503))
async def get_ready(request: Request) -> Response:
    """Answer whether this replica takes requests: it is not draining, and all of its own parts answer.

    Never calls another service: one that is down would take all its callers out of rotation.
    """
    reason = await unready(request.app.state.drain, request.app.state.needs)
    log_change(request.app, reason)
    if reason:
        raise Problem(503, reason, headers={"Retry-After": "1"})
    return json_response(encode({"status": "ready"}))


def log_change(app: FastAPI, reason: str | None) -> None:
    """Log why this replica is not ready, or that it is, when that is not what the last probe found.

    A reason whose numbers alone have changed, such as seconds, is the same reason.
    """
    kind = NUMBERS.sub("", reason) if reason else None
    if kind == getattr(app.state, "unready", None):
        return
    app.state.unready = kind
    if reason:
        log.warning("not ready: %s", reason)
    else:
        log.info("ready again")


async def unready(drain: Drain, needs: Sequence[Need]) -> str | None:
    """Return why this replica takes no requests, `None` when it does.

    It takes none while it drains (`drain.draining`), and none when one of its parts returns a reason (`await need()`),
    raises, or does not answer within `NEED_SECONDS`. The reason is that of the first such part.
    """
    if drain.draining:
        return "draining: this replica is about to stop"
    for need in needs:
        try:
            reason = await asyncio.wait_for(need(), NEED_SECONDS)
        except TimeoutError:
            return f"a part of this service did not answer within {NEED_SECONDS:g} s"
        except Exception as error:
            log.exception("a part of this service cannot be checked")
            return f"a part of this service cannot be checked: {type(error).__name__}"
        if reason:
            return reason
    return None
