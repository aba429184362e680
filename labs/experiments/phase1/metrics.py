"""What a service says of itself at `/metrics`, in Prometheus' text format."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def read_metrics(client: httpx.Client, url: str) -> list[Sample]:
    """Every sample of the service at `url` (name, labels, value)."""
    text = client.get(f"{url}/metrics").raise_for_status().text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def answered(client: httpx.Client, url: str, *, method: str = "POST") -> int:
    """How many requests of that method the service has answered, injected faults included.

    The count is the service's own, since its start: what a caller in front of it (a gateway, a
    breaker, a retry) made of them does not come into it.
    """
    return int(
        sum(
            sample.value
            for sample in read_metrics(client, url)
            if sample.name == "http_requests_total" and sample.labels["method"] == method
        )
    )
