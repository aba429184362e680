"""The socket of a supervisor answers every client, however many come at once."""

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from environment.client.connection import Client
from environment.supervisor import server
from environment.supervisor.server import VerbServer

pytestmark = pytest.mark.timeout(30)

CLIENTS = 200


@pytest.fixture
def verb_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[VerbServer]:
    """A supervisor's socket in the folder of a session, on a machine that starts threads slowly."""
    (folder := Path(os.environ["LAB_STATE"]) / "busy").mkdir()
    start = server.in_thread

    def slowly(target: Callable[..., None], *arguments: object) -> None:
        time.sleep(0.005)
        start(target, *arguments)

    monkeypatch.setattr(server, "in_thread", slowly)
    one = VerbServer(folder / "socket", lambda verb, arguments, say: arguments["number"])
    one.listen()
    yield one
    one.close()
    (folder / "socket").unlink()
    folder.rmdir()


def test_two_hundred_verbs_at_once_are_all_answered(verb_server: VerbServer) -> None:
    together = Barrier(CLIENTS)

    def send(number: int) -> Any:
        together.wait()
        return Client("busy").send("echo", {"number": number})

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(send, range(CLIENTS))) == list(range(CLIENTS))


def test_a_client_waits_for_a_place_in_a_short_queue() -> None:
    (folder := Path(os.environ["LAB_STATE"]) / "full").mkdir()
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(4) as pool:
        listener.bind(str(folder / "socket"))
        listener.listen(0)
        clients = [pool.submit(Client("full").send, "echo", {"number": n}) for n in range(4)]
        time.sleep(0.3)  # the queue has one place, and the others wait before it
        for _ in clients:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b'{"result": "late"}\n')
        assert [client.result(10) for client in clients] == ["late"] * 4
    (folder / "socket").unlink()
    folder.rmdir()


def test_a_lack_of_descriptors_does_not_end_the_server(
    verb_server: VerbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        """A listener that has once no descriptor for a connection."""

        def __init__(self, listener: socket.socket) -> None:
            self._listener, self._failed = listener, False

        def accept(self) -> tuple[socket.socket, Any]:
            if not self._failed:
                self._failed = True
                raise OSError(errno.EMFILE, "Too many open files")
            return self._listener.accept()

        def close(self) -> None:
            self._listener.close()

    monkeypatch.setattr(verb_server, "_listener", Exhausted(verb_server._listener))
    # The loop waits in the accept of the real listener: the first verb passes by the old one, the next by the new.
    for number in range(3):
        assert Client("busy").send("echo", {"number": number}) == number
