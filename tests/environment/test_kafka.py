"""Kafka as a described service: it keeps what it acknowledged, and is reached from inside and from outside."""

import itertools
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from environment import Environment, LabError
from environment.kafka import jars
from environment.kafka import java as javas
from environment.kafka.starting import render
from environment.outside import SET_ASIDE
from environment.supervisor.probes import probe
from environment.waiting import wait_until
from tests.mutants.descriptions import mutated
from tests.residue import nothing_left

EVENTS = 300
SECONDS = 30


CLIENT = """
import http.server, os, signal, socket

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # process 1 of a container would ignore it

ADDRESS = os.environ["KAFKA_BOOTSTRAP"]
METADATA = bytes([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0])

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host, port = ADDRESS.split(":")
        with socket.create_connection((host, int(port)), 2) as broker:
            broker.sendall(METADATA)
            answer = broker.recv(1000)
        known = host.encode() + int(port).to_bytes(4, "big") in answer
        self.send_response(200 if known else 503)
        self.end_headers()

server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Ready)
server.serve_forever()
"""


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def env(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """A broker, and a client in the place of user-service."""
    folder = tmp_path_factory.mktemp("described")
    description = mutated(folder, {"user-service": {"command": ["python", "-c", CLIENT]}})
    environment = Environment(
        "phase4",
        runtime=request.param,
        only=["kafka", "user-service"],
        description=description,
    )
    environment.start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def bootstrap(env: Environment) -> str:
    return str(env.state()["kafka"]["bootstrap"])


def new_topic(env: Environment) -> str:
    topic = f"events-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap(env)})
    for made in admin.create_topics([NewTopic(topic, 6, 1)]).values():
        made.result(SECONDS)
    return topic


class Sender:
    """Sends numbered events; `known` are those that the broker has acknowledged."""

    def __init__(self, env: Environment, topic: str) -> None:
        words = {"bootstrap.servers": bootstrap(env), "acks": "all", "compression.type": "zstd"}
        self._producer, self._topic = Producer(words), topic
        self.known: set[str] = set()

    def send(self, events: Iterable[int]) -> set[str]:
        for number in events:
            self._producer.produce(
                self._topic, f"event {number}".encode(), key=str(number), on_delivery=self._told
            )
            self._producer.poll(0)
        assert self._producer.flush(SECONDS) == 0
        return self.known

    def _told(self, error: Any, message: Any) -> None:
        if error is None:
            self.known.add(message.value().decode())


def acknowledged(env: Environment, topic: str, events: Iterable[int]) -> set[str]:
    """Sends events and returns those that the broker acknowledged."""
    return Sender(env, topic).send(events)


def read(env: Environment, topic: str, expected: int) -> list[str]:
    """All events of a topic: at least as many as expected are awaited, and then what may still come."""
    words = {
        "bootstrap.servers": bootstrap(env),
        "group.id": uuid.uuid4().hex,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "enable.partition.eof": True,
    }
    consumer = Consumer(words)
    consumer.subscribe([topic])
    found: list[str] = []
    ended = set()
    try:
        while len(ended) < 6 or len(found) < expected:
            message = consumer.poll(SECONDS)
            assert message is not None, f"{len(found)} of {expected} events in {SECONDS} s"
            if message.error() is None:
                found.append(message.value().decode())
            else:
                ended.add(message.partition())
    finally:
        consumer.close()
    return found


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_a_killed_broker_comes_back_with_every_acknowledged_event(
    env: Environment,
) -> None:
    before, topic = bootstrap(env), new_topic(env)
    sent = acknowledged(env, topic, range(EVENTS))
    assert len(sent) == EVENTS
    with env["kafka"].killed():
        assert not env["kafka"].replicas[0].ready
    assert bootstrap(env) == before
    found = read(env, topic, EVENTS)
    assert (len(found), set(found)) == (EVENTS, sent)


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_a_broker_killed_under_load_loses_nothing_that_it_acknowledged(env: Environment) -> None:
    topic = new_topic(env)
    sender, enough = Sender(env, topic), threading.Event()

    def events() -> Iterator[int]:
        for number in itertools.count():
            if enough.wait(0.001):
                return
            yield number

    load = threading.Thread(target=lambda: sender.send(events()), daemon=True)
    load.start()
    try:
        assert wait_until(lambda: bool(sender.known), timeout=SECONDS)
        with env["kafka"].killed():
            before = len(sender.known)
        assert wait_until(lambda: len(sender.known) > before, timeout=SECONDS)
    finally:
        enough.set()
    load.join(2 * SECONDS)
    assert sender.known <= set(read(env, topic, len(sender.known)))


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_a_new_broker_uses_what_was_prepared(env: Environment) -> None:
    log = env["kafka"].logs(1000)
    assert "Appending 6 bootstrap record(s)" in log  # from the storage, and not by default
    assert "Formatting metadata directory" not in log
    assert "[cds" not in log  # where Java complains about an archive


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_a_restart_keeps_events(env: Environment) -> None:
    topic = new_topic(env)
    sent = acknowledged(env, topic, range(EVENTS))
    env.restart("kafka")
    assert set(read(env, topic, EVENTS)) == sent


@pytest.mark.kafka
def test_a_service_reaches_the_broker_at_its_advertised_address(
    env: Environment,
) -> None:
    assert env["user-service"].replicas[0].ready


@pytest.mark.kafka
def test_the_broker_keeps_to_the_memory_of_a_laptop(env: Environment) -> None:
    assert 0 < env["kafka"].replicas[0].memory < 512 * 2**20


@pytest.mark.kafka
def test_everything_listens_on_loopback_only(env: Environment) -> None:
    assert urlsplit(env["kafka"].url).hostname == "127.0.0.1"
    brokers = AdminClient({"bootstrap.servers": bootstrap(env)}).list_topics(timeout=10).brokers
    assert [f"{broker.host}:{broker.port}" for broker in brokers.values()] == [bootstrap(env)]


@pytest.mark.kafka
def test_topics_are_not_made_by_accident(env: Environment) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap(env)})
    assert admin.list_topics("by-accident", timeout=10).topics["by-accident"].error is not None
    assert "by-accident" not in admin.list_topics(timeout=10).topics


def test_a_phase_without_kafka_has_none() -> None:
    with Environment("phase0", runtime="process", only=["user-service"]) as env:
        assert env.state()["kafka"] is None


# -- the probe ---------------------------------------------------------------------------------------------------------


def answering(answer: Callable[[int], bytes]) -> tuple[str, threading.Thread]:
    """A server that takes one connection and answers its first request; `answer` gets the server's own port."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(1024)
            connection.sendall(answer(port))

    thread = threading.Thread(target=serve)
    thread.start()
    return f"tcp://127.0.0.1:{port}", thread


def metadata(*brokers: tuple[str, int]) -> bytes:
    body = bytes(4) + len(brokers).to_bytes(4, "big")
    for host, port in brokers:
        body += bytes([0, 0, 0, 1]) + len(host).to_bytes(2, "big") + host.encode()
        body += port.to_bytes(4, "big") + b"\xff\xff"
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("answer", "ready", "said"),
    [
        (lambda port: metadata(("127.0.0.1", port)), True, "brokers: 127.0.0.1:"),
        (lambda port: metadata(), False, "brokers: none"),
        (lambda port: metadata(("kafka", 9092)), False, "brokers: kafka:9092"),
        (lambda port: metadata(("127.0.0.1", port))[:-3], False, "broke off"),
        (lambda port: b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "broke off"),
        (lambda port: b"", False, "broke off"),
    ],
)
def test_ready_is_a_broker_that_sends_clients_to_itself(
    answer: Callable[[int], bytes], ready: bool, said: str
) -> None:
    url, thread = answering(answer)
    found = probe(url, "kafka")
    thread.join()
    assert found[0] is ready
    assert said in found[1]


# -- what it is made of ------------------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jars.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path


@pytest.mark.kafka
def test_a_damaged_jar_is_fetched_again(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = min(jars.listed(), key=lambda jar: "slf4j-simple" not in jar.artifact)
    monkeypatch.setattr(jars, "listed", lambda: [one])
    path = jars.jars() / one.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert jars.missing() == [one]
    jars.jars()
    assert path.read_bytes() == whole
    assert [file.name for file in path.parent.iterdir()] == [one.name]


def test_the_first_start_names_what_it_downloads(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(jars, "_fetch", lambda jar, scratch, path: None)
    jars.jars(lines.append)
    assert lines[0].startswith("downloading Kafka, once: 45 jars, about 43 MB, into ")
    assert lines[-1].endswith("(45 of 45 jars)")


def test_without_a_repository_the_next_step_is_named(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(SET_ASIDE, "{}")  # the download moves them there: put back what was there
    with pytest.raises(LabError, match=r"45 of Kafka's 45 jars.*copy the folder"):
        jars.jars()


def test_what_is_not_as_listed_is_not_taken(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            return lambda *_, **__: self

        def resolve(self) -> Path:
            path = empty_cache / "wrong.jar"
            path.write_bytes(b"another jar")
            return path

    monkeypatch.setattr("jgo.maven.MavenContext", lambda **_: Wrong())
    with pytest.raises(LabError, match=r"not the file that jars\.lock lists"):
        jars.jars()
    assert list(jars.folder().glob("*.jar")) == []


def java_that_says(folder: Path, line: str) -> None:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho '{line}' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("Unable to locate a Java Runtime.", 0),
    ],
)
def test_the_version_of_a_java_is_read(tmp_path: Path, line: str, version: int) -> None:
    java_that_says(tmp_path, line)
    assert javas.java_version(str(tmp_path / "java")) == version


def test_an_old_java_is_refused_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java_that_says(tmp_path, 'java version "1.8.0_392"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(javas, "find_spec", lambda name: None)
    with pytest.raises(LabError, match=r"17 or newer.*is 8.*run.py --java --setup-only"):
        javas.java.__wrapped__()


def test_the_settings_name_each_address_once() -> None:
    text = render(
        {
            "HOST": "0.0.0.0",
            "PORT": "9094",
            "OUTSIDE": "127.0.0.1:20001",
            "INSIDE": "kafka:9092",
            "CONTROLLER": "kafka:9093",
        }
    )
    assert (
        "listeners=INSIDE://0.0.0.0:9092,OUTSIDE://0.0.0.0:9094,CONTROLLER://0.0.0.0:9093" in text
    )
    assert "advertised.listeners=INSIDE://kafka:9092,OUTSIDE://127.0.0.1:20001\n" in text
    assert "$" not in text
