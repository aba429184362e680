"""The engine's worker, which appends the address of each of its connections to the file that CONNECTIONS names."""

import os
import runpy
import sys
from pathlib import Path


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _, address = arguments
        host, port = address if isinstance(address, tuple) else (address, "")
        with Path(os.environ["CONNECTIONS"]).open("a") as log:
            log.write(f"{host}:{port}\n")


if __name__ == "__main__":
    sys.addaudithook(note)
    runpy.run_module("labs.experiments.phase5.engine_worker", run_name="__main__")
