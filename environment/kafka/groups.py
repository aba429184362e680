"""Consumer groups: who reads, how far each has come, and setting them back."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
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
    """One group as the broker sees it now; `holders` are the members by the partition that each has."""

    name: str
    state: str
    members: tuple[str, ...]
    holders: dict[Place, str]


def find_groups(broker: Broker, name: str | None = None) -> list[Group]:
    """The groups, in the order of their names. Raises `UnknownName` when the named one does not exist."""
    try:
        listed = broker.answer(broker.admin.list_consumer_groups(), "list its groups").valid
        states = {one.group_id: one.state.name.lower() for one in listed}
        if name is not None and name not in states:
            known = ", ".join(sorted(states)) or "none yet"
            raise UnknownName(f"There is no consumer group {name!r}. Groups: {known}.")
        wanted = sorted(states) if name is None else [name]
        if not wanted:
            return []
        futures = broker.admin.describe_consumer_groups(wanted, request_timeout=broker.seconds)
    except KafkaException as error:
        broker.failed("list its groups", error)
    described = {one: broker.answer(futures[one], f"describe {one}") for one in wanted}
    return [_group(one, states[one], described[one].members) for one in wanted]


def _group(name: str, state: str, members: Iterable[Any]) -> Group:
    members = list(members)
    known = Counter(member.client_id for member in members)
    holders, names = {}, []
    for member in members:
        # A service names its consumer after its replica; where several have one name, Kafka's own tells them apart.
        label = member.client_id if known[member.client_id] == 1 else member.member_id
        names.append(label)
        for one in member.assignment.topic_partitions if member.assignment else []:
            holders[one.topic, one.partition] = label
    return Group(name, state, tuple(names), holders)


def committed(broker: Broker, group: str) -> dict[Place, int]:
    """The offsets that a group has committed: in each partition the next message it wants."""
    try:
        asked = [ConsumerGroupTopicPartitions(group)]
        futures = broker.admin.list_consumer_group_offsets(asked, request_timeout=broker.seconds)
    except KafkaException as error:
        broker.failed(f"say how far {group} is", error)
    found = broker.answer(futures[group], f"say how far {group} is").topic_partitions
    return {(one.topic, one.partition): one.offset for one in found or [] if one.offset >= 0}


def lag_rows(broker: Broker, groups: Iterable[Group]) -> list[dict[str, Any]]:
    """The rows of `LAG` for these groups: every partition of every topic that a group reads or has read."""
    groups = list(groups)
    reached = {group.name: committed(broker, group.name) for group in groups}
    topics = broker.topics()
    read = {
        group.name: [
            (topic, n)
            for topic in sorted({topic for topic, _ in {*reached[group.name], *group.holders}})
            for n in topics.get(topic, [])
        ]
        for group in groups
    }
    # Asked for last, so that nobody seems to be further than the end.
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
    """Sets a group's offsets, and says what they were."""
    places = broker.places(topic, partition)
    (found,) = find_groups(broker, group)
    if found.members:
        raise LabError(
            f"{group} has {len(found.members)} live member(s), {', '.join(found.members)}, and would go on from where "
            "they are. Stop the service first, `with env[SERVICE].stopped():` or `lab kill SERVICE`, and reset then; "
            "a killed member counts until the broker has missed it for its session timeout."
        )
    before, after = committed(broker, group), _meant(broker, places, to)
    asked = f"set {group} in {topic}"
    moved = [TopicPartition(*place, after[place]) for place in places]
    try:
        futures = broker.admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, moved)], request_timeout=broker.seconds
        )
    except KafkaException as error:
        broker.failed(asked, error)
    for one in broker.answer(futures[group], asked).topic_partitions or []:
        if one.error:
            raise LabError(f"The broker refused to {asked}: {one.error}.")
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
    """The offset in each partition; one that a partition does not have becomes the nearest that it has."""
    span = broker.span(places)
    if isinstance(to, datetime):
        since = OffsetSpec.for_timestamp(int(to.astimezone().timestamp() * 1000))
        found = broker.offsets(places, since)
        # -1 where nothing is as young as that.
        return {place: found[place] if found[place] >= 0 else span[place][1] for place in places}
    if to in ("earliest", "latest"):
        return {place: span[place][to == "latest"] for place in places}
    if not isinstance(to, int) or isinstance(to, bool) or to < 0:
        raise LabError(
            f'A group is set to "earliest", "latest", an offset such as 0 or a datetime, not {to!r}.'
        )
    return {place: min(max(to, span[place][0]), span[place][1]) for place in places}
