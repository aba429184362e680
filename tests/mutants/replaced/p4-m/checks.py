"""Checks of a submitted inbox, on SQLite: the docstring of each is the reason why it is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import ModuleType

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

LOCKED_SECONDS = 0.1
"""Longest wait for another transaction."""

GROUP = ("group-1", "group-2", "group-1")


@contextmanager
def database(module: ModuleType) -> Iterator[Engine]:
    with TemporaryDirectory() as folder:
        limit = {"timeout": LOCKED_SECONDS}
        engine = create_engine(
            f"sqlite:///{folder}/inbox.db", connect_args=limit, poolclass=NullPool
        )
        module.table.create(engine)
        yield engine


def deliver(module: ModuleType, engine: Engine, *events: str) -> list[bool]:
    """Return what is accepted of deliveries with a transaction each."""
    accepted = []
    for event in events:
        with engine.begin() as connection:
            accepted.append(bool(module.accept(connection, event)))
    return accepted


def fail(module: ModuleType, engine: Engine, event: str) -> bool:
    """Return whether a delivery is accepted whose effect then fails."""
    with engine.connect() as connection:
        accepted = bool(module.accept(connection, event))
        connection.rollback()
    return accepted


def accepts_new_events(module: ModuleType) -> None:
    """It does not accept an event that was never delivered before."""
    with database(module) as engine:
        assert deliver(module, engine, "new-1", "new-2", "new-3") == [True, True, True]


def refuses_the_second_delivery(module: ModuleType) -> None:
    """It accepts the second delivery of an event, or raises instead of returning false."""
    with database(module) as engine:
        assert deliver(module, engine, *["twice"] * 3) == [True, False, False]


def remembers_every_event(module: ModuleType) -> None:
    """It accepts an event again when others came in between."""
    events = [f"event-{n}" for n in range(20)]
    with database(module) as engine:
        assert deliver(module, engine, *events, *events) == [True] * 20 + [False] * 20


def forgets_what_failed(module: ModuleType) -> None:
    """It refuses an event whose transaction was rolled back: its effect is lost."""
    with database(module) as engine:
        assert fail(module, engine, "failed")
        assert deliver(module, engine, "failed", "failed") == [True, False]


def keeps_what_was_there(module: ModuleType) -> None:
    """After the rollback of another event it accepts an event again."""
    with database(module) as engine:
        deliver(module, engine, "kept")
        fail(module, engine, "not kept")
        assert deliver(module, engine, "kept") == [False]


def another_replica(module: ModuleType) -> None:
    """Another replica, or the next process, cannot find in the table `inbox` that an event was accepted."""
    with database(module) as engine:
        deliver(module, engine, "stored")
        with engine.connect() as connection:
            assert module.contains(connection, "stored")
            assert connection.execute(module.table.select()).scalars().all() == ["stored"]


def what_others_wrote(module: ModuleType) -> None:
    """It accepts an event that another replica has accepted before."""
    with database(module) as engine:
        with engine.begin() as connection:
            connection.execute(module.table.insert().values(event_id="another's"))
        assert deliver(module, engine, "another's") == [False]


def several_in_one_transaction(module: ModuleType) -> None:
    """In one transaction with other deliveries, as group commit has them, it does not accept each event once."""
    with database(module) as engine:
        with engine.begin() as connection:
            accepted = [bool(module.accept(connection, event)) for event in GROUP]
        assert accepted == [True, True, False]


CHECKS = (
    *(accepts_new_events, refuses_the_second_delivery, remembers_every_event),
    *(forgets_what_failed, keeps_what_was_there, another_replica, what_others_wrote),
    *(several_in_one_transaction,),
)
