"""Every way in which an engine can be missing is distinguished, explained, and detected in time."""

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from environment.errors import RuntimeUnavailable
from environment.images import engine
from tests.environment.fake_engines import REAL, Relay, listening, saying

NOBODY = 65534


@pytest.fixture(autouse=True)
def _no_engine_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@contextmanager
def refused(words: str, *, within: float = 10.0) -> Iterator[None]:
    """The block raises `RuntimeUnavailable` with these words and a next step, in time."""
    began = time.monotonic()
    with pytest.raises(RuntimeUnavailable, match=words) as caught:
        yield
    assert time.monotonic() - began < within
    assert "process" in str(caught.value), "the reader is not told how to go on"


def at(monkeypatch: pytest.MonkeyPatch, url: object) -> None:
    monkeypatch.setenv("DOCKER_HOST", str(url))


def context(folder: Path, name: str, host: str) -> None:
    """What `docker context create` and `docker context use` write."""
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    place = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    place.mkdir(parents=True)
    endpoint = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (place / "meta.json").write_text(
        json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoint})
    )


def test_an_engine_that_is_nowhere_is_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = [tmp_path / "one.sock", tmp_path / "no-folder" / "two.sock"]
    monkeypatch.setattr(engine, "_usual_sockets", lambda: nowhere)
    with refused("No Docker engine was found.*one.sock.*two.sock.*Install Docker", within=1):
        engine.connect()


def test_the_first_usual_socket_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "_usual_sockets", lambda: [tmp_path / "a", tmp_path / "b"])
    with listening(tmp_path / "b"), refused("hangs"):
        engine.connect(timeout=1)


def test_docker_host_alone_counts_when_it_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at(monkeypatch, f"unix://{tmp_path}/none.sock")
    with refused(r"no Docker engine at .*none.sock \(DOCKER_HOST=", within=1):
        engine.connect()


def test_an_engine_that_hangs_is_found_out_in_three_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at(monkeypatch, f"unix://{tmp_path}/mute.sock")
    with (
        listening(tmp_path / "mute.sock"),
        refused("hangs: it gave no answer within 3 s", within=5),
    ):
        engine.connect()


def test_many_engines_that_hang_are_found_out_in_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = [tmp_path / str(number) for number in range(4)]
    monkeypatch.setattr(engine, "_usual_sockets", lambda: paths)
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(listening(path))
        with refused("hangs"):
            engine.connect()


def test_an_engine_that_answers_byte_by_byte_hangs_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at(monkeypatch, f"unix://{tmp_path}/slow.sock")
    with saying(tmp_path / "slow.sock", b"HTTP/1.1 200 OK\r\n" * 20, pause=0.2), refused("hangs"):
        engine.connect()


def test_a_socket_without_permission_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Not under pytest's own folder: that one is closed to others, whatever the socket's mode.
    folder = Path(f"/tmp/denied-{os.getpid()}")
    folder.mkdir(mode=0o755)
    at(monkeypatch, f"unix://{folder}/docker.sock")
    with listening(folder / "docker.sock"):
        (folder / "docker.sock").chmod(0)
        root = os.geteuid() == 0
        if root:  # root passes any mode
            os.seteuid(NOBODY)
        try:
            with refused("denies access to this user.*group `docker`", within=1):
                engine.connect()
        finally:
            if root:
                os.seteuid(0)
            (folder / "docker.sock").unlink()
            folder.rmdir()


def test_a_socket_without_a_server_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with listening(tmp_path / "stale.sock"):
        pass
    at(monkeypatch, f"unix://{tmp_path}/stale.sock")
    with refused("does not run: no program listens there", within=1):
        engine.connect()


def test_something_that_is_not_docker_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at(monkeypatch, f"unix://{tmp_path}/other.sock")
    smtp = saying(tmp_path / "other.sock", b"220 smtp.example ESMTP\r\n")
    with smtp, refused("is not a Docker engine that we can use"):
        engine.connect()


def test_an_engine_that_is_too_old_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = b'{"ApiVersion":"1.39","Version":"18.09"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    at(monkeypatch, f"unix://{tmp_path}/old.sock")
    answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with saying(tmp_path / "old.sock", answer), refused(r"1\.39.*20\.10 .* or later"):
        engine.connect()


@pytest.mark.parametrize("wrong", ["/var/run/docker.sock", "gopher://localhost", "tcp://", "unix"])
def test_a_docker_host_that_is_no_address_is_explained(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    at(monkeypatch, wrong)
    with refused("DOCKER_HOST", within=2):
        engine.connect()


@pytest.mark.parametrize(
    "url", ["ssh://me@far.example", "tcp://192.0.2.1:2375", "tcp://far.example:2376"]
)
def test_an_engine_on_another_machine_is_refused_without_asking_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    at(monkeypatch, url)
    with refused("another machine", within=1):
        engine.connect()


def test_an_engine_on_a_tcp_port_can_hang_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at(monkeypatch, f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        with refused("hangs", within=5):
            engine.connect()
    with refused("does not run", within=1):
        engine.connect()


def test_the_context_in_use_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context(tmp_path, "colima", f"unix://{tmp_path}/colima.sock")
    with refused("colima.sock \\(the Docker context colima\\)", within=1):
        engine.connect()
    with listening(tmp_path / "colima.sock"), refused("hangs"):
        engine.connect(timeout=1)


def test_docker_context_goes_before_the_context_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context(tmp_path, "colima", f"unix://{tmp_path}/colima.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with refused("context gone does not exist.*docker context ls", within=1):
        engine.connect()


def test_a_damaged_context_is_explained(tmp_path: Path) -> None:
    context(tmp_path, "colima", "unix:///nowhere")
    next((tmp_path / "contexts/meta").rglob("meta.json")).write_text("{")
    with refused("contexts cannot be read.*docker context use default", within=1):
        engine.connect()


@pytest.mark.docker
def test_a_live_engine_is_reached_in_every_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine.connect().close()
    relay = Relay(tmp_path / "relay.sock")
    context(tmp_path, "relayed", relay.url)
    client = engine.connect()
    assert client.ping()
    assert engine.architecture(client) in ("amd64", "arm64")
    relay.freeze()
    with pytest.raises(
        RuntimeUnavailable, match="stopped answering when asked to say what machine"
    ):
        engine.architecture(client)
    relay.close()
    at(monkeypatch, f"unix://{REAL}")
    engine.connect().close()
