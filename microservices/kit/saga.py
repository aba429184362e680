"""A saga's transitions as data: a table that the service, the notebook and the model checker read alike.

A cell names the state that follows on an event, and the events that are published in the same transaction. Symbols
only: a table has no clock, no ids, no amounts, and does no I/O, so that a checker can walk every path of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Step(NamedTuple):
    """What an event makes of a state: the next state, and what is published with it.

    `if_fails` is the step when the participant's own work fails (its card is refused, its shelf is empty); None where
    the step does no work that can fail.
    """

    to: str
    publishes: tuple[str, ...] = ()
    if_fails: Step | None = None


CONTRADICTION = Step("contradiction")
"""A cell that no run of correct services reaches: the event is forged, or of another version's making."""

Table = Mapping[tuple[str, str], Step]
"""The step for each state and event. A pair that is absent changes nothing and publishes nothing."""


class Contradiction(Exception):
    """An event arrived in a state in which no correct service can have published it."""


def decide(table: Table, state: str, event: str, *, fails: bool = False) -> Step:
    """Return the step of `table` for an event in a state.

    `fails`: whether the participant's own work fails.

    Raises:
        Contradiction: No run of correct services brings this event to this state.
    """
    step = table.get((state, event), Step(state))
    if step is CONTRADICTION:
        raise Contradiction(f"{event} arrived in the state {state!r}")
    return step.if_fails if fails and step.if_fails else step
