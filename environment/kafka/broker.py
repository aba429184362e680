"""The broker, seen from this machine: every wait has a limit, and each error names the request that failed."""

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

MAX_BYTES = 2_000_000
"""Longest message that is sent: what a dead letter topic takes."""

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
"""The errors of a topic that was just made, and of a broker that just came back: worth another try."""

READER = "lab-reader"
"""The group that a consumer has to name, although one that only reads joins none and commits nothing."""


class Broker:
    """The clients of one broker. They connect when they are first needed; `seconds` limits each answer."""

    def __init__(self, bootstrap: str, *, seconds: float = SECONDS) -> None:
        self.bootstrap, self.seconds = bootstrap, seconds
        self._words: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "socket.timeout.ms": int(seconds * 1000),
            # The client reconnects at once; this module reports a broker that is down, so librdkafka logs nothing.
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
        self._groups: dict[str, Consumer] = {}

    @cached_property
    def admin(self) -> AdminClient:
        """The client for administration."""
        return AdminClient(self._words)

    def producer(self) -> Producer:
        """Return a producer that counts a message as sent only when the broker has it."""
        limit = {"message.timeout.ms": int(self.seconds * 1000), "message.max.bytes": MAX_BYTES}
        return Producer({**self._words, **limit, "acks": "all"})

    def consumer(self, group: str = READER) -> Consumer:
        """Return a consumer whose caller assigns what it reads and commits its offsets."""
        reading = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        return Consumer({**self._words, **reading})

    def consumer_of(self, group: str) -> Consumer:
        """Return a consumer that reads and commits a group's offsets without being a member of it.

        librdkafka's admin requests for that end the whole process when the broker dies meanwhile (its issue 4605).
        """
        if group not in self._groups:
            self._groups[group] = self.consumer(group)
        return self._groups[group]

    def close(self) -> None:
        """Close the clients. One left open keeps connecting to its address, whatever listens there."""
        self.__dict__.pop("admin", None)  # this client closes with its last reference
        while self._groups:
            self._groups.popitem()[1].close()

    def ask(self, asked: str, question: Callable[[], Answer]) -> Answer:
        """Return the broker's answer, as soon as there is one.

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
            answer = wait_until(answered, timeout=self.seconds, every=0.05)
        except (KafkaException, TimeoutError) as error:
            self.failed(asked, error)
        if answer is None:
            self.failed(asked, last)
        return answer[0]

    def failed(self, asked: str, error: Exception) -> NoReturn:
        """Raise the `LabError` that names the request and why there is no answer."""
        cause = error.args[0] if isinstance(error, KafkaException) else None
        if cause is not None and cause.code() >= 0:  # the broker's own error
            raise LabError(f"The broker refused to {asked}: {cause.str()}") from error
        why = cause.str() if cause is not None else "no answer"
        raise NotReady(
            f"The broker at {self.bootstrap} was asked to {asked} and did not answer within {self.seconds:.0f} s "
            f"({why}). Is it up? `lab ps` shows it, `lab restart kafka` starts it again."
        ) from error

    def topics(self) -> dict[str, list[int]]:
        """Return the partitions of each topic, by name; Kafka's own topics are left out."""
        listed = self.ask("list its topics", lambda: self.admin.list_topics(timeout=self.seconds))
        by_name = listed.topics
        return {
            name: sorted(by_name[name].partitions)
            for name in sorted(by_name)
            if not name.startswith("__") and by_name[name].error is None
        }

    def places(self, topic: str, partition: int | None = None) -> list[Place]:
        """Return the partitions of a topic, or the one named. Raises `UnknownName` that lists those that exist."""
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
        """Return each partition's offset that `when` means: its earliest, its latest, or the first since a time."""
        asked = {TopicPartition(*place): when for place in places}
        if not asked:
            return {}

        def answers() -> dict[Place, int]:
            try:
                futures = self.admin.list_offsets(asked, request_timeout=self.seconds)
                results = {one: future.result(self.seconds) for one, future in futures.items()}
            except KafkaException:
                self.topics()  # after this the client has the leader of each partition
                raise
            return {(one.topic, one.partition): result.offset for one, result in results.items()}

        return self.ask("return its offsets", answers)

    def span(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """Return, for each partition, its first offset and the offset that its next message will have."""
        places = list(places)
        first = self.offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        end = self.offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: (first[place], end[place]) for place in places}


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as a DataFrame with these columns and types, also when there are none."""
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object).astype(dict(columns))


TIME = "datetime64[ms, UTC]"
_YEAR_9999 = 253_370_764_800_000


def moment(milliseconds: int | None) -> pd.Timestamp | None:
    """Return Kafka's milliseconds as a point in time; None for none, and for what no calendar has."""
    if milliseconds is None or not 0 <= milliseconds < _YEAR_9999:
        return None
    return pd.Timestamp(milliseconds, unit="ms", tz="UTC")
