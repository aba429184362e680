"""A topic as a table: its events, without other messages."""

import json
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from labs.experiments.phase4.events import follow, read_events

TIME = pd.Timestamp("2026-01-02T03:04:05.678Z")


def message(value: str | None, offset: int = 0) -> dict[str, Any]:
    return {"topic": "t", "partition": 3, "offset": offset, "time": TIME, "value": value}


def event(**fields: Any) -> str:
    envelope = {"eventId": "e-1", "causationId": None, "data": {"orderId": "o-1", "userId": "u-1"}}
    return json.dumps(envelope | fields)


def environment(*values: str | None) -> Any:
    messages = [message(value, offset) for offset, value in enumerate(values)]
    return SimpleNamespace(
        kafka=SimpleNamespace(read=lambda _, limit: pd.DataFrame(messages, dtype=object))
    )


def test_an_event_is_a_row() -> None:
    (row,) = read_events(environment(event(causationId="c-1")), "t").to_dict("records")
    assert (row["event"], row["cause"], row["order"], row["user"]) == ("e-1", "c-1", "o-1", "u-1")
    assert (row["topic"], row["partition"], row["time"]) == ("t", 3, TIME.timestamp())


@pytest.mark.parametrize("value", [None, "", "{", "7", "[]", "{}", event(data={})])
def test_other_messages_are_left_out(value: str | None) -> None:
    assert list(read_events(environment(value, event()), "t")["offset"]) == [1]


def test_follow_returns_the_effects_that_came() -> None:
    env = environment(event(causationId="c-1"), event(causationId="c-2"))
    assert list(follow(env, "t", ["c-2"], seconds=1)["cause"]) == ["c-2"]
    assert list(follow(env, "t", ["c-1", "c-9"], seconds=0.1)["cause"]) == ["c-1"]
