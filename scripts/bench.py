"""Measures what starting costs, side by side: `.venv/bin/python scripts/bench.py [ROUNDS]`.

Runtimes and `docker compose` take turns on the same description (A B C A B C ...), so that a slow minute of the machine
hits all alike. Prints medians with their range; no test depends on them.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from environment import Environment, LabError
from environment.compose import ROOT, read_description
from environment.images.engine import connect
from environment.phases import FOLDER, read_phase
from environment.probes import probe
from environment.waiting import wait_until

PHASE = "phase0"
SCALED = "user-service"
SERVICES = read_description(variables=read_phase(PHASE)).services
Row = tuple[str, str]
seconds: defaultdict[Row, list[float]] = defaultdict(list)
memory: defaultdict[Row, list[float]] = defaultdict(list)


@contextmanager
def timed(what: str, who: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[what, who].append(time.perf_counter() - began)


def environment_round(runtime: str) -> None:
    env = Environment(PHASE, runtime=runtime)  # type: ignore[arg-type]
    with timed("start to ready", runtime):
        env.start()
    memory["whole system", runtime].append(env.status()["memory_mib"].sum())
    with timed("scale 1 to 3, ready", runtime):
        env.scale(SCALED, 3)
    with timed("kill and back", runtime), env[SCALED].replicas[0].killed():
        pass
    with timed("stop", runtime):
        env.stop()


def compose_round(compose: str) -> None:
    """The same by Compose; ready by our own probe, since Compose's health checks only look every few seconds."""
    name = f"lab-bench-{os.getpid()}"
    command = [compose, "--env-file", str(FOLDER / f"{PHASE}.env"), "-p", name]

    def run(*words: str) -> str:
        said = subprocess.run(
            [*command, *words], cwd=ROOT, check=True, capture_output=True, text=True, timeout=120
        )
        return said.stdout.strip()

    def await_ready(service: str, replica: int) -> None:
        described = SERVICES[service]
        url = f"http://{run('port', '--index', str(replica), service, str(described.port))}"
        if not wait_until(lambda: probe(url, described.x_lab.ready)[0], timeout=30):
            raise LabError(f"{service} of docker compose was not ready after 30 s")

    who = "docker compose"
    try:
        with timed("start to ready", who):
            run("up", "-d")
            for service in SERVICES:
                await_ready(service, 1)
        with timed("scale 1 to 3, ready", who):
            run("up", "-d", "--scale", f"{SCALED}=3")
            for replica in (2, 3):
                await_ready(SCALED, replica)
    finally:
        with timed("stop", who):
            run("down", "-v")


def contestants() -> dict[str, Callable[[], None]]:
    found: dict[str, Callable[[], None]] = {"process": lambda: environment_round("process")}
    try:
        connect().close()
    except LabError as error:
        print(f"without Docker: {error}")
        return found
    found["docker"] = lambda: environment_round("docker")
    compose = Path(sys.executable).parent / "docker-compose"
    found["docker compose"] = lambda: compose_round(str(compose))
    return found


def table(title: str, unit: str, values: dict[Row, list[float]]) -> None:
    print(f"\n{title:<24}{'':<16}{'median':>8}{'least':>8}{'most':>8}  {unit}")
    for (what, who), found in sorted(values.items()):
        print(
            f"{what:<24}{who:<16}{statistics.median(found):8.2f}{min(found):8.2f}{max(found):8.2f}"
        )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    taking_turns = contestants()
    for number in range(rounds):
        for who, run in taking_turns.items():
            print(f"round {number + 1} of {rounds}: {who}", file=sys.stderr)
            run()
    cores, disk = os.cpu_count(), shutil.disk_usage("/").free // 2**30
    print(
        f"{platform.platform()}, {cores} cores, Python {platform.python_version()}, {disk} GiB free"
    )
    table("time", "s", seconds)
    table("memory", "MiB", memory)


if __name__ == "__main__":
    main()
