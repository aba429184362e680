"""Counts come from the service's own text."""

import httpx

from labs.experiments.phase1.metrics import answered, read_metrics

TEXT = """# TYPE http_requests_total counter
http_requests_total{method="GET",route="/ready",status="200"} 7.0
http_requests_total{method="POST",route="/pay",status="200"} 3.0
http_requests_total{method="POST",route="none",status="503"} 2.0
# TYPE http_requests_created gauge
http_requests_created{method="POST",route="/pay",status="200"} 1.7e+09
# TYPE circuit_breaker_state gauge
circuit_breaker_state{state="open",upstream="payment-service"} 1.0
"""


def client() -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text=TEXT)))


def test_every_route_and_status_of_one_method_counts() -> None:
    assert answered(client(), "http://payment") == 5
    assert answered(client(), "http://payment", method="GET") == 7
    assert answered(client(), "http://payment", method="PUT") == 0


def test_samples_carry_their_labels() -> None:
    (state,) = (
        sample
        for sample in read_metrics(client(), "http://gateway")
        if sample.name == "circuit_breaker_state"
    )
    assert (state.labels["state"], state.value) == ("open", 1)
