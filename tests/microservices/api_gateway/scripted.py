"""An upstream that a test scripts: it answers in pieces, breaks off, hangs, or sends wrong lengths."""

import select
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress

from environment.waiting import wait_until

Behaviour = Callable[[bytes, socket.socket], None]


def answering(body: bytes = b"[]", status: int = 200, *headers: bytes) -> bytes:
    """Return a whole answer."""
    lines = [b"HTTP/1.1 %d X" % status, b"content-type: application/json", *headers]
    return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])


class Scripted:
    """Listens on a loopback port; keeps every request it read, whole, in `requests`.

    `connections` counts those it has had, `open` holds those it has.
    """

    def __init__(self, behave: Behaviour | bytes = b"") -> None:
        self.behave = behave
        self.requests: list[bytes] = []
        self.connections = 0
        self.open: set[socket.socket] = set()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def setup(self) -> None:
                outer.connections += 1
                outer.open.add(self.request)

            def finish(self) -> None:
                outer.open.discard(self.request)

            def handle(self) -> None:
                with suppress(OSError):
                    while request := read_request(self.request):
                        outer.requests.append(request)
                        if isinstance(outer.behave, bytes):
                            self.request.sendall(outer.behave)
                        else:
                            outer.behave(request, self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def forget(self) -> None:
        """End every connection and be as new, at the same address."""
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        assert wait_until(lambda: not self.open, timeout=10), "a scripted answer never ended"
        self.requests, self.connections = [], 0

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def read_request(connection: socket.socket) -> bytes:
    """Read one request, with its body; empty when the client is gone."""
    request = b""
    while b"\r\n\r\n" not in request or len(request) < whole(request):
        if not (more := connection.recv(65536)):
            return b""
        request += more
    return request


def whole(request: bytes) -> int:
    """Return how long a request is, given its head."""
    head = request.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(head) + 4 + int(value)
    return len(head) + 4


def reset(_: bytes, connection: socket.socket) -> None:
    """Break the connection as a dying machine does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    raise OSError


def hang(_: bytes, connection: socket.socket) -> None:
    """Never answer; leave when the client does."""
    connection.recv(1)
    raise OSError


def hang_up(_: bytes, __: socket.socket) -> None:
    """Close without a word."""
    raise OSError


def drip(_: bytes, connection: socket.socket) -> None:
    """Answer a byte at a time, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not select.select([connection], [], [], 0.05)[0]:  # until the client leaves
        connection.sendall(b" ")
    raise OSError


def breaking_off(*parts: bytes) -> Behaviour:
    """Return a behaviour that sends these bytes and closes."""

    def behave(_: bytes, connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        raise OSError

    return behave
