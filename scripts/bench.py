"""Measures the environment: `.venv/bin/python scripts/bench.py start|replicas [ROUNDS]`.

`start`: what starting and scaling cost, on processes, on Docker, and by `docker compose` on the same description, in
turns (A B C A B C ...), so that a slow minute of the machine hits all alike. `replicas`: how throughput, start and
nginx's reload grow from 1 to 8 replicas. `bench_gateway.py` measures the gateway, `bench_events.py` how fast orders are
accepted, and how accepting, relay, drain and replay grow. Prints medians with their range; no test depends on them.
"""

import argparse
import asyncio
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

import aiohttp

from environment import Environment, LabError
from environment.compose import ROOT, read_description
from environment.images.engine import connect
from environment.phases import FOLDER, read_phase
from environment.supervisor.probes import probe
from environment.waiting import wait_until

SCALED = {"phase0": "user-service", "phase2": "api-gateway"}
REPLICAS = (1, 2, 3, 4, 6, 8)
CPU_SECONDS = 0.05
"""CPU time of one request in the table of throughput."""

LOAD_SECONDS = 4.0
Row = tuple[str, str]
seconds: defaultdict[Row, list[float]] = defaultdict(list)
memory: defaultdict[Row, list[float]] = defaultdict(list)
rates: defaultdict[Row, list[float]] = defaultdict(list)


@contextmanager
def timed(what: str, variant: str) -> Iterator[None]:
    """Add the seconds that the block takes to its row of the table."""
    began = time.perf_counter()
    yield
    seconds[what, variant].append(time.perf_counter() - began)


def environment_round(phase: str, runtime: str) -> None:
    """Start, scale, kill and stop a phase on a runtime, once."""
    env = Environment(phase, runtime=runtime)  # type: ignore[arg-type]
    scaled = SCALED[phase]
    with timed(f"{phase}: start to ready", runtime):
        env.start()
    memory[f"{phase}: whole system", runtime].append(env.status()["memory_mib"].sum())
    with timed(f"{phase}: scale 1 to 3", runtime):
        env.scale(scaled, 3)
    with timed(f"{phase}: kill and back", runtime), env[scaled].replicas[0].killed():
        pass
    with timed(f"{phase}: stop", runtime):
        env.stop()


def compose_round(phase: str, compose: str) -> None:
    """The same by Compose; ready by our own probe, since Compose's health checks only look every few seconds."""
    name, scaled, variant = f"lab-bench-{os.getpid()}", SCALED[phase], "docker compose"
    services = read_description(variables=read_phase(phase)).services
    command = [compose, "--env-file", str(FOLDER / f"{phase}.env"), "-p", name]

    def run(*arguments: str) -> str:
        completed = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return completed.stdout.strip()

    def await_ready(service: str, replica: int) -> None:
        described = services[service]
        url = f"http://{run('port', '--index', str(replica), service, str(described.port))}"
        if not wait_until(lambda: probe(url, described.x_lab.ready)[0], timeout=30):
            raise LabError(f"{service} of docker compose was not ready after 30 s")

    try:
        with timed(f"{phase}: start to ready", variant):
            run("up", "-d")
            for service in services:
                await_ready(service, 1)
        with timed(f"{phase}: scale 1 to 3", variant):
            run("up", "-d", "--scale", f"{scaled}=3")
            for replica in (2, 3):
                await_ready(scaled, replica)
    finally:
        with timed(f"{phase}: stop", variant):
            run("down", "-v")


def runtimes() -> list[str]:
    """Return the runtimes of this machine: Docker only where its engine answers."""
    try:
        connect().close()
    except LabError as error:
        print(f"without Docker: {error}")
        return ["process"]
    return ["process", "docker"]


def start_round() -> None:
    """Measure every phase on every runtime and by Docker Compose, in turns."""
    contestants: dict[str, Callable[[str], None]] = {
        name: lambda phase, name=name: environment_round(phase, name) for name in runtimes()
    }
    if "docker" in contestants:
        compose = str(Path(sys.executable).parent / "docker-compose")
        contestants["docker compose"] = lambda phase: compose_round(phase, compose)
    for phase in SCALED:
        for variant, run in contestants.items():
            print(f"  {phase}: {variant}", file=sys.stderr)
            run(phase)


def replicas_round() -> None:
    """Measure 1 to 8 replicas of the gateway on every runtime."""
    for runtime in runtimes():
        for replicas in REPLICAS:
            print(f"  {runtime}: {replicas} replicas", file=sys.stderr)
            variant = f"{runtime} x {replicas}"
            env = Environment("phase2", runtime=runtime, replicas={"api-gateway": replicas})  # type: ignore[arg-type]
            try:
                with timed("start of phase2", variant):
                    env.start()
                with timed("nginx reloads", variant):
                    env.balance("round_robin")
                url = f"{env['api-gateway'].url}/api/cpu-bound?seconds={CPU_SECONDS}"
                rates[f"{1000 * CPU_SECONDS:.0f} ms of CPU each", variant].append(
                    asyncio.run(closed_loop(url, connections=2 * replicas))
                )
                memory["whole system", variant].append(env.status()["memory_mib"].sum())
            finally:
                env.stop()


async def closed_loop(url: str, *, connections: int) -> float:
    """Answers per second, with so many requests always under way."""
    done = 0
    deadline = time.monotonic() + LOAD_SECONDS

    async def ask(client: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.monotonic() < deadline:
            async with client.get(url) as answer:
                answer.raise_for_status()
                await answer.read()
            done += 1

    began = time.monotonic()
    async with aiohttp.ClientSession() as client:
        await asyncio.gather(*(ask(client) for _ in range(connections)))
    return done / (time.monotonic() - began)


def table(title: str, values: dict[Row, list[float]]) -> None:
    """Print the median, the least and the most of each row."""
    if values:
        print(f"\n{title:<26}{'':<16}{'median':>8}{'least':>8}{'most':>8}")
    for (what, variant), measured in sorted(values.items(), key=lambda row: row[0][0]):
        shown = (statistics.median(measured), min(measured), max(measured))
        print(f"{what:<26}{variant:<16}" + "".join(f"{value:8.2f}" for value in shown))


def main() -> None:
    """Measure what the command line asks for, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["start", "replicas"])
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    asked = parser.parse_args()
    for number in range(asked.rounds):
        print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
        {"start": start_round, "replicas": replicas_round}[asked.what]()
    cores, disk = os.cpu_count(), shutil.disk_usage("/").free // 2**30
    print(
        f"{platform.platform()}, {cores} cores, Python {platform.python_version()}, {disk} GiB free"
    )
    table("time, s", seconds)
    table("requests per second", rates)
    table("memory, MiB", memory)


if __name__ == "__main__":
    main()
