"""The metrics of a service: its `/metrics` in Prometheus' text format."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def read_metrics(client: httpx.Client, url: str) -> list[Sample]:
    """Return every sample of the service at `url` (name, labels, value)."""
    text = client.get(f"{url}/metrics").raise_for_status().text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def answered(
    client: httpx.Client, url: str, *, method: str = "POST", status: str | None = None
) -> int:
    """Return how many requests of that method the service has answered, injected faults included.

    With a `status`, only those that were answered with it, so that probes and reads of the metrics are left out.

    The count is the service's own, since its start, and independent of what a gateway, a breaker
    or a retry in front of it made of them.
    """
    return int(
        sum(
            sample.value
            for sample in read_metrics(client, url)
            if sample.name == "http_requests_total"
            and sample.labels["method"] == method
            and status in (None, sample.labels["status"])
        )
    )
