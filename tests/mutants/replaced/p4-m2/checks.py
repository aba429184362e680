"""Checks of a submitted relay, on SQLite: the docstring of each is the reason why it is wrong."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from sqlalchemy import StaticPool, create_engine

from microservices.kit.events import outbox
from microservices.kit.events.envelope import Cause
from microservices.kit.events.event_types import OrderConfirmed
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent

CAUSE = Cause("click", "event-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))
TOO_LARGE = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))


class System:
    """A database, Kafka, and the relay between them: Kafka answers each order as `errors` has it."""

    def __init__(self, module: ModuleType) -> None:
        self.connection = create_engine("sqlite://", poolclass=StaticPool).connect()
        outbox.table.create(self.connection)
        self.sent: list[str] = []
        self.batches: list[int] = []
        self.letters: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.waiting: list[list[str]] = []
        """What was in the outbox whenever Kafka was sent something."""
        self.waiting_at_point = 0
        """Events that were in it when the point `sent` was passed for the first time."""
        self.passed_points: list[tuple[str, str]] = []
        self.while_sending: Callable[[], None] = lambda: None
        parts: Any = self
        self.relay = module.Relay(parts, parts, parts, points=parts)

    def add(self, *orders: str) -> None:
        """Write an event of each order."""
        for order in orders:
            outbox.add(self.connection, OrderConfirmed.new(order_id=order), cause=CAUSE)

    def left(self) -> list[str]:
        """Return the orders of the events that are in the outbox."""
        return [key_of(record) for _, record in outbox.first(self.connection, 10_000)]

    # -- as a database --

    async def read(self, work: Callable[..., Any], *args: Any) -> Any:
        return work(self.connection, *args)

    write = read

    # -- as a producer --

    async def send(self, records: Sequence[Record]) -> None:
        self.waiting.append(self.left())
        self.batches.append(len(records))
        self.while_sending()
        errors = [self.errors.get(key_of(record)) for record in records]
        self.sent += [key_of(r) for r, error in zip(records, errors, strict=True) if not error]
        if any(errors):
            raise NotSent(errors)

    # -- as the office of dead letters, and as the points of a service --

    async def publish(self, letter: Record) -> None:
        self.letters.append(key_of(letter))

    def passed(self, moment: str, name: str) -> None:
        self.waiting_at_point = self.waiting_at_point or len(self.left())
        self.passed_points.append((moment, name))


def key_of(record: Record) -> str:
    return (record.key or b"").decode()


async def publishes(module: ModuleType) -> None:
    """The events of the outbox are not published, each once and in the order of their positions."""
    system = System(module)
    system.add("a", "b", "c")
    await system.relay.publish_oldest()
    assert system.sent == ["a", "b", "c"]


async def deletes(module: ModuleType) -> None:
    """What Kafka has stays in the outbox, so that it is published again and again."""
    system = System(module)
    system.add("a", "b")
    await system.relay.publish_oldest()
    assert system.left() == []
    await system.relay.publish_oldest()
    assert system.sent == ["a", "b"]


async def answers(module: ModuleType) -> None:
    """It does not return true when there were events, and false when there were none."""
    system = System(module)
    system.add("a")
    assert [await system.relay.publish_oldest() for _ in range(2)] == [True, False]


async def keeps_until_acknowledged(module: ModuleType) -> None:
    """An event is deleted before Kafka has it: a replica that is killed then loses it."""
    system = System(module)
    system.add("a", "b")
    await system.relay.publish_oldest()
    assert system.waiting[0] == ["a", "b"]


async def keeps_while_kafka_is_away(module: ModuleType) -> None:
    """While Kafka is away, events are deleted that it never had."""
    system = System(module)
    system.add("a", "b")
    system.errors = {"a": AWAY, "b": AWAY}
    await attempted(system)
    assert (system.sent, system.left()) == ([], ["a", "b"])
    system.errors = {}
    await attempted(system)
    assert (system.sent, system.left()) == (["a", "b"], [])


async def keeps_what_comes_meanwhile(module: ModuleType) -> None:
    """An event that is written while others are sent is deleted without being published."""
    system = System(module)
    system.add("a")
    system.while_sending = lambda: system.add("b") if system.left() == ["a"] else None
    await system.relay.publish_oldest()
    assert system.left() == ["b"]


async def sets_aside(module: ModuleType) -> None:
    """An event that its topic refuses for good is no dead letter, or holds back the others."""
    system = System(module)
    system.add("a", "b", "c")
    system.errors = {"b": TOO_LARGE}
    for _ in range(3):
        await attempted(system)
    assert (system.sent, system.letters, system.left()) == (["a", "c"], ["b"], [])


async def one_batch(module: ModuleType) -> None:
    """One call publishes more than BATCH events, or leaves the rest of a large outbox for ever."""
    system = System(module)
    orders = [f"order-{n}" for n in range(module.BATCH + 3)]
    system.add(*orders)
    assert [await system.relay.publish_oldest() for _ in range(3)] == [True, True, False]
    assert system.batches[0] == module.BATCH
    assert system.sent == orders


async def reports_what_was_sent(module: ModuleType) -> None:
    """`_were_sent` is not called once Kafka has the events and before their rows are deleted."""
    system = System(module)
    system.add("a", "b")
    await system.relay.publish_oldest()
    assert system.passed_points == [("sent", "OrderConfirmed")] * 2
    assert system.waiting_at_point == 2


async def attempted(system: System) -> None:
    """Call it once; `NotSent` may be passed on, since the relay tries again."""
    try:
        await system.relay.publish_oldest()
    except NotSent:
        return


CHECKS = (
    *(publishes, deletes, answers, keeps_until_acknowledged, keeps_while_kafka_is_away),
    *(keeps_what_comes_meanwhile, sets_aside, one_batch, reports_what_was_sent),
)
