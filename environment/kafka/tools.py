"""`env.kafka`: the broker's topics, messages, groups and dead letters, as tables."""

from collections.abc import Callable, Mapping
from typing import Literal

import pandas as pd

from environment.kafka import dead_letters, groups, messages, topics
from environment.kafka.broker import Broker
from environment.kafka.groups import Target
from environment.kafka.messages import Value
from environment.kafka.watching import LagWatch


class Kafka:
    """A session's broker. Every answer is a DataFrame, empty when there is nothing; times are UTC.

    Everything raises `UnknownName` for a topic, partition or group that does not exist, and `NotReady` when the broker
    does not answer within 10 s.
    """

    def __init__(self, bootstrap: str, *, page: Callable[[], str]) -> None:
        self._broker, self._page = Broker(bootstrap), page

    @property
    def bootstrap(self) -> str:
        """The address for `bootstrap.servers` of a client of your own."""
        return self._broker.bootstrap

    def close(self) -> None:
        """Close the connections to the broker; the next request opens them again."""
        self._broker.close()

    # -- topics --

    def topics(self) -> pd.DataFrame:
        """One row per topic: topic, partitions, messages (those it still holds)."""
        return topics.list_topics(self._broker)

    def offsets(self, topic: str) -> pd.DataFrame:
        """One row per partition: topic, partition, earliest, latest, messages.

        `earliest` is the first offset it still holds, `latest` the one that its next message will have.
        """
        return topics.list_offsets(self._broker, topic)

    def create(self, topic: str, *, partitions: int = 6) -> pd.DataFrame:
        """Make a topic and return its offsets. Raises `LabError` when it exists."""
        topics.create_topic(self._broker, topic, partitions)
        return self.offsets(topic)

    # -- messages --

    def produce(
        self,
        topic: str,
        value: Value,
        *,
        key: str | bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        partition: int | None = None,
    ) -> pd.DataFrame:
        """Send one message; return when the broker has it. One row: topic, partition, offset, time.

        A mapping is sent as JSON. Without `partition` the key chooses it; without a key it is random.
        """
        options = {"key": key, "headers": headers, "partition": partition}
        return messages.send(self._broker, topic, value, **options)  # type: ignore[arg-type]

    def read(
        self,
        topic: str,
        *,
        partition: int | None = None,
        offset: int | Literal["earliest", "latest"] = "earliest",
        limit: int = 20,
    ) -> pd.DataFrame:
        r"""Return up to `limit` messages in the order of their times; no group's offset moves.

        `offset`: the earliest ones, the latest ones, or those from that offset on in each partition.
        Columns: topic, partition, offset, time, key, value, headers (a dict). What is not UTF-8 appears as `\xff`;
        when the name of a header is not, the client library cannot read any, and headers is None.
        """
        options = {"partition": partition, "offset": offset, "limit": limit}
        return messages.read(self._broker, topic, **options)  # type: ignore[arg-type]

    # -- groups --

    def groups(self) -> pd.DataFrame:
        """One row per consumer group: group, state, members, topics, lag (of all of its partitions)."""
        return groups.list_groups(self._broker)

    def lag(self, group: str | None = None) -> pd.DataFrame:
        """One row per group, topic and partition: group, topic, partition, committed, end, lag, member.

        `committed` is the offset of the next message for the group, `end` the offset of the next one to be written,
        `lag` their difference. A group that has not committed has everything before it. `member` is the consumer
        that has the partition now.
        """
        return groups.lag(self._broker, group)

    def watch_lag(self, group: str | None = None, *, every: float = 0.5) -> LagWatch:
        """Return a block in which lag is sampled `every` so many seconds, and shown in a notebook.

        with env.kafka.watch_lag("payment-service-group") as watch:
            ...
        watch.samples
        """
        return LagWatch(self._broker, group, every)

    def reset(
        self, group: str, topic: str, *, to: Target, partition: int | None = None
    ) -> pd.DataFrame:
        """Set a group to the `"earliest"`, the `"latest"`, an offset, or the first message since a datetime.

        An offset that a partition does not have becomes the nearest that it has; a datetime without a zone is local.
        One row per partition: group, topic, partition, before, after. Raises `LabError` while the group has members.
        """
        return groups.reset(self._broker, group, topic, to=to, partition=partition)

    # -- dead letters --

    def dead_letters(self, topic: str | None = None) -> pd.DataFrame:
        """Return what consumers gave up on, of one topic (by its own name or its `-dlq`'s) or of all.

        Columns: topic, partition, offset, time, key, value; where it came from: origin, origin_partition,
        origin_offset, origin_time; the consumer that gave up: group, attempts, error; truncated, the bytes of the
        whole value when the letter was cut to fit; and redriven, whether it was sent back.
        """
        return dead_letters.dead_letters(self._broker, topic)

    def redrive(self, topic: str | None = None, *, limit: int | None = None) -> pd.DataFrame:
        """Send dead letters back to where they came from, with their own key, bytes and headers.

        What was sent back is remembered in the broker, by the offsets of the group `lab-redrive`, so that doing it
        again sends nothing twice; only if this process dies between a letter and its commit is that letter sent again.
        A letter that was cut to fit is sent as the whole message that is still at its origin.
        One row per letter: topic, partition, offset, key, to_topic, to_partition, to_offset, outcome (`sent`,
        `passed over: ...` or `kept: ...`). A letter that is kept keeps those behind it in its partition.
        """
        return dead_letters.redrive(self._broker, topic, limit=limit)

    # -- the page --

    def ui(self) -> "Page":
        """Return a page for the browser that shows all this and updates by itself; it ends with the session."""
        return Page(self._page())

    def __repr__(self) -> str:
        return f"<Kafka at {self.bootstrap}>"


class Page:
    """The address of the page; in a notebook a link."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        return self.url

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank" rel="noopener">Kafka in the browser: {self.url}</a>'
