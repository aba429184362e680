"""analytics-service 2: sums that do not depend on the order of events, and windows that late events correct."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microservices.analytics_service import state, v2, watermark
from microservices.analytics_service.settings import AnalyticsSettings
from microservices.analytics_service.watermark import Position
from microservices.kit.events.envelope import Event
from microservices.kit.events.log_ends import Ends
from microservices.kit.http.pages import PageRequest
from tests.microservices.analytics_service.shop import (
    BEGAN,
    USER,
    at,
    batch,
    cancelled,
    confirmed,
    created,
    new_view,
    now,
    paid,
    pass_watermark,
    refunded,
    windows,
)
from tests.microservices.conftest import NO_KAFKA
from tests.microservices.running import Running

KINDS = (created, paid, refunded)
ORDERS, CENTS = st.sampled_from(["a", "b", "c"]), st.integers(0, 5000)


def facts() -> st.SearchStrategy[Event]:
    amounts = st.builds(
        lambda kind, order, cents: kind(order, cents), st.sampled_from(KINDS), ORDERS, CENTS
    )
    ends = st.builds(
        lambda kind, order: kind(order), st.sampled_from((confirmed, cancelled)), ORDERS
    )
    return st.builds(at, st.integers(0, 40), st.one_of(amounts, ends))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_order_and_duplication_gives_the_sums_of_a_batch(data: Any) -> None:
    log = data.draw(st.lists(facts(), min_size=1, max_size=12))
    again = data.draw(st.lists(st.sampled_from(log), max_size=6))
    with new_view() as view:
        for event in data.draw(st.permutations([*log, *again])):
            if data.draw(st.booleans()):
                pass_watermark(view, data.draw(st.integers(0, 50)))
            v2.consume(view, event)
        wanted = batch(log, size=10)
        found = now(view, 10)
        zeros = {"orders": 0, "successful": 0, "failed": 0, "revenue_cents": 0}
        assert {start: found.get(start) for start in wanted} == wanted
        assert all(found[start] == zeros for start in found.keys() - wanted.keys())


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_window_without_late_events_is_as_first_closed(data: Any) -> None:
    mark = 0
    with new_view() as view:
        for event in data.draw(st.lists(facts(), min_size=1, max_size=12)):
            mark += data.draw(st.integers(0, 15))
            pass_watermark(view, mark)
            v2.consume(view, event)
        for size, step in ((10, 10), (20, 10), (10, 5)):
            for window in windows(view, size, step):
                assert window.late or window.first == window.now


def test_an_order_published_again_under_another_id_counts_once() -> None:
    with new_view() as view:
        for seconds in (3, 1, 2):
            for data in (created("a"), paid("a"), confirmed("a")):
                v2.consume(view, at(seconds, data))
        assert v2.view(view) == v2.View(1, 1, 0, 3998, 1)


def test_a_higher_build_begins_with_empty_tables_once() -> None:
    with new_view() as view:
        v2.create_tables(view, number=1)
        v2.consume(view, at(1, created("a")))
        v2.create_tables(view, number=1)
        assert v2.view(view).orders == 1, "a restart keeps the view"
        v2.create_tables(view, number=2)
        assert v2.view(view) == v2.View(0, 0, 0, 0, 0)
        assert watermark.find(view) is None
        v2.consume(view, at(1, created("a")))
        for number in (2, 1):  # the second replica, and one that is not replaced yet
            v2.create_tables(view, number=number)
            assert v2.view(view).orders == 1


def test_a_refund_counts_when_it_is_made_and_only_for_a_charge() -> None:
    with new_view() as view:
        for event in (at(12, refunded("a")), at(1, paid("a")), at(1, refunded("b"))):
            v2.consume(view, event)
        assert [(each.start - BEGAN, each.now["revenue_cents"]) for each in windows(view)] == [
            (0, 3998),
            (10, -3998),
        ]


def test_an_order_ends_once() -> None:
    with new_view() as view:
        for event in (at(5, cancelled("a")), at(4, confirmed("a")), at(6, cancelled("a"))):
            v2.consume(view, event)
        assert (v2.view(view).successful, v2.view(view).failed) == (1, 0)


def test_a_history_shows_what_became_of_each_order() -> None:
    with new_view() as view:
        events = [
            paid("b"),
            created("a"),
            created("b"),
            created("c", user="user-2"),
            cancelled("b"),
        ]
        for data in (*events, refunded("b"), confirmed("d")):
            v2.consume(view, at(1, data))
        page = state.page_of_history(view, USER, PageRequest(), state.wire)
        shown = [[*order.values()][:5] for order in json.loads(page.rows)]
        assert shown == [["b", "cancelled", 39.98, 39.98, 39.98], ["a", "pending", 39.98, 0, 0]]


def test_a_late_event_corrects_the_sums_and_not_the_first_ones() -> None:
    with new_view() as view:
        v2.consume(view, at(3, created("a")))
        pass_watermark(view, 10)
        v2.consume(view, at(4, created("b")))
        v2.consume(view, at(4, created("b")))
        v2.consume(view, at(11, created("c")))
        first, second = windows(view)
        assert (first.first["orders"], first.now["orders"], first.late) == (1, 2, 1)
        assert (first.closed, second.closed, second.late) == (True, False, 0)


def test_a_long_window_closes_later_than_its_first_pane() -> None:
    with new_view() as view:
        v2.consume(view, at(3, created("a")))
        pass_watermark(view, 12)
        v2.consume(view, at(4, created("b")))
        pass_watermark(view, 25)
        (window,) = windows(view, size=20, step=20)
        assert (window.first["orders"], window.now["orders"], window.late) == (2, 2, 1)


def test_hopping_windows_hold_an_event_as_often_as_they_overlap() -> None:
    with new_view() as view:
        v2.consume(view, at(25, created("a")))
        found = windows(view, size=20, step=10)
        assert [(each.start - BEGAN, each.now["orders"]) for each in found] == [(10, 1), (20, 1)]


def test_a_window_of_any_age_has_a_place() -> None:
    with new_view() as view:
        for seconds in (-3e9, -BEGAN + 5, 30):
            v2.consume(view, at(seconds, created(f"at-{seconds}")))
        (newest,) = windows(view)
        assert newest.start == BEGAN + 30
        assert len(windows(view, 86_400, 86_400)) == 1
        assert v2.view(view).orders == 3


IDLE = Position(50.0, False, 9.0)


@pytest.mark.parametrize(
    ("partitions", "wanted"),
    [
        ([Position(10.0, False, 0.1), Position(20.0, False, 0.1)], 10.0),
        # Fully read and silent: nothing more may come.
        ([Position(10.0, False, 9.0), Position(20.0, False, 0.1)], 20.0),
        # Silent, and with unread messages: these would be late.
        ([Position(10.0, True, 9.0), Position(20.0, False, 0.1)], 10.0),
        ([Position(None, True, float("inf")), Position(20.0, False, 0.1)], None),
        ([Position(None, False, float("inf")), Position(20.0, False, 0.1)], 20.0),
        # All are silent and read: all that there is was read.
        ([Position(10.0, False, 9.0), IDLE], 50.0),
        ([Position(None, False, float("inf"))], None),
        ([], None),
    ],
)
def test_the_watermark_waits_for_active_partitions(
    partitions: list[Position], wanted: float | None
) -> None:
    assert watermark.newest_common(partitions) == wanted


def look(end: int, begin: int = 0) -> Ends:
    """Return a look at the log at this moment: one partition."""
    place = ("order-created", 0)
    return Ends({place: end}, {place: begin}, time.monotonic())


def test_the_watermark_never_goes_back() -> None:
    with new_view() as view:
        for seconds, wanted in ((10, 5), (7, 5), (12, 7)):
            v2.consume(view, at(seconds, created(f"at-{seconds}")))
            watermark.advance(view, lambda: look(1), lateness=5)
            assert watermark.find(view) == BEGAN + wanted


def test_an_event_ahead_of_the_clock_moves_the_watermark_to_now() -> None:
    with new_view() as view:
        v2.consume(view, at(time.time() - BEGAN + 50, created("a")))
        watermark.advance(view, lambda: look(1), lateness=0)
        assert (watermark.find(view) or 0) <= time.time()


def test_an_old_look_at_the_log_moves_no_watermark() -> None:
    with new_view() as view:
        v2.consume(view, at(10, created("a")))
        watermark.advance(view, Ends, lateness=5)
        assert watermark.find(view) is None


def test_a_dead_letter_does_not_hold_the_watermark() -> None:
    with new_view() as view:
        v2.consume(view, at(10, created("a"), offset=0))
        (waiting,) = watermark.read_positions(view, look(end=2))
        (read,) = watermark.read_positions(view, look(end=2, begin=2))
        assert (waiting.unread, read.unread) == (True, False)


def test_windows_are_made_of_panes_that_divide_the_default() -> None:
    assert AnalyticsSettings(port=1).pane_seconds == 10
    assert AnalyticsSettings(port=1, window_seconds=5).pane_seconds == 5


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("size=0", "greater than or equal to 1"),
        ("size=-60", "greater than or equal to 1"),
        ("size=1e999", "valid integer"),
        ("size=NaN", "valid integer"),
        ("size=2.5", "valid integer"),
        ("size=", "valid integer"),
        ("step=0", "greater than or equal to 1"),
        (f"size={'9' * 5000}", "integer"),
        ("size=99999999990", "less than or equal to 86400"),
        ("size=61&step=10", "a multiple of 10"),
        ("size=60&step=7", "a multiple of 10"),
        ("size=60&step=120", "longer than size"),
        ("size=86400&step=10", "at most 60 times the step"),
    ],
)
def test_a_bad_window_is_refused_with_a_sentence(
    running: Running, query: str, sentence: str
) -> None:
    response = running.http.get(f"/windows?{query}")
    assert response.status_code == 422
    assert sentence in response.json()["detail"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = Running(
        "analytics-service",
        data=tmp_path_factory.mktemp("analytics"),
        version="2",
        KAFKA_BOOTSTRAP=NO_KAFKA,
    )
    try:
        yield service.wait_ready("/health")
    finally:
        service.close()


def test_a_view_without_events_is_empty(running: Running) -> None:
    assert running.http.get("/windows").json() == {"watermark": None, "windows": []}
    assert running.http.get("/history/ada").json() == []
    assert running.http.get("/analytics").json()["orderCount"] == 0


def test_it_stops_at_once_while_there_is_no_kafka(tmp_path: Path) -> None:
    service = Running("analytics-service", data=tmp_path, version="2", KAFKA_BOOTSTRAP=NO_KAFKA)
    try:
        service.wait_ready("/health").process.terminate()
        assert service.process.wait(timeout=10) == 0
    finally:
        service.close()
