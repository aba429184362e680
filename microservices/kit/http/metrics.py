"""Metrics of requests: their number, status and duration. `GET /metrics` shows them."""

import logging
import time
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microservices.kit.drain import Drain

log = logging.getLogger("microservices.requests")

CLIENT_CLOSED = 499
"""Counted for a client that closed its connection before it was answered, as nginx does."""


class Metrics:
    """The metrics of one service, in a registry of its own, so that two apps never mix."""

    def __init__(self, drain: Drain) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "Time from request to answer",
            ["method", "route"],
            registry=self.registry,
        )
        in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered now", registry=self.registry
        )
        in_flight.set_function(lambda: len(drain.in_flight))
        self.answered = 0
        self.refresh: list[Callable[[], Awaitable[None]]] = []
        """Called before the metrics are shown: gauges that are read from a database."""


async def get_metrics(request: Request) -> Response:
    """Answer with the Prometheus text format."""
    metrics: Metrics = request.app.state.metrics
    for refresh in metrics.refresh:
        await refresh()
    return Response(
        generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST}
    )


class MeasureRequests:
    """Counts and times every request, and logs those that change something or fail."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = CLIENT_CLOSED
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self.record(scope, status, time.perf_counter() - began)

    def record(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request. The label is the route's template: one metric per order id would be too many."""
        self.metrics.answered += 1
        method, route = method_label(scope), route_label(scope)
        self.metrics.requests.labels(method, route, status).inc()
        self.metrics.seconds.labels(method, route).observe(seconds)
        if scope["path"] == "/ready" and status == 503:
            return  # probes ask many times a second; probes.py logs the reason, once
        if method not in ("GET", "HEAD") or status >= 500:
            fields = {"method": method, "path": scope["path"], "status": status}
            log.info("request", extra=fields | {"seconds": round(seconds, 4)})


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method_label(scope: Scope) -> str:
    """Return the method, or `other` for one that no standard names."""
    return scope["method"] if scope["method"] in METHODS else "other"


def route_label(scope: Scope) -> str:
    """Return the template of the route that matched, `none` when no route matched."""
    return getattr(scope.get("route"), "path", None) or "none"
