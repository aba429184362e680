"""W3C trace context: which requests and events belong together, for any tracing tool.

`traceparent` is `00-<trace id>-<span id>-<flags>`: the trace id stays, each step has a span id.
"""

import re

from microservices.kit.ids import new_hex

HEADER = "traceparent"
ACCEPTED = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


def next_step(traceparent: str | None) -> str:
    """Return the `traceparent` of a step that follows; without a valid one a new trace begins."""
    match = ACCEPTED.fullmatch(traceparent or "")
    trace_id, flags = match.groups() if match else (new_hex(16), "01")
    return f"00-{trace_id}-{new_hex(8)}-{flags}"
