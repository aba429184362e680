"""`lab kafka`: the methods of `env.kafka`, for a terminal."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environment import Environment
from environment.errors import LabError
from labs.cli.frames import lines_of, print_frame
from labs.cli.options import JsonOption, SessionOption, pairs

if TYPE_CHECKING:
    from environment.kafka.tools import Kafka

app = typer.Typer(
    help="Kafka of a session: topics, messages, groups, lag, dead letters.", no_args_is_help=True
)

WATCH_EVERY = 1.0

TopicArgument = Annotated[str, typer.Argument(help="A topic, such as order-created.")]
PartitionOption = Annotated[int | None, typer.Option(min=0, help="Only this partition.")]


def _kafka(session: str | None) -> "Kafka":
    return Environment.attach(session).kafka


@app.command()
def topics(session: SessionOption = None, as_json: JsonOption = False) -> None:
    """List the topics, with the number of their partitions and messages."""
    print_frame(_kafka(session).topics(), as_json)


@app.command()
def create(
    topic: TopicArgument,
    partitions: Annotated[int, typer.Option(min=1, help="The number of partitions.")] = 6,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a topic; services create their own when they start."""
    print_frame(_kafka(session).create(topic, partitions=partitions), as_json)


@app.command()
def offsets(
    topic: TopicArgument, session: SessionOption = None, as_json: JsonOption = False
) -> None:
    """Show the first and the next offset of each partition of a topic."""
    print_frame(_kafka(session).offsets(topic), as_json)


@app.command()
def produce(
    topic: TopicArgument,
    value: Annotated[str, typer.Argument(help='What to send, such as \'{"orderId": "o-1"}\'.')],
    key: Annotated[
        str | None, typer.Option(help="Messages with one key go to one partition.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, may be repeated.")] = None,
    partition: PartitionOption = None,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send one message, and show its partition and offset."""
    headers = dict(pairs(header or [], "NAME=VALUE"))
    sent = _kafka(session).produce(topic, value, key=key, headers=headers, partition=partition)
    print_frame(sent, as_json)


@app.command()
def read(
    topic: TopicArgument,
    partition: PartitionOption = None,
    offset: Annotated[
        str, typer.Option(help="earliest, latest, or an offset in each partition.")
    ] = "earliest",
    limit: Annotated[int, typer.Option(min=1, help="The most messages to show.")] = 20,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read messages without moving a group's offset; with --json their headers too."""
    begin: Any = int(offset) if offset.isdecimal() else offset
    messages = _kafka(session).read(topic, partition=partition, offset=begin, limit=limit)
    print_frame(messages, as_json, ("time", "partition", "offset", "key", "value"))


@app.command()
def groups(session: SessionOption = None, as_json: JsonOption = False) -> None:
    """List the consumer groups: state, members, topics, lag."""
    print_frame(_kafka(session).groups(), as_json)


@app.command()
def lag(
    group: Annotated[str | None, typer.Argument(help="A group; default: all.")] = None,
    watch: Annotated[
        float, typer.Option(min=0, help="Refresh every second, for this many seconds.")
    ] = 0,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the lag of each group per partition, and the member that has the partition."""
    kafka = _kafka(session)
    if watch and not as_json:
        return _watch(kafka, group, watch)
    print_frame(kafka.lag(group), as_json)


@app.command()
def reset(
    group: Annotated[str, typer.Argument(help="A group without members.")],
    topic: TopicArgument,
    to: Annotated[
        str, typer.Option(help="earliest, latest, an offset, or a time: 2026-11-22T10:00.")
    ],
    partition: PartitionOption = None,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the offsets of a group in a topic, so that it reads from there."""
    print_frame(_kafka(session).reset(group, topic, to=_target(to), partition=partition), as_json)


@app.command()
def dlq(
    topic: Annotated[str | None, typer.Argument(help="Only dead letters of this topic.")] = None,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the dead letters: the messages that consumers gave up on, their origin, and why."""
    shown = ("topic", "partition", "offset", "time", "origin_partition", "origin_offset", "group")
    print_frame(
        _kafka(session).dead_letters(topic),
        as_json,
        (*shown, "attempts", "truncated", "redriven", "error", "key", "value"),
    )


@app.command()
def redrive(
    topic: Annotated[str | None, typer.Argument(help="Only dead letters of this topic.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most dead letters to send.")] = None,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters back to their topics, each once."""
    print_frame(_kafka(session).redrive(topic, limit=limit), as_json)


@app.command()
def ui(session: SessionOption = None) -> None:
    """Print the address of a page that shows all this and updates itself; it ends with the session."""
    print(_kafka(session).ui().url)


def _target(to: str) -> int | str | datetime:
    if to in ("earliest", "latest"):
        return to
    try:
        return int(to) if to.isdecimal() else datetime.fromisoformat(to)
    except ValueError:
        raise LabError(
            f"--to is earliest, latest, an offset such as 0 or a time such as 2026-11-22T10:00, not {to!r}."
        ) from None


def _watch(kafka: "Kafka", group: str | None, seconds: float) -> None:
    from rich.live import Live
    from rich.text import Text

    deadline = time.monotonic() + seconds
    with Live(auto_refresh=False) as live:
        while True:
            lines = lines_of(kafka.lag(group)) + "\n"
            live.update(Text(lines, no_wrap=True, overflow="ellipsis"), refresh=True)
            if time.monotonic() >= deadline:
                return
            time.sleep(WATCH_EVERY)
