"""The broker as a program on this machine asks it: every wait has a limit, and what fails says what was asked."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import pandas as pd
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from environment.errors import LabError, NotReady, UnknownName
from environment.waiting import wait_until

Answer = TypeVar("Answer")

Place = tuple[str, int]
"""A topic and one of its partitions."""

SECONDS = 10.0
"""How long one answer of the broker is awaited."""

_NOT_YET = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_CONTROLLER,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}
"""What is said of a topic that was made, and by a broker that came back, a moment ago."""

READER = "lab-reader"
"""The group that a consumer has to name, although one that only reads joins none and commits nothing."""


class Broker:
    """The clients of one broker. They connect when they are first needed; `seconds` limits each answer."""

    def __init__(self, bootstrap: str, *, seconds: float = SECONDS) -> None:
        self.bootstrap, self.seconds = bootstrap, seconds
        self._words: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "socket.timeout.ms": int(seconds * 1000),
            # A broker that was away is found again at once, and the log of its absence is ours to tell.
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
        self._groups: dict[str, Consumer] = {}

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(self._words)

    def producer(self) -> Producer:
        """A producer that calls a message sent only when the broker has it."""
        limit = {"message.timeout.ms": int(self.seconds * 1000)}
        return Producer({**self._words, **limit, "acks": "all"})

    def consumer(self, group: str = READER) -> Consumer:
        """A consumer that is told what to read and what to commit."""
        reading = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        return Consumer({**self._words, **reading})

    def consumer_of(self, group: str) -> Consumer:
        """A consumer that asks and says how far a group is, without being a member of it.

        librdkafka's admin requests for that end the whole process when the broker dies meanwhile (its issue 4605).
        """
        if group not in self._groups:
            self._groups[group] = self.consumer(group)
        return self._groups[group]

    def ask(self, asked: str, question: Callable[[], Answer]) -> Answer:
        """What the broker answers, as soon as it can.

        Raises `LabError` when it refuses, `NotReady` when it cannot within the limit.
        """
        last: Exception = TimeoutError()

        def answered() -> tuple[Answer] | None:
            nonlocal last
            try:
                return (question(),)
            except KafkaException as error:
                if error.args[0].code() not in _NOT_YET:
                    raise
                last = error
                return None

        try:
            found = wait_until(answered, timeout=self.seconds, every=0.05)
        except (KafkaException, TimeoutError) as error:
            self.failed(asked, error)
        if found is None:
            self.failed(asked, last)
        return found[0]

    def failed(self, asked: str, error: Exception) -> NoReturn:
        """Raises the `LabError` that says what was asked, and why there is no answer."""
        cause = error.args[0] if isinstance(error, KafkaException) else None
        if cause is not None and cause.code() >= 0:  # the broker's own word
            raise LabError(f"The broker refused to {asked}: {cause.str()}") from error
        why = cause.str() if cause is not None else "no answer"
        raise NotReady(
            f"The broker at {self.bootstrap} was asked to {asked} and did not answer within {self.seconds:.0f} s "
            f"({why}). Is it up? `lab ps` says so, `lab restart kafka` starts it again."
        ) from error

    def topics(self) -> dict[str, list[int]]:
        """The partitions of each topic, by name; Kafka's own topics are left out."""
        listed = self.ask("list its topics", lambda: self.admin.list_topics(timeout=self.seconds))
        found = listed.topics
        return {
            name: sorted(found[name].partitions)
            for name in sorted(found)
            if not name.startswith("__") and found[name].error is None
        }

    def places(self, topic: str, partition: int | None = None) -> list[Place]:
        """The partitions of a topic, or the one named. Raises `UnknownName` that lists those that exist."""
        topics = self.topics()
        if topic not in topics:
            known = ", ".join(topics) or "none yet"
            raise UnknownName(
                f"There is no topic {topic!r}, and topics are only made on purpose. Topics: {known}."
            )
        if partition is not None and partition not in topics[topic]:
            raise UnknownName(
                f"{topic} has the partitions 0 to {len(topics[topic]) - 1}, not {partition}."
            )
        return [(topic, n) for n in topics[topic] if partition in (None, n)]

    def offsets(self, places: Iterable[Place], when: OffsetSpec) -> dict[Place, int]:
        """Of each partition the offset that `when` means: its earliest, its latest, or the first since a time."""
        asked = {TopicPartition(*place): when for place in places}
        if not asked:
            return {}

        def answers() -> dict[Place, int]:
            try:
                futures = self.admin.list_offsets(asked, request_timeout=self.seconds)
                found = {one: future.result(self.seconds) for one, future in futures.items()}
            except KafkaException:
                self.topics()  # with which the client learns who leads
                raise
            return {(one.topic, one.partition): told.offset for one, told in found.items()}

        return self.ask("say its offsets", answers)

    def span(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """Of each partition its first offset, and the one that its next message will have."""
        places = list(places)
        first = self.offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        end = self.offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: (first[place], end[place]) for place in places}


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a DataFrame with these columns and types, also when there are none."""
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object).astype(dict(columns))


TIME = "datetime64[ms, UTC]"
_YEAR_9999 = 253_370_764_800_000


def moment(milliseconds: int | None) -> pd.Timestamp | None:
    """Kafka's milliseconds as a point in time; None for none, and for what no calendar has."""
    if milliseconds is None or not 0 <= milliseconds < _YEAR_9999:
        return None
    return pd.Timestamp(milliseconds, unit="ms", tz="UTC")
