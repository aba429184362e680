"""Engines that misbehave: sockets that never answer, answer nonsense, or stop answering half-way."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

REAL = "/var/run/docker.sock"


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A unix socket that accepts, as the kernel does for every listener, and never answers."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield listener


@contextmanager
def saying(path: Path, text: bytes, *, pause: float = 0.0) -> Iterator[None]:
    """A unix socket that sends `text` to every client, with a pause before each byte."""
    with listening(path) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    one, _ = listener.accept()
                    threading.Thread(target=talk, args=(one,), daemon=True).start()

        def talk(one: socket.socket) -> None:
            with suppress(OSError), one:
                one.recv(4096)
                for byte in text:
                    time.sleep(pause)
                    one.sendall(bytes([byte]))

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


class Relay:
    """A unix socket in front of the real engine that can be frozen: it then accepts connections and sends nothing
    more."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(REAL)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while block := one.recv(65536):
                self._open.wait()
                other.sendall(block)
            other.shutdown(socket.SHUT_WR)
