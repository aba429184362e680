"""Logs: one JSON object per line on standard output, each with the correlation id."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from microservices.kit import correlation


def configure(*, service: str, version: str, instance: str) -> None:
    """Send every log line of this process, uvicorn's too, to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(add_correlation_id)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": service, "version": version, "instance": instance},
            timestamp="time",
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # httpx says every request at INFO; the service that answers says it already.
    for chatty in ("httpx", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def add_correlation_id(record: logging.LogRecord) -> bool:
    """Put the id of the request being handled on a log record."""
    if found := correlation.current.get():
        record.correlationId = found
    return True
