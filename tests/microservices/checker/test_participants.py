"""The participants over HTTP follow the services' tables, and a hold keeps a request from its table."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from environment.waiting import wait_until
from microservices.checker.mutants import MUTANTS
from microservices.checker.participants import Participants
from microservices.kit.saga import Contradiction

ACTION, CANCEL = ("order", "payment", "OrderCreated"), ("order", "payment", "OrderCancelled")


def counts(participants: Participants) -> tuple[object, object]:
    shown = participants.show("order")
    return shown["charges"], shown["refunds"]


def mutant(name: str) -> Participants:
    return Participants(MUTANTS[name].model().tables)


def test_a_repeated_request_has_no_second_effect() -> None:
    participants = Participants()
    assert [participants.receive(*ACTION) for _ in range(2)] == ["charged"] * 2
    assert counts(participants) == (1, 0)
    assert [participants.receive(*CANCEL) for _ in range(2)] == ["refunded"] * 2
    assert counts(participants) == (1, 1)


def test_an_action_after_its_cancel_has_no_effect() -> None:
    participants = Participants()
    assert [participants.receive(*each) for each in (CANCEL, ACTION)] == ["barred"] * 2
    assert counts(participants) == (0, 0)


@pytest.mark.parametrize(
    ("name", "requests", "charges"),
    [
        ("no-tombstone-payment", (CANCEL, ACTION), 1),
        ("charge-each-delivery", (ACTION, ACTION), 2),
    ],
)
def test_a_wrong_design_has_that_effect(
    name: str, requests: tuple[tuple[str, str, str], ...], charges: int
) -> None:
    participants = mutant(name)
    for request in requests:
        participants.receive(*request)
    assert counts(participants) == (charges, 0)


def test_an_order_has_states_of_its_own() -> None:
    participants = Participants()
    participants.receive(*ACTION)
    assert participants.show("other")["states"] == dict.fromkeys(participants.names, "none")
    with pytest.raises(Contradiction):
        participants.receive("other", "payment", "OrderConfirmed")


def test_a_held_request_takes_its_step_when_it_is_released() -> None:
    participants = Participants()
    participants.hold("OrderCreated", on=True)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(participants.receive, *ACTION)

        def events() -> object:
            return participants.show("order")["events"]

        begun = {"payment OrderCreated begun": 1}
        assert wait_until(lambda: events() == begun, timeout=20)
        assert participants.receive(*CANCEL) == "barred"
        assert not held.done()
        participants.hold("OrderCreated", on=False)
        assert held.result(20) == "barred"
    assert counts(participants) == (0, 0)
