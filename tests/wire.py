"""A client that sends bytes as they are given: what a test needs where httpx would never send it."""

import json
import socket
import time
from contextlib import suppress
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One response. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> Any:
        """The document of a problem; anything else fails the test."""
        assert self.headers.get("content-type") == "application/problem+json", self
        document = json.loads(self.body)
        assert document["status"] == self.status
        assert document["title"]
        assert document["detail"]
        return document


def exchange(
    port: int, *segments: bytes, pause: float = 0.05, host: str = "127.0.0.1"
) -> list[Answer]:
    """Send the segments, one after the other; return all responses that come until the end.

    The last request must close its connection, or be refused. A connection that breaks before all is
    read loses what it had: that is an error here, as it is for a client.
    """
    with socket.create_connection((host, port), timeout=10) as client:
        for number, segment in enumerate(segments):
            if number:
                time.sleep(pause)
            client.sendall(segment)
        return answers(read_all(client))


def read_all(client: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    received = b""
    while more := client.recv(65536):
        received += more
    return received


def answers(received: bytes) -> list[Answer]:
    """Return the responses in what was received; each has a Content-Length."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        status, length = int(first.split()[1]), int(headers.get("content-length", 0))
        if status >= 200:
            found.append(Answer(status, headers, rest[:length]))
        received = rest[length:] if status >= 200 else rest
    return found


def request(method: str, path: str, body: bytes | None = None, *headers: str) -> bytes:
    """Return a request, whose connection stays open unless a header says otherwise."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")
"""What Java's HttpClient sends with its first request: an offer to speak HTTP/2."""

CLOSING = request("GET", "/health", None, "Connection: close")
"""A request to end a connection with, on which others went before."""


def drop(connections: list[socket.socket]) -> None:
    """Close sockets, whatever state they are in."""
    for each in connections:
        with suppress(OSError):
            each.close()
