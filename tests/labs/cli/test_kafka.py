"""`lab kafka`, as a user types it, and as the handbook shows it."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from environment import Environment
from environment.compose import ROOT
from labs.cli.kafka import app
from tests.labs.cli.command import Lab, run_lab
from tests.odd_records import send_odd_record
from tests.residue import nothing_left

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

CHAPTER = ROOT / "handbook" / "phase4_kafka_commands.md"


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    environment = Environment("phase4", runtime="process", only=["kafka"]).start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


@pytest.fixture
def lab(env: Environment, capsys: pytest.CaptureFixture[str]) -> Lab:
    return lambda *words: run_lab(capsys, *words, "--session", str(env.session))


def rows(lab: Lab, *words: str) -> list[dict[str, Any]]:
    printed = lab("kafka", *words, "--json")
    assert printed.code == 0, printed.err
    records: list[dict[str, Any]] = json.loads(printed.out)
    return records


def chapters_commands() -> list[str]:
    blocks = re.findall(r"^```shell\n(.*?)^```", CHAPTER.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_of_the_chapter_works_in_its_order(env: Environment, lab: Lab) -> None:
    group = Consumer({"bootstrap.servers": env.kafka.bootstrap, "group.id": "parcel-service-group"})
    printed: dict[str, str] = {}
    for line in chapters_commands():
        program, *words = shlex.split(line)
        assert program == "lab"
        if words[1] == "groups":  # by then the group has consumed something
            group.commit(offsets=[TopicPartition("parcels", 0, 0)], asynchronous=False)
            group.close()
        done = lab(*words)
        assert done.code == 0, f"{line}\n{done.err}"
        assert done.out.strip(), line
        printed.setdefault(line, done.out)
        if words[1] == "redrive":
            printed["redrive again"] = done.out

    def one(start: str) -> str:
        return next(text for line, text in printed.items() if line.startswith(start))

    assert "parcels" in one("lab kafka topics")
    packed, sent = (
        next(line.split() for line in one("lab kafka read parcels").splitlines() if word in line)
        for word in ('"o-1", "status": "packed"', '"o-1", "status": "sent"')
    )
    assert packed[1] == sent[1], "one key, one partition"
    assert int(packed[2]) < int(sent[2])
    assert '"status": "packed"' in one("lab kafka read parcels --partition")
    assert "parcel-service-group" in one("lab kafka groups")
    assert "no JSON" in one("lab kafka dlq")
    assert one("lab kafka redrive").rstrip().endswith("sent")
    assert len(printed["redrive again"].splitlines()) == 1, "nothing but the headings"
    assert httpx.get(one("lab kafka ui").strip()).status_code == 200


def test_the_chapter_names_every_command() -> None:
    names = {
        command.name or command.callback.__name__  # type: ignore[union-attr]
        for command in app.registered_commands
    }
    assert names == {line.split()[2] for line in chapters_commands()}


def test_json_output_can_be_read_by_a_program(lab: Lab) -> None:
    rows(lab, "create", "orders-json", "--partitions", "2")
    (sent,) = rows(lab, "produce", "orders-json", "hello", "--key", "k", "--header", "a=b=c")
    (read,) = rows(lab, "read", "orders-json")
    assert (read["value"], read["key"], read["headers"]) == ("hello", "k", {"a": "b=c"})
    assert (read["partition"], read["offset"], read["time"]) == (
        sent["partition"], sent["offset"], sent["time"],
    )  # fmt: skip
    assert [row["partition"] for row in rows(lab, "offsets", "orders-json")] == [0, 1]
    assert "orders-json" in [row["topic"] for row in rows(lab, "topics")]
    assert rows(lab, "dlq", "orders-json") == rows(lab, "redrive", "orders-json") == []


def test_control_characters_are_shown_and_not_sent(env: Environment, lab: Lab) -> None:
    env.kafka.create("escapes", partitions=1)
    env.kafka.produce("escapes", "\x1b[31mred\x07\nnext line")
    text = lab("kafka", "read", "escapes").out
    assert "\\x1b[31mred\\x07\\nnext line" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2


def test_headers_that_cannot_be_read_are_null(env: Environment, lab: Lab) -> None:
    rows(lab, "create", "odd-headers")
    send_odd_record(env.kafka.bootstrap, "odd-headers", b"odd", b"order-1")
    for _ in range(2):
        (read,) = rows(lab, "read", "odd-headers")
        assert (read["value"], read["headers"]) == ("odd", None)
    assert "odd" in lab("kafka", "read", "odd-headers").out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["read", "none"], "There is no topic 'none'"),
        (["lag", "none"], "There is no consumer group 'none'"),
        (["produce", "none", "x", "--header", "novalue"], "Expected NAME=VALUE"),
        (["reset", "g", "t", "--to", "soon"], "--to is earliest, latest"),
    ],
)
def test_a_mistake_is_explained_without_a_traceback(lab: Lab, words: list[str], why: str) -> None:
    printed = lab("kafka", *words)
    assert printed.code == 2
    assert printed.err.startswith(f"error: {why}")


def test_the_chapter_is_in_the_index() -> None:
    assert f"({CHAPTER.name})" in Path(CHAPTER.parent, "index.md").read_text()
