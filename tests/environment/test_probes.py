"""What counts as ready: an answer where one can be had, not an open port."""

import socket
import threading
from collections.abc import Iterator

import pytest

from environment.supervisor import probes
from environment.supervisor.probes import probe


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A port whose program accepts nothing: as nginx's master, before it has a worker."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def url(server: socket.socket) -> str:
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("evidence", ["nginx", "valkey", "postgres", "kafka", "http /ready"])
def test_an_open_port_alone_is_no_answer(
    listening: socket.socket, evidence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "ANSWER_SECONDS", 0.2)
    assert probe(url(listening), "tcp")[0]
    assert not probe(url(listening), evidence)[0]


@pytest.mark.parametrize(
    ("password", "answer", "ready"),
    [
        ("", b"+PONG\r\n", True),
        ("", b"-NOAUTH Authentication required.\r\n", False),
        ("", b"-LOADING Valkey is loading\r\n", False),
        ("open", b"+OK\r\n+PONG\r\n", True),
        ("open", b"+OK\r\n-LOADING Valkey is loading\r\n", False),
        ("open", b"-ERR AUTH without any password configured\r\n+PONG\r\n", False),
    ],
)
def test_valkey_is_ready_when_it_asks_for_the_password(
    listening: socket.socket, password: str, answer: bytes, ready: bool
) -> None:
    def respond() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            for byte in answer:  # a network may cut it anywhere
                connection.sendall(bytes([byte]))

    (thread := threading.Thread(target=respond)).start()
    assert probe(url(listening), "valkey", password)[0] is ready
    thread.join(5)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", (True, "asks for a password")),
        (b"R\0\0\0\x08\0\0\0\0", (False, "lets anyone in, without a password")),
        (b"E\0\0\0\x19SFATAL\0Mstarting up\0\0", (False, "starting up")),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", (False, "an answer that is not PostgreSQL's")),
    ],
)
def test_postgresql_is_ready_when_it_asks_for_a_password(
    listening: socket.socket, answer: bytes, found: tuple[bool, str]
) -> None:
    """While it starts or recovers it accepts connections, and answers each with an error."""

    def respond() -> None:
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(1000)[4:8] == b"\0\x03\0\0"
            connection.sendall(answer + bytes(1000 if answer.startswith(b"HTTP") else 0))

    (thread := threading.Thread(target=respond)).start()
    assert probe(url(listening), "postgres") == found
    thread.join(5)


@pytest.mark.parametrize(("status", "ready"), [(200, True), (502, False)])
def test_nginx_is_ready_when_a_worker_answers_for_itself(
    listening: socket.socket, status: int, ready: bool
) -> None:
    asked: list[bytes] = []

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            asked.append(connection.recv(1000))
            connection.sendall(f"HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n".encode())

    (thread := threading.Thread(target=answer)).start()
    assert probe(url(listening), "nginx")[0] is ready
    thread.join(5)
    assert asked[0].startswith(b"GET /nginx-ready ")
