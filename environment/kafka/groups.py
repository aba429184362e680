"""Consumer groups: their members, their committed offsets and lag, and resetting them."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

import pandas as pd
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from environment.errors import LabError, UnknownName
from environment.kafka.broker import Broker, Place, table

GROUPS = {
    "group": "object",
    "state": "object",
    "members": "int64",
    "topics": "object",
    "lag": "int64",
}
LAG = {
    "group": "object",
    "topic": "object",
    "partition": "int64",
    "committed": "Int64",
    "end": "int64",
    "lag": "int64",
    "member": "object",
}
RESET = {
    "group": "object",
    "topic": "object",
    "partition": "int64",
    "before": "Int64",
    "after": "int64",
}

Target = int | str | datetime
"""Where a group is set to: `"earliest"`, `"latest"`, an offset, or a point in time."""


class Group(NamedTuple):
    """One group as the broker sees it now; `holders` are the members by the partition that each has.

    Members are known of groups with the classic protocol, which clients use by default.
    """

    name: str
    state: str
    members: tuple[str, ...]
    holders: dict[Place, str]


def find_groups(broker: Broker, name: str | None = None) -> list[Group]:
    """Return the groups, in the order of their names. Raises `UnknownName` when the named one does not exist."""

    def listed() -> list[Any]:
        with warnings.catch_warnings():
            # What is to be used in its place ends the process when the broker dies meanwhile (librdkafka's issue 4605).
            warnings.simplefilter("ignore", DeprecationWarning)
            return list(broker.admin.list_groups(timeout=broker.seconds))

    groups_by_id = {one.id: _group(one) for one in broker.ask("list its groups", listed)}
    if name is not None and name not in groups_by_id:
        known = ", ".join(sorted(groups_by_id)) or "none yet"
        raise UnknownName(f"There is no consumer group {name!r}. Groups: {known}.")
    return [groups_by_id[one] for one in sorted(groups_by_id) if name in (None, one)]


def _group(description: Any) -> Group:  # its stubs declare no types
    known = Counter(member.client_id for member in description.members)
    holders: dict[Place, str] = {}
    names: list[str] = []
    for member in description.members:
        # A service names its consumer after its replica; where several have one name, Kafka's own ids distinguish them.
        label = member.client_id if known[member.client_id] == 1 else member.id
        names.append(label)
        for place in assigned(member.assignment):
            holders[place] = label
    return Group(description.id, description.state.lower(), tuple(names), holders)


def assigned(assignment: bytes) -> Iterator[Place]:
    """Return the partitions in a member's assignment, in Kafka's consumer protocol; none where it is another one.

    A version, then for each topic its name and the numbers of its partitions, all big-endian.
    """
    stream = BytesIO(assignment)

    def number(size: int) -> int:
        taken = stream.read(size)
        if len(taken) < size:
            raise EOFError
        return int.from_bytes(taken, "big", signed=True)

    try:
        number(2)
        for _ in range(number(4)):
            topic = stream.read(number(2)).decode(errors="replace")
            for _ in range(number(4)):
                yield topic, number(4)
    except EOFError:
        return


def committed(broker: Broker, group: str, places: Iterable[Place]) -> dict[Place, int]:
    """Of these partitions those in which the group has committed, each with the next offset that it will consume."""
    asked = [TopicPartition(*place) for place in places]
    if not asked:
        return {}
    consumer = broker.consumer_of(group)
    committed_offsets = broker.ask(
        f"say how far {group} is", lambda: consumer.committed(asked, timeout=broker.seconds)
    )
    return {(one.topic, one.partition): one.offset for one in committed_offsets if one.offset >= 0}


def commit(broker: Broker, group: str, offsets: Mapping[Place, int]) -> None:
    """Set the offsets of a group that has no members."""
    asked, wanted = (
        f"set {group} to other offsets",
        [TopicPartition(*place, offset) for place, offset in offsets.items()],
    )

    def committing() -> None:
        for one in broker.consumer_of(group).commit(offsets=wanted, asynchronous=False) or []:
            if one.error:
                raise KafkaException(one.error)

    broker.ask(asked, committing)


def lag_rows(broker: Broker, groups: Iterable[Group]) -> list[dict[str, Any]]:
    """Return the rows of `LAG` for these groups: every partition of every topic that a group reads or has read."""
    groups = list(groups)
    topics = broker.topics()
    every = [(topic, n) for topic, numbers in topics.items() for n in numbers]
    reached = {group.name: committed(broker, group.name, every) for group in groups}
    read = {
        group.name: [
            (topic, n)
            for topic in sorted({topic for topic, _ in {*reached[group.name], *group.holders}})
            for n in topics.get(topic, [])
        ]
        for group in groups
    }
    # Read last, so that no group seems to be further than the end.
    span = broker.span(sorted({place for places in read.values() for place in places}))
    return [
        {
            "group": group.name,
            "topic": place[0],
            "partition": place[1],
            "committed": (at := reached[group.name].get(place)),
            "end": span[place][1],
            "lag": max(0, span[place][1] - (span[place][0] if at is None else at)),
            "member": group.holders.get(place),
        }
        for group in groups
        for place in read[group.name]
    ]


def lag(broker: Broker, group: str | None = None) -> pd.DataFrame:
    """One row per group, topic and partition."""
    return table(lag_rows(broker, find_groups(broker, group)), LAG)


def list_groups(broker: Broker) -> pd.DataFrame:
    """One row per group."""
    groups = find_groups(broker)
    rows = lag_rows(broker, groups)
    return table(
        (
            {
                "group": group.name,
                "state": group.state,
                "members": len(group.members),
                "topics": ", ".join(sorted({r["topic"] for r in rows if r["group"] == group.name})),
                "lag": sum(r["lag"] for r in rows if r["group"] == group.name),
            }
            for group in groups
        ),
        GROUPS,
    )


def reset(
    broker: Broker, group: str, topic: str, *, to: Target, partition: int | None = None
) -> pd.DataFrame:
    """Set a group's offsets, and return the old and the new ones."""
    places = broker.places(topic, partition)
    (described,) = find_groups(broker, group)
    if described.members:
        raise LabError(
            f"{group} has {len(described.members)} live member(s), {', '.join(described.members)}. "
            "These would go on from where they are. "
            "Stop the service first, `with env[SERVICE].stopped():` or `lab kill SERVICE`, and reset then; "
            "a killed member stays in the group until its session timeout has passed."
        )
    before, after = committed(broker, group, places), _meant(broker, places, to)
    commit(broker, group, after)
    return table(
        (
            {
                "group": group,
                "topic": topic,
                "partition": place[1],
                "before": before.get(place),
                "after": after[place],
            }
            for place in places
        ),
        RESET,
    )


def _meant(broker: Broker, places: list[Place], to: Target) -> dict[Place, int]:
    """Return the offset in each partition; one that a partition does not have becomes the nearest that it has."""
    span = broker.span(places)
    if isinstance(to, datetime):
        since = OffsetSpec.for_timestamp(int(to.astimezone().timestamp() * 1000))
        first = broker.offsets(places, since)
        # -1 where nothing is as young as that.
        return {place: first[place] if first[place] >= 0 else span[place][1] for place in places}
    if to in ("earliest", "latest"):
        return {place: span[place][to == "latest"] for place in places}
    if not isinstance(to, int) or isinstance(to, bool) or to < 0:
        raise LabError(
            f'A group is set to "earliest", "latest", an offset such as 0 or a datetime, not {to!r}.'
        )
    return {place: min(max(to, span[place][0]), span[place][1]) for place in places}
