"""Calls: the number that was asked for, as many at a time, with the fields of the responses."""

import pandas as pd

from labs.load.calls import ask, ask_in_turn
from tests.labs.servers import UNAVAILABLE, Server, serving

COUNT = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"count": 3}'
)


def most_at_once(rows: pd.DataFrame) -> int:
    return max(int(((rows["sent"] <= at) & (rows["ended"] > at)).sum()) for at in rows["sent"])


def test_every_request_has_a_row_with_the_responses_fields() -> None:
    with serving(Server(COUNT)) as server:
        rows = ask(server.url, requests=30, together=4)
    assert len(server.requests) == 30
    assert list(rows["number"]) == [*range(1, 31)]
    assert set(rows["status"]) == {200}
    assert set(rows["count"]) == {3}
    assert (rows["ended"] >= rows["sent"]).all()


def test_no_more_requests_at_a_time_than_asked_for() -> None:
    with serving(Server()) as server:
        assert most_at_once(ask(server.url, requests=10)) == 1
        server.stall(0.3)
        assert most_at_once(ask(server.url, requests=12, together=12)) == 12


def test_a_caller_sends_nothing_before_it_has_the_last_response() -> None:
    with serving(Server(COUNT)) as server:
        server.stall(0.3)
        rows = ask_in_turn({server.url: [0.0, 0.05, 0.1]})
    assert most_at_once(rows) == 1
    assert (rows["due"].diff().dropna() < 0.1).all()
    assert (rows["sent"] - rows["due"]).max() > 0.15
    assert set(rows["count"]) == {3}


def test_errors_and_missing_responses_have_rows_too() -> None:
    with serving(Server(UNAVAILABLE)) as server:
        assert list(ask(server.url, requests=2)["status"]) == [503, 503]
        server.stall(0.5)
        assert ask(server.url, requests=1, timeout=0.1)["status"].item() == 0
    assert ask("http://127.0.0.1:1/", requests=1)["status"].item() == 0
