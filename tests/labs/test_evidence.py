"""The smallest evidence: the sample that an experiment chooses, and the lines of all services about it."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from environment import Environment
from environment.errors import LabError
from labs import evidence
from labs.evidence import (
    MOST_CHARACTERS,
    MOST_LINES,
    Counterexample,
    Evidence,
    counterexample_of,
    find_evidence,
    read_trail,
)
from labs.experiment import find
from labs.experiments.phase1 import circuit_breaker, retry_storm
from labs.experiments.phase1.retry_storm import TWO
from labs.verdicts import Outcome
from tests.labs.events import BEGAN, SOLD_OUT, chain, frame
from tests.labs.experiments.phase1.gateway_frames import (
    circuit_breaker_prediction,
    circuit_breaker_samples,
    retry_storm_prediction,
    retry_storm_samples,
)
from tests.labs.test_records import SAMPLES

CHOOSING = [name for name in SAMPLES if hasattr(find(name), "evidence")]


def line(instance: str, at: float, message: str = "request", **fields: Any) -> str:
    """A line of a log, `at` seconds after the beginning."""
    when = pd.Timestamp(BEGAN + at, unit="s", tz="UTC").isoformat()
    service = instance.rpartition("-")[0]
    facts = {"level": "INFO", "logger": "x", "message": message, "service": service, "version": "1"}
    return json.dumps(facts | {"instance": instance, "time": when} | fields)


def system(logs: Mapping[str, list[str]]) -> Environment:
    """An environment of services with these logs."""

    class Services(SimpleNamespace):
        def __getitem__(self, name: str) -> Any:
            return SimpleNamespace(logs=lambda lines: "\n".join(logs[name][-lines:]))

    return cast("Environment", Services(services=list(logs), running=True))


LOGS = {
    "api-gateway": [
        line("api-gateway-1", 0, "started"),
        line("api-gateway-1", 1, path="/api/pay", status=200, correlationId="other"),
        line("api-gateway-2", 2.01, path="/api/pay", status=404, seconds=0.1, correlationId="c-1"),
        line("api-gateway-2", 2.0, "circuit breaker is open", correlationId="c-1"),
    ],
    "payment-service": [
        line("payment-service-1", 1.99, path="/pay", status=404, correlationId="c-1"),
        line(
            "payment-service-1",
            1.98,
            "attempt failed",
            orderId="c-1",
            exc_info="Traceback (most recent call last):\n  File x\nValueError: no such order",
        ),
    ],
    "user-service": [line("user-service-1", 0, "started")],
    "valkey": ["1:M ready to accept connections", "{", "[1]", '{"message": "odd"}'],
}


def test_lines_of_all_services_stand_in_the_order_of_their_times() -> None:
    trail, silent = read_trail(system(LOGS), "c-1")
    assert trail[["replica", "line"]].to_numpy().tolist() == [
        ["payment-service-1", "attempt failed orderId=c-1 ValueError: no such order"],
        ["payment-service-1", "request path=/pay status=404"],
        ["api-gateway-2", "circuit breaker is open"],
        ["api-gateway-2", "request path=/api/pay status=404"],
    ]
    assert trail["time"].is_monotonic_increasing
    assert silent == ("user-service",), "what has no log of its own is not silent"


def test_an_id_that_is_part_of_another_one_is_not_mixed_up() -> None:
    trail, _ = read_trail(system({"a": [line("a-1", 0, correlationId="c-10")]}), "c-1")
    assert trail.empty


def test_the_trail_of_an_order_has_its_events_and_the_lines_of_its_correlation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = {**chain(SOLD_OUT)[0], "order": "o-2", "correlation": "c-2"}
    monkeypatch.setattr(evidence, "read_published", lambda env: frame([*chain(SOLD_OUT), other]))
    logs = {
        "order-service": [
            line("order-service-1", 0.001, path="/orders", status=202, correlationId="c-1"),
            line("order-service-1", 0.002, path="/orders", status=202, correlationId="c-2"),
        ],
        "inventory-service": [line("inventory-service-1", 0, "started")],
        "analytics-service": [line("analytics-service-1", 0, "started")],
        "kafka": [],
    }
    trail, silent = read_trail(system(logs), "o-1")
    assert trail[["replica", "line"]].to_numpy().tolist() == [
        ["order-service", "published OrderCreated at order-created/0@0"],
        ["order-service-1", "request path=/orders status=202"],
        ["payment-service", "published PaymentCompleted at payment-completed/0@0"],
        ["inventory-service", "published InventoryFailed at inventory-failed/0@0"],
        ["order-service", "published OrderCancelled at order-cancelled/0@0"],
    ]
    assert silent == ("analytics-service",), "inventory-service published an event"


def test_the_logs_are_read_when_the_broker_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(env: Environment) -> pd.DataFrame:
        raise LabError("Kafka does not answer.")

    monkeypatch.setattr(evidence, "read_published", away)
    logs = {"a": [line("a-1", 0, orderId="o-1")], "kafka": []}
    assert read_trail(system(logs), "o-1")[0]["line"].tolist() == ["request orderId=o-1"]


def shown(*rows: tuple[float, str, str], silent: tuple[str, ...] = ()) -> Evidence:
    trail = pd.DataFrame(rows, columns=evidence.COLUMNS)
    return Evidence(Counterexample("c-1", "a payment that was refused"), trail, silent)


def test_evidence_displays_itself_as_a_small_table() -> None:
    found = shown((BEGAN, "a-1", "began"), (BEGAN + 0.25, "b-1", "ended"), silent=("c", "d"))
    assert str(found).splitlines() == [
        "The smallest evidence: a payment that was refused (c-1).",
        "ms     replica  log line or event",
        "0.0    a-1      began",
        "250.0  b-1      ended",
        "No line about it is in the log of c, d: a service logs requests that may change something, "
        "and failures.",
    ]


def test_a_long_trail_keeps_its_ends() -> None:
    rows = [(BEGAN + number, "a-1", f"line {number}") for number in range(100)]
    text = str(shown(*rows))
    assert len(text.splitlines()) == MOST_LINES + 3
    assert "line 14\n" in text
    assert "line 15\n" not in text
    assert text.endswith("line 99")
    assert "... 70 more lines ..." in text


def test_what_a_service_logs_is_escaped_and_shortened() -> None:
    odd = shown((BEGAN, "a-1", "<b>\x1b[31m\n" + "x" * 1000))
    assert "<b>" not in odd._repr_html_()
    assert "&lt;b&gt;" in odd._repr_html_()
    assert "\x1b" not in str(odd)
    assert max(map(len, str(odd).splitlines())) < MOST_CHARACTERS + 30


def test_evidence_without_a_line_is_displayed() -> None:
    assert "a payment that was refused" in shown()._repr_html_()
    assert len(str(shown()).splitlines()) == 2


def test_an_experiment_without_evidence_has_none() -> None:
    samples, prediction = SAMPLES["versions"]
    assert counterexample_of(find("versions"), samples, prediction) is None


@pytest.mark.parametrize("name", CHOOSING)
def test_samples_that_pass_hold_no_counterexample(name: str) -> None:
    samples, prediction = SAMPLES[name]
    assert find(name).judge(samples, prediction).outcome is Outcome.PASS
    assert counterexample_of(find(name), samples, prediction) is None
    assert find_evidence(system({}), find(name), samples, prediction) is None


@pytest.mark.parametrize(
    ("name", "row", "change", "text"),
    [
        ("duplicates", -1, {"charges": 2}, "delivered 4 times and that was charged again"),
        (
            "duplicates",
            -1,
            {"payments": 2},
            "delivered 4 times and whose payment was published again",
        ),
        ("duplicates", 3, {"charges": 1}, "delivered 2 times and that lacks a charge"),
        ("dual_write", -2, {"published": 0, "status": "pending"}, "was never published"),
        ("dual_write", 5, {"status": "missing"}, "does not list"),
        ("retry_and_dead_letters", 2, {"letters": 0}, "not among the dead letters"),
        ("retry_and_dead_letters", 1, {"ended": None}, "a good message that was not processed"),
        ("broker_dies", 7, {"published": 0}, "whose event is missing"),
        ("broker_dies", 7, {"status": "pending"}, "never completed"),
        ("crash_anywhere", 1, {"wrong": True}, "keeps money"),
        ("crash_anywhere", 1, {"allowed": False}, "the model excludes"),
        ("crash_anywhere", 1, {"outcome": "?"}, "neither as the coin says"),
        ("money", 8, {"charges": 2}, "charged more than once"),
        ("money", 8, {"refunded": 9999}, "more was refunded than charged"),
        ("money", 8, {"charged": 5}, "keeps money"),
        ("compensation_first", 8, {"effects": 1}, "acted after its cancel"),
        ("compensation_first", 8, {"refunded": 1, "charged": 2}, "keeps its charge"),
        ("deadline", 4, {"ended": BEGAN + 1}, "before its deadline"),
        ("deadline", 4, {"ended": None}, "not cancelled at its deadline"),
        ("deadline", 4, {"status": "completed"}, "otherwise than predicted"),
        ("refunds", 5, {"charges": 2}, "charged more than once"),
        ("refunds", 5, {"refunds": 2}, "refunded more than once"),
        ("refunds", 5, {"refused": 90}, "asked too often"),
        ("refunds", 5, {"refunds": 0}, "never refunded"),
        ("outcomes", 5, {"outcome": "missing"}, "not there"),
        ("story", 5, {"roots": 2}, "several events without a cause"),
        ("story", 5, {"orphans": 1}, "follows from none"),
        ("story", 5, {"correlations": 2}, "several correlation ids"),
        ("story", 5, {"own": False}, "lack the client's correlation id"),
        ("story", 5, {"hops": 9}, "other events than predicted"),
    ],
)
def test_the_order_that_contradicts_the_prediction_is_chosen(
    name: str, row: int, change: dict[str, Any], text: str
) -> None:
    samples, prediction = (each.copy() for each in SAMPLES[name])
    for column, value in change.items():
        samples[column] = samples[column].astype(object)
        samples.iloc[row, samples.columns.get_loc(column)] = value
        samples[column] = samples[column].infer_objects()
    found = counterexample_of(find(name), samples, prediction)
    assert find(name).judge(samples, prediction).outcome is not Outcome.PASS
    assert found
    assert (found.name, text in found.text) == (samples["order"].iloc[row], True), found


@pytest.mark.parametrize(
    ("samples", "name", "text"),
    [
        ({"refused": 3}, "refusals-2", "refused with 404"),
        ({"opens_after": 5}, "failures-3", "should have met an open breaker"),
        ({"opens_after": 2}, "failures-1", "opened the breaker too early"),
        ({"leaks": 1}, "failures-5", "an open breaker let through"),
        ({"probes": 3}, "waiting-48", "beside the probe"),
        ({"probes": 0}, "waiting-0", "the first payment of the part 'waiting'"),
    ],
)
def test_the_payment_that_contradicts_the_breaker_is_chosen(
    samples: dict[str, int], name: str, text: str
) -> None:
    frame, prediction = circuit_breaker_samples(**samples), circuit_breaker_prediction()
    found = counterexample_of(circuit_breaker, frame, prediction)
    assert found
    assert (found.name, text in found.text) == (name, True), found
    older = frame.drop(columns="correlation")
    assert counterexample_of(circuit_breaker, older, prediction) is None


def test_the_click_that_became_too_many_calls_is_chosen() -> None:
    frame, prediction = retry_storm_samples(), retry_storm_prediction()
    wrong = frame.index[(frame["way"] == TWO) & (frame["tries"] == 2)][3]
    frame.loc[wrong, "calls"] += 5
    found = counterexample_of(retry_storm, frame, prediction)
    assert found
    assert found.name == f"{TWO}, 2 tries, click 4"
    assert counterexample_of(retry_storm, frame.drop(columns="correlation"), prediction) is None


def test_the_evidence_of_a_failure_is_read_from_the_logs() -> None:
    samples, prediction = circuit_breaker_samples(refused=3), circuit_breaker_prediction()
    logs = {"api-gateway": [line("api-gateway-1", 0, status=404, correlationId="refusals-2")]}
    found = find_evidence(system(logs), circuit_breaker, samples, prediction)
    assert found
    assert found.trail["line"].tolist() == ["request status=404"]
