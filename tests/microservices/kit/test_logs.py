import json
import subprocess
import sys

LINES = """
import logging
from microservices.kit import correlation, logs
logs.configure(service="a-service", version="2", instance="a-service-1")
correlation.current.set("id-1")
log = logging.getLogger("room")
log.info("hello", extra={"seconds": 0.5})
log.info("half a character: \\ud800", extra={"what": object})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broken")
"""


def test_every_line_is_json_whatever_is_in_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LINES], capture_output=True, text=True, check=True, timeout=30
    )
    hello, half, broken = [json.loads(line) for line in ran.stdout.splitlines()]
    assert hello == {
        "level": "INFO",
        "logger": "room",
        "message": "hello",
        "service": "a-service",
        "version": "2",
        "instance": "a-service-1",
        "correlationId": "id-1",
        "seconds": 0.5,
        "time": hello["time"],
    }
    assert half["message"] == "half a character: \ud800"
    assert "ZeroDivisionError" in broken["exc_info"]
    assert ran.stderr == ""
