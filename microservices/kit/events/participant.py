"""A participant of a saga: it moves an order along its table, in the transaction of an event.

The table decides where an order goes and what is published (`kit/saga.py`). A participant adds what a table of symbols
cannot hold: where the state is stored, what entering a state changes, and the fields of what is published.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Column, Connection, MetaData, String, select
from sqlalchemy import Table as DatabaseTable

from microservices.kit import saga
from microservices.kit.database import insert_into
from microservices.kit.events import outbox
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import Data

states = DatabaseTable(
    "saga_states",
    MetaData(),
    Column("order_id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
)
"""The state of each order that a participant has met, in the database of its service."""


def find_state(connection: Connection, order_id: str) -> str | None:
    """Return the state of an order, if the participant has met it."""
    return connection.execute(
        select(states.c.state).where(states.c.order_id == order_id)
    ).scalar_one_or_none()


def save_state(connection: Connection, order_id: str, state: str) -> None:
    """Store the state of an order, in the caller's transaction."""
    changed = states.update().where(states.c.order_id == order_id).values(state=state)
    if connection.execute(changed).rowcount == 0:
        connection.execute(insert_into(states), {"order_id": order_id, "state": state})


@dataclass(frozen=True)
class Moment:
    """One step of one order: the transaction, and what brought it about.

    `data` is that of the event that arrived, None when the participant acts by itself: its deadline has passed, or a
    refund is due. Without a `cause` the step publishes nothing.
    """

    connection: Connection
    order_id: str
    data: Data | None
    cause: Cause | None


@dataclass(frozen=True)
class Participant:
    """The saga as one service lives it.

    `enter` says what a new state changes besides the state itself. `build` makes the data of each event type that the
    table names.
    """

    table: saga.Table
    find: Callable[[Connection, str], str]
    build: Mapping[str, Callable[[Moment], Data]]
    enter: Mapping[str, Callable[[Moment], None]] = field(default_factory=dict)
    save: Callable[[Connection, str, str], None] = save_state

    def receive(self, connection: Connection, event: Event, *, fails: bool = False) -> None:
        """Take the step for an event.

        Raises:
            Contradiction: No run of correct services brings this event to the order's state.
        """
        moment = Moment(connection, event.data.order_id, event.data, event.cause)
        self.step(moment, type(event.data).__name__, fails=fails)

    def step(self, moment: Moment, symbol: str, *, fails: bool = False) -> str:
        """Take the step for a symbol: the name of an event type, or of what the participant does by itself.

        Returns:
            The order's state after the step.

        Raises:
            Contradiction: No run of correct services brings this symbol to the order's state.
        """
        state = self.find(moment.connection, moment.order_id)
        step = saga.decide(self.table, state, symbol, fails=fails)
        if step.to != state:
            self.save(moment.connection, moment.order_id, step.to)
            if change := self.enter.get(step.to):
                change(moment)
        if step.publishes and moment.cause is not None:
            events = [self.build[name](moment) for name in step.publishes]
            outbox.add(moment.connection, *events, cause=moment.cause)
        return step.to
