"""States: where an order is at each participant, and the ends that the model allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from labs.client import new_client
from labs.experiments.phase5.interleavings import check
from labs.experiments.phase5.names import INVENTORY, ORDERS, PAYMENTS

if TYPE_CHECKING:
    from environment import Environment

RESPONSE_SECONDS = 10.0

ALL_WELL = "all well"
"""The coin of an order whose card and items are good, as the checker names it."""


class States(NamedTuple):
    """The states of one order, as the participants' tables name them."""

    order: str
    payment: str
    inventory: str

    def __str__(self) -> str:
        """Return the states as the checker prints them."""
        return "/".join(self)


def read_states(env: Environment, order: str) -> States:
    """Ask each participant for the state of an order."""
    with new_client(RESPONSE_SECONDS) as client:

        def ask(service: str, path: str, name: str) -> str:
            url = f"{env[service].url}{path}/{order}"
            return str(client.get(url).raise_for_status().json()[name])

        return States(
            ask(ORDERS, "/orders", "status"),
            ask(PAYMENTS, "/sagas", "state"),
            ask(INVENTORY, "/sagas", "state"),
        )


def allowed_ends(coin: str = "") -> set[str]:
    """Return the ends that the checker finds for one order: with this coin, or with any.

    An end is the states of order-service, payment-service and inventory-service: `completed/settled/sold`.
    """
    named = (end.partition(": ") for end in check()["ends"])
    return {states for of_coin, _, states in named if coin in ("", of_coin)}
