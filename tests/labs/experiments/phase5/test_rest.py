"""Rest: two looks in a row at which nothing is left to do."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from labs.experiments.phase5 import rest
from labs.experiments.phase5.names import ORDERS
from tests.labs.servers import Server, serving

SHORT = 0.5
"""Seconds in which a system that is not at rest is looked at a few times."""

ZERO = ["outbox_events", "sagas_pending", "refunds_owed", "reservations_open"]


def text(**gauges: float) -> bytes:
    lines = [f"# HELP {name} {name}\n{name} {value}" for name, value in gauges.items()]
    body = "\n".join(lines).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class System(dict[str, Any]):
    """Services that all show the same numbers, and the lag of one group."""

    def __init__(self, url: str, *lags: int, group: str = "order-service-group") -> None:
        super().__init__({name: SimpleNamespace(url=url.rstrip("/")) for name in rest.READERS})
        self.services = [*self]
        left = iter(lags)
        self.kafka = SimpleNamespace(
            lag=lambda: pd.DataFrame({"group": [group], "lag": [next(left, lags[-1])]})
        )


def is_at_rest(
    gauges: dict[str, float], *lags: int, group: str = "order-service-group", seconds: float = 20
) -> bool:
    with serving(Server(text(**gauges))) as server:
        env: Any = System(server.url, *lags, group=group)
        return rest.wait_for_rest(env, seconds=seconds)


def test_nothing_to_do_and_nothing_unread_is_rest() -> None:
    assert is_at_rest(dict.fromkeys(ZERO, 0.0), 0)


@pytest.mark.parametrize("name", ZERO)
def test_any_number_above_zero_is_no_rest(name: str) -> None:
    assert not is_at_rest(dict.fromkeys(ZERO, 0.0) | {name: 1.0}, 0, seconds=SHORT)


def test_a_number_that_is_not_shown_is_no_rest() -> None:
    assert not is_at_rest({name: 0.0 for name in ZERO if name != "refunds_owed"}, 0, seconds=SHORT)


def test_an_unread_event_is_no_rest() -> None:
    assert not is_at_rest(dict.fromkeys(ZERO, 0.0), 1, seconds=SHORT)
    assert is_at_rest(dict.fromkeys(ZERO, 0.0), 1, group="of-nobody")


def test_one_look_alone_is_no_rest() -> None:
    assert not is_at_rest(dict.fromkeys(ZERO, 0.0), 0, 1, 0, 1, 1, seconds=SHORT)


def test_gauges_are_read_by_service() -> None:
    with serving(Server(text(outbox_events=2, sagas_pending=3))) as server:
        env: Any = System(server.url, 0)
        gauges = rest.read_gauges(env)
    assert gauges[ORDERS, "outbox_events"] == 2
    assert gauges[ORDERS, "sagas_pending"] == 3
