"""Several processes behind one port: a replica's workers.

They start and stop together: when one ends without having been stopped, the others are stopped too, and
the replica ends. A pool that went on with fewer workers would look healthy and be slow.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import NoReturn


def run_workers(
    count: int, serve: Callable[[socket.socket], None], listener: socket.socket
) -> NoReturn:
    """Run `serve(listener)` in `count` processes until SIGTERM; they share the listening socket.

    `serve` is stopped by SIGTERM, and has to be picklable. The exit code is 1 when a worker ended by
    itself.
    """
    # Spawned, not forked: each worker starts as a replica with one process does.
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(serve, listener)) for _ in range(count)]
    signals: list[int] = []

    def stop(number: int, _: object) -> None:
        signals.append(number)
        end(workers)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    for worker in workers:
        worker.start()
    wait([worker.sentinel for worker in workers])
    end(workers)
    for worker in workers:
        worker.join()
    sys.exit(0 if signals else 1)


def end(workers: Sequence[BaseProcess]) -> None:
    """Send SIGTERM to the workers that run."""
    for worker in workers:
        if worker.is_alive():
            worker.terminate()


def work(serve: Callable[[socket.socket], None], listener: socket.socket) -> None:
    """Run one worker."""
    # Until there is a server there is nothing to finish.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: os._exit(0))
    die_with_parent()
    serve(listener)


def die_with_parent() -> None:
    """Make this child process end with the process that spawned it, also when that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
