"""Logs: one JSON object per line on standard output, each with the correlation id."""

import json
import logging
import sys
from typing import Any

from pydantic_core import to_json
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
            json_serializer=serialized,
        )
    )
    # What no line shows need not be collected for each of them (Logging HOWTO, Optimization).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # httpx logs every request at INFO; the service that answers logs it already.
    for chatty in ("httpx", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def add_correlation_id(record: logging.LogRecord) -> bool:
    """Put the id of the current request on a log record."""
    if correlation_id := correlation.current.get():
        record.correlationId = correlation_id
    return True


def serialized(line: dict[str, Any], **_: object) -> str:
    """Return a log line as JSON, also when it holds half a character, or a value that is not JSON."""
    try:
        return to_json(line, serialize_unknown=True).decode()
    except ValueError:
        return json.dumps(line, default=str)
